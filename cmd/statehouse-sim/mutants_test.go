package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"statehouse.dev/statehouse/sim/mutant"
)

// scoringOf tries mutants with a program, in a repository whose fixed list says that.
func scoringOf(t *testing.T, program, fixed string) (*scoring, *bytes.Buffer) {
	t.Helper()
	root := t.TempDir()
	if err := os.MkdirAll(filepath.Join(root, "sim/mutant"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(root, fixedList), []byte(fixed), 0o644); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	return &scoring{
		a: &app{out: &out, err: &out, now: time.Now}, root: root, program: program,
		o:     proveFlags{workers: 1, budget: time.Minute, mutants: mutantFlags{hang: 10 * time.Second, memory: 3072}},
		seeds: make(map[uint32][]uint64), scenarios: make(map[uint32][]string),
	}, &out
}

// TestLostKillsFail: a mutant of the fixed list that survives, or is not there, fails. In
// this very program there is no mutant, and so nothing to kill.
func TestLostKillsFail(t *testing.T) {
	unraced(t)
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	s, out := scoringOf(t, program, "engine:f:drop:0:1 fuzz 1\nengine:gone:drop:0:1 fuzz 1\n")
	all := []mutant.Mutant{{ID: "engine:f:drop:0:1", Number: 1}}
	err = s.again(t.Context(), all)
	for _, want := range []string{"engine:f:drop:0:1 was killed before, and survives", "engine:gone:drop:0:1 does not exist any more", "0 of 2"} {
		if err == nil || !strings.Contains(out.String(), want) {
			t.Errorf("%v, and it does not print %q:\n%s", err, want, out)
		}
	}
	// A program that dies of everything kills everything.
	script := filepath.Join(t.TempDir(), "dies")
	if err := os.WriteFile(script, []byte("#!/bin/sh\nexit 1\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	s, out = scoringOf(t, script, "engine:f:drop:0:1 fuzz 1\n")
	if err := s.again(t.Context(), all); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	s, _ = scoringOf(t, script, "")
	if err := s.again(t.Context(), all); err == nil {
		t.Error("an empty list is no failure")
	}
}

// TestBounds: what is endless or boundless is killed, and that is said.
func TestBounds(t *testing.T) {
	for _, c := range []struct{ script, killed string }{
		{"read line || exit; while :; do :; done", mutant.Hang},
		{"read line; read line", mutant.Hang},
		{"read line || exit; exec tail /dev/zero", mutant.Memory},
	} {
		script := filepath.Join(t.TempDir(), "endless")
		if err := os.WriteFile(script, []byte("#!/bin/sh\n"+c.script+"\n"), 0o755); err != nil {
			t.Fatal(err)
		}
		limit := bound{time: 500 * time.Millisecond, memory: 1 << 40}
		if c.killed == mutant.Memory {
			if _, err := os.Stat("/proc/self/statm"); err != nil {
				continue
			}
			limit = bound{time: time.Minute, memory: 64 << 20}
		}
		k := &bench{fleet: &fleet{binary: script}, bound: limit}
		if saw := k.run(t.Context(), job{Seed: 1}); saw != c.killed {
			t.Errorf("%s: %q, want %q", c.script, saw, c.killed)
		}
		k.dismiss()
		// A seed of which the run does not end is one that failed, and the others are run.
		var failed []uint64
		f := &fleet{size: 1, binary: script, recycle: 10, most: limit}
		err := f.run(t.Context(), jobsOf(2), func(o outcome) {
			if len(o.Violations) == 1 && strings.HasSuffix(o.Violations[0].Sentence, "was killed: "+c.killed) {
				failed = append(failed, o.Seed)
			}
		})
		if err != nil || !slices.Equal(failed, []uint64{1, 2}) {
			t.Errorf("%s: of two seeds %v failed, %v", c.script, failed, err)
		}
	}
}

// TestBudgetIsNoKill: a mutant whose time is over has survived what was run.
func TestBudgetIsNoKill(t *testing.T) {
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	s, _ := scoringOf(t, program, "")
	s.o.budget = time.Nanosecond
	s.seeds[1] = []uint64{1, 2, 3}
	s.scenarios[1] = []string{filepath.Join("../../scenarios", "torn-tail.yaml")}
	r := s.try(t.Context(), mutant.Mutant{ID: "engine:f:drop:0:1", Number: 1})
	if r.Killed() || r.Seeds != 0 {
		t.Errorf("after %d seeds it is killed by %v", r.Seeds, r.By)
	}
}

// TestEquivalentsAreExcluded: with a reason, few of them, and only while they exist.
func TestEquivalentsAreExcluded(t *testing.T) {
	var all []mutant.Mutant
	for i := range 40 {
		all = append(all, mutant.Mutant{ID: fmt.Sprintf("engine:f:drop:0:%d", i+1), Package: "engine"})
	}
	for list, want := range map[string]int{
		"":                                  40,
		"engine:f:drop:0:3 nothing sees it": 39,
		"client:f:drop:0:3 nothing sees it": 40, // of another package
		"engine:f:drop:0:99 it is gone":     -1,
		"engine:f:drop:0:3":                 -1, // no reason
		"engine:f:drop:0:1 a\nengine:f:drop:0:2 b\nengine:f:drop:0:3 c": -1, // more than one in twenty
	} {
		s, _ := scoringOf(t, "", "")
		if err := os.WriteFile(filepath.Join(s.root, equivalentList), []byte(list), 0o644); err != nil {
			t.Fatal(err)
		}
		chosen, _, err := s.choose(all)
		if got := len(chosen); err == nil && got != want || (err != nil) != (want < 0) {
			t.Errorf("%q: %d are tried, %v", list, got, err)
		}
	}
}

// TestScoreTable: shares are of all, also of what no run comes by; tests are no part of the score.
func TestScoreTable(t *testing.T) {
	s, out := scoringOf(t, "", "")
	results := []mutant.Result{
		{Mutant: mutant.Mutant{ID: "a", Package: "engine"}, By: map[mutant.Tool]string{mutant.Fuzz: "G3 lost-update"}, ReachedBySeeds: 3},
		{Mutant: mutant.Mutant{ID: "b", Package: "server"}, By: map[mutant.Tool]string{mutant.Tests: "exit status 1"}, ReachedBySeeds: 3},
		{Mutant: mutant.Mutant{ID: "c", Package: "server/conns"}},
	}
	if err := s.print(results, map[string]string{"d": "nothing reads it"}); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(out.String(), "\n")
	for _, want := range []string{
		"excluded: d: nothing reads it",
		"1 0 % 100 % 0 % 100 % 21-100 % engine",
		"2 50 % 0 % 0 % 0 % 0-66 % server and below",
		"3 33 % 33 % 0 % 33 % 6-79 % all",
	} {
		found := false
		for _, line := range lines {
			found = found || strings.Join(strings.Fields(line), " ") == want
		}
		if !found {
			t.Errorf("it does not print %q:\n%s", want, out)
		}
	}
}

// TestFilesAreChosen: by patterns of which each has to match something.
func TestFilesAreChosen(t *testing.T) {
	all := []mutant.Mutant{{ID: "a", File: "engine/lease.go"}, {ID: "b", File: "engine/leases.go"}, {ID: "c", File: "server/answer/leases.go"}}
	for patterns, want := range map[string]int{"": 3, "engine/lease*.go": 2, "engine/lease.go,server/*/leases.go": 2, "leases.go": -1, "engine/lease.go,engine/x*.go": -1, "[": -1} {
		var list []string
		if patterns != "" {
			list = strings.Split(patterns, ",")
		}
		chosen, err := inFiles(all, list)
		if err == nil && len(chosen) != want || (err != nil) != (want < 0) {
			t.Errorf("%q: %v, %v", patterns, chosen, err)
		}
	}
}

// TestTestsThatComeByAMutant: they are tried on it, and no others.
func TestTestsThatComeByAMutant(t *testing.T) {
	script := filepath.Join(t.TempDir(), "tests")
	if err := os.WriteFile(script, []byte(`#!/bin/sh
case "$*" in
-h) echo "  -rapid.nofailfile" >&2; exit 2 ;;
*-test.list*) printf 'TestOne\nTestTwo\nBenchmarkThree\n'; exit 0 ;;
*-rapid.nofailfile*) ;;
*) exit 9 ;;
esac
case "$MUTANT_ON $*" in
*Three*) exit 9 ;;
record*One*) echo 1 >>"$MUTANT_REACHED" ;;
record*Two*) printf '2\n3\n' >>"$MUTANT_REACHED" ;;
3*) ;;
*Two*) echo "--- FAIL: TestTwo (0.00s)"; exit 1 ;;
esac
`), 0o755); err != nil {
		t.Fatal(err)
	}
	s, out := scoringOf(t, script, "")
	s.dir, s.tests, s.o.mutants.first = t.TempDir(), []*testProgram{{dir: t.TempDir(), program: script}}, true
	if err := s.recordTests(t.Context()); err != nil {
		t.Fatal(err)
	}
	var results []mutant.Result
	for i, want := range []string{"", "TestTwo", ""} {
		r := s.try(t.Context(), mutant.Mutant{ID: fmt.Sprintf("engine:f:drop:0:%d", i+1), Package: "engine", Number: uint32(i + 1)})
		if r.By[mutant.Tests] != want || r.Seen() != (want != "") || r.Killed() {
			t.Errorf("mutant %d is seen by %v, want %q", i+1, r.By, want)
		}
		results = append(results, r)
	}
	s.o.mutants.tests = true
	if err := s.print(results, nil); err != nil {
		t.Fatal(err)
	}
	if want := "3 100 % 0 % 0 % 33 % 0 % 0-56 % 33 % 6-79 % all"; !strings.Contains(strings.Join(strings.Fields(out.String()), " "), want) {
		t.Errorf("it does not print %q:\n%s", want, out)
	}
}
