package sim

import (
	"strings"
	"testing"

	"statehouse.dev/statehouse/sim/simdisk"
)

// TestStoreOps holds the table of what a store does on its files to what it is seen to do
// in the stories and in some runs: a fault that could strike must not be refused, and one
// that never can must be.
func TestStoreOps(t *testing.T) {
	single(t)
	type pair struct {
		class simdisk.Class
		op    simdisk.OpKind
	}
	seen := make(map[pair]string)
	watch := func(w *World) {
		w.CutPower(func(p Point) bool {
			seen[pair{p.Class, p.Kind}] = p.Path
			return false
		}, simdisk.CrashOptions{})
	}
	for _, s := range stories(t) { // a union: order cannot matter
		w := NewWorld(s.Seed, s.Config, Options{})
		watch(w)
		for _, st := range s.Steps {
			if err := w.Apply(st); err != nil {
				t.Fatalf("%s: %v", s.ID, err)
			}
		}
		w.Finish()
	}
	for seed := range uint64(seeds / 2) {
		s := Draw(seed+1, "")
		w := NewWorld(seed+1, s.Config, Options{})
		watch(w)
		play(w, s)
		w.Finish()
	}
	for p, path := range seen { // each on its own: order cannot matter
		if !storeDoes(p.class, p.op) {
			t.Errorf("%s on %s of class %s is not in storeOps, so a fault of it would be refused", p.op, path, p.class)
		}
	}
	for _, class := range simdisk.Classes() {
		for _, op := range simdisk.OpKinds() {
			if _, ok := seen[pair{class, op}]; !ok && storeDoes(class, op) {
				t.Errorf("%s on a file of class %s never happens, so a fault of it could never strike", op, class)
			}
		}
	}
}

// TestFaultsOfSeedsCanStrike: what the nemesis arms is nothing that a story may not.
func TestFaultsOfSeedsCanStrike(t *testing.T) {
	var all []string
	for _, class := range Classes() {
		all = append(all, faultsOf(class)...)
	}
	for _, in := range insides {
		all = append(all, in.fault)
	}
	for _, text := range all {
		if _, err := ParseStep("fault " + text); err != nil {
			t.Error(err)
		}
	}
}

// TestFaultRefused: a fault that could never strike, and a harm that no file could come
// to, are refused with a list of what there is.
func TestFaultRefused(t *testing.T) {
	for step, want := range map[string]string{ // order cannot matter
		"fault sync-error file=walll":                "want one of [wal manifest",
		"fault sync-error file=WAL":                  "want one of [wal manifest",
		"fault crash file=sstables op=write":         "want one of [wal manifest",
		"fault sync-error file=dir":                  "sees no sync, only [open dirsync mkdir]",
		"fault dirsync-error file=wal":               "sees no dirsync, only [create open",
		"fault rename-error file=marker":             "sees no rename, only [create remove]",
		"fault bitflip file=dir":                     "sees no read",
		"fault crash file=options op=sync":           "sees no sync, only [open read rename remove]",
		"fault stall file=lock op=write":             "sees no write, only [open lock]",
		"fault lock-error file=wal":                  "sees no lock",
		"fault link-error":                           "nothing in a store is done by link",
		"fault crash op=link":                        "nothing in a store is done by link",
		"fault sync-error file=wal maybe maybe":      `bad or repeated "maybe"`,
		"fault maybe sync-error file=wal":            `bad or repeated "sync-error"`,
		"rot walll":                                  "want one of [wal manifest",
		"rot dir":                                    "want one of [wal manifest",
		"truncate wal nth=0":                         "nth=0",
		"rot wal where=1.5":                          "where=1.5",
		"rot wal where=NaN":                          "where=NaN",
		"rot wal bit=8":                              "bit=8",
		"c1 #0 get a/k":                              "#0 is no id",
		"c1 #99999999999 get a/k":                    "is no id",
		"c1 transact t put a/k {} => absent":         "can never be absent",
		"c1 transact t put a/k {} => keys=":          "can never be keys=",
		"c1 get a/k => ts=0":                         "can never be ts=0",
		"c1 get a/k => events=":                      "can never be events=",
		"c1 replay a => v=0":                         "can never be v=0",
		"c1 outcome t => {\"n\":1}":                  "can never be",
		"c1 agents default => state=":                "can never be state=",
		"c1 history a/k => agents=":                  "can never be agents=",
		"fault sync-error file=wal nth=1 maybe when": "bad or repeated",
	} {
		if s, err := ParseStep(step); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %+v, %v, want %q", step, s, err, want)
		}
	}
	for _, step := range []string{"fault sync-error file=wal nth=2 maybe", "fault crash op=sync nth=1 when=before mode=torn maybe", "fault read-error file=000004.log nth=1", "fault write-error nth=1"} {
		if s, err := ParseStep(step); err != nil || s.String() != step {
			t.Errorf("%s: %v, %s", step, err, s)
		}
	}
}

// TestFaultNeverStrikes: a story whose fault did not strike fails and says so, unless the
// fault is marked. Faults that are alike are told apart, and one on a disk that is gone
// does not strike the next.
func TestFaultNeverStrikes(t *testing.T) {
	single(t)
	for name, c := range map[string]struct { // order cannot matter
		steps string
		step  string // of the fault that did not strike; empty: the story passes
	}{
		"too late":          {"[start, fault sync-error file=wal nth=99, 'c transact t put a/k {} => ts=1']", "step 2 "},
		"marked":            {"[start, fault sync-error file=wal nth=99 maybe, 'c transact t put a/k {} => ts=1']", ""},
		"struck":            {"[start, fault sync-error file=wal, 'c transact t put a/k {} => unavailable']", ""},
		"one of two alike":  {"[start, fault sync-error file=wal, fault sync-error file=wal, 'c transact t put a/k {} => unavailable']", "step 3 "},
		"healed before":     {"[start, fault sync-error file=wal, heal, 'c transact t put a/k {} => ts=1']", "step 2 "},
		"its process ended": {"[start, fault sync-error file=wal, kill, start, 'c transact t put a/k {} => ts=1']", "step 2 "},
		"no such operation": {"[start, fault write-error file=sstable, 'c transact t put a/k {} => ts=1']", "step 2 "},
		"on what is healed": {"[start, fault stall file=wal op=sync, heal, fault stall file=wal op=sync, 'c transact t put a/k {} => ts=1']", "step 2 "},
	} {
		s, err := ReadScenario(strings.NewReader("scenario: a\ntitle: b\nclass: fatal\nexpect: ok\nsteps: " + c.steps + "\n"))
		if err != nil {
			t.Fatal(err)
		}
		err = s.Verdict(run(t, s))
		switch {
		case c.step == "" && err != nil:
			t.Errorf("%s: %v", name, err)
		case c.step != "" && (err == nil || !strings.Contains(err.Error(), c.step) || !strings.Contains(err.Error(), "never struck") || strings.Contains(err.Error(), "more)")):
			t.Errorf("%s: the verdict is %v", name, err)
		}
	}
}
