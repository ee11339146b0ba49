package scenario

import (
	"fmt"
	"strings"
	"testing"

	"statehouse.dev/statehouse/sim"
	"statehouse.dev/statehouse/sim/simtest"
)

// TestStepsNotRun: of a scenario that does not fit it is said how far it came. What was not
// run is not judged, and no request of the observer's is taken for one of its calls.
func TestStepsNotRun(t *testing.T) {
	simtest.Single(t)
	const text = `scenario: a
title: b
class: recoverable
expect: ok
must: ['duplicated request']
steps:
  - start
  - 'c transact t put a/k {"n":1} => ts=1'
  - fault sync-error file=wal
  - deliver nobody
  - 'c get a/k => {"n":1}'
  - 'c agents default => agents=a'
  - 'c #9 keys a => keys=k'
`
	s, err := Read(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	var trace strings.Builder
	r, err := s.Run(sim.Options{Trace: func(format string, args ...any) { fmt.Fprintf(&trace, format+"\n", args...) }})
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Violations) != 1 || r.Violations[0].Check != "step-does-not-fit" || len(r.Did) != 3 {
		t.Errorf("it did %d steps, and breaks %+v", len(r.Did), r.Violations)
	}
	for _, op := range r.History.Operations {
		if op.ID != 1 && (op.Client != sim.Observer || op.ID == 2 || op.ID == 3 || op.ID == 9) {
			t.Errorf("#%d is a call of %s", op.ID, op.Client)
		}
	}
	want := "step 4 (deliver nobody): the step does not fit: there is no such call; the 3 steps after it were not run"
	if err := s.Verdict(r); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("the verdict is %v, want %q", err, want)
	}
	for _, want := range []string{"    1  start\n", "         #1 of c: ts=1 a/k@1\n", "       deliver nobody\n         the step does not fit: there is no such call\n       c #2 get a/k => {\"n\":1}\n         not run\n"} {
		if !strings.Contains(trace.String(), want) {
			t.Errorf("the trace has no %q:\n%s", want, trace.String())
		}
	}
}

// TestTrace: under every step of a run stands what came of it: answers, refusals, what
// struck. Steps that are only tried are not shown.
func TestTrace(t *testing.T) {
	simtest.Single(t)
	steps := `[start, 'c transact t put a/k {"n":1} put a/l {}', 'c transact u put a/k {} expect=0', 'c get a/l', 'c get a/m', 'c scan a', 'c replay a', 'c keys a limit=1',
  'c begin v', 'c outcome t', 'c get a/k &', drop c, fault sync-error file=wal, 'c transact w put a/k {}', 'c get a/k', start, jump 1h]`
	s, err := Read(strings.NewReader("scenario: a\ntitle: b\nclass: fatal\nexpect: ok\nsteps: " + steps + "\n"))
	if err != nil {
		t.Fatal(err)
	}
	var trace strings.Builder
	r, err := s.Run(sim.Options{Trace: func(format string, args ...any) { fmt.Fprintf(&trace, format+"\n", args...) }})
	if err != nil {
		t.Fatal(err)
	}
	told := trace.String()
	for _, want := range []string{
		"daemon start: published 0", "#1 of c: ts=1 a/k@1,a/l@1", "#2 of c: PRECONDITION_FAILED (fail): ", "#3 of c: {} v=1 at ts 1", "#4 of c: absent\n",
		`#5 of c: a/k {"n":1} v=1 at ts 1, a/l {} v=1 at ts 1`, "#6 of c: events=1, up to 1", "#7 of c: keys=k and another page", "#8 of c: ok, it reads at 1",
		"#9 of c: state=committed ts=1", "network request lost: #10", "disk fault: sync-error file=wal nth=1 at sync /data/store/", "daemon died: halt: ",
		"#12 of c: unavailable (unknown): connection refused", "clock jump: 1h0m0s",
	} {
		if !strings.Contains(told, want) {
			t.Errorf("the trace has no %q", want)
		}
	}
	if strings.Contains(told, "       reply #1\n       plan") {
		t.Error("a step that did not fit is in the trace")
	}
	if t.Failed() {
		t.Log(told)
	}
	happened := len(Happenings(r.Result))
	if happened < 20 {
		t.Errorf("%d things happened", happened)
	}
}
