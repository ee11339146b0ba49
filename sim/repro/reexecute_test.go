package repro

import (
	"slices"
	"testing"
	"time"

	"statehouse.dev/statehouse/history"
	"statehouse.dev/statehouse/linearizability/verdict"
	"statehouse.dev/statehouse/sim"
	"statehouse.dev/statehouse/sim/fuzz"
	"statehouse.dev/statehouse/sim/scenario"
	"statehouse.dev/statehouse/sim/simtest"
	"statehouse.dev/statehouse/sim/step"
)

// captured is the history of a generated run, with its log.
func captured(t *testing.T, seed uint64) *history.History {
	t.Helper()
	r := fuzz.Generate(seed, sim.Options{})
	if r.Failed() || !r.History.Complete {
		t.Fatalf("seed %d: %v", seed, r.Violations)
	}
	return r.History
}

// TestReexecuteAgrees does what clients of runs with crashes and faults committed again:
// whatever went wrong on the way, the log is the same, wherever it is begun.
func TestReexecuteAgrees(t *testing.T) {
	simtest.Single(t)
	asked, reads := 0, 0
	for seed := range uint64(30) {
		h := captured(t, seed+1)
		for _, limit := range []int{len(h.Log), len(h.Log)/2 + 1, 1} {
			x, err := Reexecute(h, limit, nil)
			if err != nil {
				t.Fatalf("seed %d: %v", seed+1, err)
			}
			if x.Divergence != nil {
				t.Errorf("seed %d, the last %d of %d: %+v", seed+1, limit, len(h.Log), *x.Divergence)
			}
			if want := min(limit, len(h.Log)); x.Commits != want {
				t.Errorf("seed %d: %d commits instead of %d", seed+1, x.Commits, want)
			}
			asked += x.Commits - x.Rebuilt
			reads += x.Reads
		}
	}
	if asked < 500 || reads < 100 {
		t.Errorf("only %d commits of captured requests and %d reads were done again", asked, reads)
	}
}

// TestReexecuteDiverges: what a build did otherwise is named, with its place.
func TestReexecuteDiverges(t *testing.T) {
	simtest.Single(t)
	const other = `{"other":1}`
	commits := map[string]func(w history.Write) bool{
		"a commit":     func(w history.Write) bool { return !w.Evaluates() },
		"an increment": func(w history.Write) bool { return w.Op == history.Increment },
	}
	for name, like := range commits {
		t.Run(name, func(t *testing.T) {
			made := func(h *history.History, op *history.Operation) int {
				return slices.IndexFunc(h.Log, func(ev history.Event) bool { return ev.TxnID == op.In.TxnID && !ev.Ops[0].Delete })
			}
			h, op := with(t, func(h *history.History, op *history.Operation) bool {
				return op.Kind == history.Transact && op.Outcome == history.OK && len(op.In.Writes) == 1 && like(op.In.Writes[0]) && made(h, op) >= 0
			})
			at := made(h, op)
			h.Log[at].Ops[0].Value = other
			diverges(t, h, h.Log[at].CommitTS, 0)
		})
	}
	t.Run("a read", func(t *testing.T) {
		h, op := with(t, func(_ *history.History, op *history.Operation) bool {
			return op.Kind == history.Get && op.Outcome == history.OK && op.In.TxnID == "" && op.Out.ReadTS > 0 && op.Out.Records[0].Exists && !op.In.NoValues
		})
		op.Out.Records[0].Value = other
		diverges(t, h, op.Out.ReadTS, op.ID)
	})
}

// with is a run's history that has an operation like this, and the operation.
func with(t *testing.T, like func(*history.History, *history.Operation) bool) (*history.History, *history.Operation) {
	t.Helper()
	for seed := range uint64(40) {
		h := captured(t, seed+1)
		if at := slices.IndexFunc(h.Operations, func(op *history.Operation) bool { return like(h, op) }); at >= 0 {
			return h, h.Operations[at]
		}
	}
	t.Fatal("no run has such an operation")
	return nil, nil
}

func diverges(t *testing.T, h *history.History, ts uint64, op int) {
	t.Helper()
	x, err := Reexecute(h, len(h.Log), nil)
	if err != nil {
		t.Fatal(err)
	}
	if d := x.Divergence; d == nil || d.CommitTS != ts || op != 0 && d.Op != op {
		t.Errorf("it differs at %d (operation %d), and this was found: %+v", ts, op, d)
	}
}

// TestSearchGoesOn: a try follows from its number alone, so that a search which was
// stopped and one which was not do the same, and a guarantee that holds is not broken.
func TestSearchGoesOn(t *testing.T) {
	simtest.Single(t)
	h := captured(t, 3)
	v := verdict.Violation{Guarantee: "G3", Check: "read-set-changed", Op: h.Operations[len(h.Operations)/2].ID}
	script := func() *Script {
		s, err := NewScript(h, v)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	tries := func(s *Search, n uint64) {
		began := time.Unix(0, 0)
		clock := began
		s.Now = func() time.Time { return clock }
		s.Deadline = began.Add(time.Duration(n))
		s.Progress = func(uint64) { clock = clock.Add(1) }
		if found := s.Run(); found != nil {
			t.Fatalf("%+v", found.Violation)
		}
	}
	whole := &Search{Script: script(), Target: scenario.Breach{Guarantee: v.Guarantee, Check: v.Check}}
	tries(whole, 12)
	first := &Search{Script: script(), Target: whole.Target}
	tries(first, 7)
	rest := &Search{Script: script(), Target: whole.Target, Try: first.Try}
	tries(rest, 5)
	if whole.Try != 12 || rest.Try != 12 {
		t.Errorf("%d and %d tries", whole.Try, rest.Try)
	}
	for try := range uint64(12) {
		a, captured := whole.do(try)
		b, _ := rest.do(try)
		if !slices.EqualFunc(a.Steps, b.Steps, func(x, y step.Step) bool { return x.String() == y.String() }) {
			t.Errorf("try %d is not the same twice", try)
		}
		if captured == own(try) {
			t.Errorf("try %d: whose requests are they?", try)
		}
	}
	if len(whole.Faults()) == 0 {
		t.Error("nothing went wrong in all these tries")
	}
}
