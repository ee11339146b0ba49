package scenario

import (
	"strings"
	"testing"

	"statehouse.dev/statehouse/sim/simtest"
)

// TestFaultNeverStrikes: a scenario whose fault did not strike fails and says so, unless the
// fault is marked. Faults that are alike are told apart, and one on a disk that is gone
// does not strike the next.
func TestFaultNeverStrikes(t *testing.T) {
	simtest.Single(t)
	for name, c := range map[string]struct { // order cannot matter
		steps string
		step  string // of the fault that did not strike; empty: the scenario passes
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
		s, err := Read(strings.NewReader("scenario: a\ntitle: b\nclass: fatal\nexpect: ok\nsteps: " + c.steps + "\n"))
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

// TestScenarioIsStrict: what a scenario must not say.
func TestScenarioIsStrict(t *testing.T) {
	good := "scenario: a\ntitle: b\nclass: recoverable\nexpect: ok\nsteps: [start]\n"
	if _, err := Read(strings.NewReader(good)); err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{
		good + "colour: red\n",
		strings.Replace(good, "recoverable", "lucky", 1),
		strings.Replace(good, "[start]", "[]", 1),
		strings.Replace(good, "[start]", "[jump]", 1),
		strings.Replace(good, "[start]", "[c1 get nothing]", 1),
		strings.Replace(good, "expect: ok", "expect: violation", 1),
		good + "---\n" + good,
	} {
		if _, err := Read(strings.NewReader(bad)); err == nil {
			t.Errorf("this is taken for a scenario:\n%s", bad)
		}
	}
}
