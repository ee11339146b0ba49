package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"statehouse.dev/statehouse/history/zst"
	"statehouse.dev/statehouse/sim"
	"statehouse.dev/statehouse/sim/fuzz"
)

// Nothing here may end well without having run.

// packedText is text as Zstandard.
func packedText(t *testing.T, text string) string {
	t.Helper()
	var b strings.Builder
	w, err := zst.NewWriter("x"+zst.Suffix, &b)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// small is a scenario of these steps.
func small(id, steps string) string {
	return "scenario: " + id + "\ntitle: b\nclass: fatal\nexpect: ok\nsteps: " + steps + "\n"
}

// TestCIRunsEverySort: everything in a directory that can be run or judged is, also in
// folders of it, compressed, and with the other ending.
func TestCIRunsEverySort(t *testing.T) {
	good, broken := golden(t)
	dir := folder(t, map[string]string{
		"a.jsonl.zst": packedText(t, broken), "b.yml": small("b", "[start, deliver nobody]"), "c.jsonl.zst": packedText(t, broken), "c.expect": "illegal",
		"notes.md": "", "report.html": "", ".gitkeep": "", "d.jsonl": good, "a.jsonl.search": "",
	})
	if err := os.Mkdir(filepath.Join(dir, "more"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "more", "e.jsonl"), []byte(broken), 0o644); err != nil {
		t.Fatal(err)
	}
	code, out, errs := tool(t, "ci", "--no-scenarios", "--seeds", "0", "--regressions", dir)
	if code != exitViolation {
		t.Errorf("exit code %d: %s", code, errs)
	}
	for _, want := range []string{`regressions +5 +2 +3 `, `regressions a.jsonl.zst G`, `regressions more/e.jsonl G`, `regressions b does not end as it says`} {
		if !regexp.MustCompile(want).MatchString(out) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
}

// TestCINamesWhatItDoesNotRun: a file of an unknown sort, and an empty directory, are errors
// that name it.
func TestCINamesWhatItDoesNotRun(t *testing.T) {
	good, _ := golden(t)
	empty := folder(t, map[string]string{"README.md": ""})
	file := func(name, text string) string {
		return folder(t, map[string]string{"a.yaml": small("a", "[start]"), name: text})
	}
	t.Chdir(t.TempDir())
	for _, c := range []struct {
		args []string
		want string
	}{
		{nil, "there is no directory scenarios here"},
		{[]string{"--no-scenarios", "a.yaml"}, "--no-scenarios, and scenarios: a.yaml"},
		{[]string{empty}, "there are no scenarios in " + empty},
		{[]string{"--no-scenarios", "--regressions", empty}, "there is nothing to run in " + empty},
		{[]string{file("b.yaml.bak", "")}, "b.yaml.bak would not be run"},
		{[]string{file("b.YAML", "")}, "b.YAML would not be run"},
		{[]string{file("b", "")}, "b would not be run"},
		{[]string{file("b.jsonl", good)}, "b.jsonl is a history, and would not be judged here"},
		{[]string{"--no-scenarios", "--regressions", file("b.jsonl.gz", "")}, "b.jsonl.gz would not be run"},
		{[]string{"--no-scenarios", "--regressions", file("b.zst", "")}, "b.zst would not be run"},
		{[]string{"--no-scenarios", "--regressions", file("b.bundle", "")}, "b.bundle would not be run"},
		{[]string{"--no-scenarios", "--regressions", file("a.expect", "ok")}, "a.expect speaks of a history that is not there"},
	} {
		if code, out, errs := tool(t, append([]string{"ci", "--seeds", "1"}, c.args...)...); code != exitUsage || !strings.Contains(errs, c.want) || out != "" {
			t.Errorf("%v: exit code %d, %s%s", c.args, code, out, errs)
		}
	}
	if err := os.Mkdir("scenarios", 0o755); err != nil {
		t.Fatal(err)
	}
	if code, _, errs := tool(t, "ci", "--seeds", "1"); code != exitUsage || !strings.Contains(errs, "there are no scenarios in scenarios") {
		t.Errorf("exit code %d, %s", code, errs)
	}
}

// TestCIOfNothing: what was run and shows nothing has not passed.
func TestCIOfNothing(t *testing.T) {
	dir := folder(t, map[string]string{
		"a.jsonl": "{\"format\":\"statehouse-history\",\"version\":1,\"unit\":\"ns\"}\n{\"end\":{\"complete\":true,\"lines\":1}}\n",
		"b.jsonl": "", "c.yaml": "",
		"d.yaml": small("d", "[start, fault sync-error file=wal nth=99, 'c transact t put a/k {} => ts=1']"),
		"e.yaml": small("e", "[start, fault sync-error file=walll]"),
	})
	code, out, _ := tool(t, "ci", "--no-scenarios", "--seeds", "0", "--regressions", dir)
	for _, want := range []string{`regressions +5 +0 +5 `, "a.jsonl means nothing", "holds no operation", "b.jsonl cannot be read", "c.yaml is no scenario", "it is empty", "the fault never struck", `"walll" is no class`} {
		if !regexp.MustCompile(want).MatchString(out) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	if code != exitVacuous {
		t.Errorf("exit code %d", code)
	}
	if code, _, errs := tool(t, "repro", filepath.Join(dir, "a.jsonl"), "--dir", dir); code != exitVacuous || !strings.Contains(errs, "holds no operation") {
		t.Errorf("exit code %d, %s", code, errs)
	}
}

// TestVacuousSeedsHaveNotPassed: they are counted by themselves.
func TestVacuousSeedsHaveNotPassed(t *testing.T) {
	unraced(t)
	undo := single()
	seed := uint64(1)
	for ; !fuzz.Generate(seed, sim.Options{}).Vacuous(); seed++ {
		if seed > 400 {
			t.Fatal("no seed is vacuous")
		}
	}
	undo()
	first := fuzz.Generate(seed-1, sim.Options{}) // the loop went by it
	if seed == 1 || first.Vacuous() {
		t.Skip("two in a row")
	}
	code, out, errs := tool(t, "ci", "--no-scenarios", "--seeds", "2", "--seed", fmt.Sprint(seed-1))
	if want := regexp.MustCompile(`seeds +2 +1 +0 +1 `); code != 0 || !want.MatchString(out) {
		t.Errorf("exit code %d\n%s%s", code, out, errs)
	}
	code, _, errs = tool(t, "ci", "--no-scenarios", "--seeds", "1", "--seed", fmt.Sprint(seed))
	if code != exitVacuous {
		t.Errorf("exit code %d, %s", code, errs)
	}
}

// TestNothingGiven: commands that are given nothing to do, or what there is not, say so.
func TestNothingGiven(t *testing.T) {
	dir := folder(t, map[string]string{"idle.yaml": small("idle", "[advance 1s]"), "wrong.yaml": small("wrong", "[start, 'c get a/k => {\"n\":1}']"), "good.yaml": small("good", "[start, 'c get a/k => absent']")})
	in := func(name string) string { return filepath.Join(dir, name) }
	for _, c := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"run"}, exitUsage, "give either --seed or scenario files"},
		{[]string{"run", in("none*.yaml")}, exitUsage, "no such file"},
		{[]string{"run", t.TempDir()}, exitUsage, "there are no scenarios in"},
		{[]string{"run", "--class", "lucky", "--seed", "1"}, exitUsage, "want one of"},
		{[]string{"run", "--class", "fatal", in("good.yaml")}, exitUsage, "--class is for --seed"},
		{[]string{"run", "--history", in("h.jsonl"), in("good.yaml"), in("idle.yaml")}, exitUsage, "are for one scenario"},
		{[]string{"sweep", in("wrong.yaml")}, exitViolation, "nothing was swept"},
		{[]string{"sweep", in("idle.yaml")}, exitVacuous, "nothing was tried"},
		{[]string{"sweep", scenarios + "canary-lost-ack.yaml"}, exitUsage, "is a canary"},
		{[]string{"shrink", in("wrong.yaml")}, exitUsage, "the scenario itself is wrong"},
		{[]string{"fuzz", "--seeds", "0", "--for", "1ns"}, exitVacuous, "no seed was run"},
		{[]string{"prove", "--only", "ack-before-sink"}, exitUsage, "there are ack-before-sync"},
		{[]string{"prove", "--workers", "0"}, exitUsage, "--workers at least 1"},
		{[]string{"prove", "--budget", "0s"}, exitUsage, "--budget must be more than 0"},
		{[]string{"plant", "ack-before-sink"}, exitUsage, "there are ack-before-sync"},
		{[]string{"repro", in("none.jsonl")}, exitUsage, "no such file"},
		{[]string{"repro", in("none.jsonl"), "--for", "0s"}, exitUsage, "--for must be more than 0"},
		{[]string{"explain", "--seed", "1", in("good.yaml")}, exitUsage, "give either"},
	} {
		if code, out, errs := tool(t, c.args...); code != c.code || !strings.Contains(errs, c.want) {
			t.Errorf("%v: exit code %d, %s%s", c.args, code, out, errs)
		}
	}
	if code, _, errs := tool(t, "run", "--history", in("h.jsonl"), in("good.yaml")); code != 0 || !strings.Contains(readFile(t, in("h.jsonl")), `"kind":"get"`) {
		t.Errorf("exit code %d, %s", code, errs)
	}
}

// TestSweepOfCorruption: after a file was corrupted a power cut may also destroy the evidence,
// so none is tried there; before that all are.
func TestSweepOfCorruption(t *testing.T) {
	unraced(t)
	code, out, errs := tool(t, "sweep", scenarios+"rot-in-log.yaml")
	if code != 0 || !regexp.MustCompile(`[1-9]\d+ crash points.* 0 failed`).MatchString(out) {
		t.Errorf("exit code %d\n%s%s", code, out, errs)
	}
}

// TestExplain: of a scenario that passes it says what came of each step, which faults struck,
// and what put each guarantee to the test; of one that does not, how far it came.
func TestExplain(t *testing.T) {
	code, out, errs := tool(t, "explain", scenarios+"sync-fails-once.yaml")
	for _, want := range []string{
		"    1  start\n         daemon start: published 0\n", "armed; strikes: 1", "=> unavailable\n         daemon died: halt: sync of", "#2 of coder: unavailable (unknown): connection reset",
		"#11 of reader: {\"step\":3} v=3 at ts 3, ", "kept every guarantee", "G7 (Fail-stop)              halts of the daemon: 2", "not tried G2, ",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q", want)
		}
	}
	if code != 0 || strings.Contains(out, "observer") || t.Failed() {
		t.Errorf("exit code %d\n%s%s", code, out, errs)
	}
	dir := folder(t, map[string]string{"a.yaml": small("a", `[start, deliver nobody, "c get a/k%1B%5B31m => absent"]`)})
	code, out, errs = tool(t, "explain", filepath.Join(dir, "a.yaml"))
	for _, want := range []string{"    2  deliver nobody\n         does not fit\n", "         not run\n", "step 2 (deliver nobody): the step does not fit"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q", want)
		}
	}
	if code != 0 || strings.Contains(out, "\x1b") || t.Failed() {
		t.Errorf("exit code %d\n%s%s", code, out, errs)
	}
}
