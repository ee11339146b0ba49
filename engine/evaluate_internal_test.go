package engine

import (
	"context"
	"fmt"
	"testing"
)

// clearing is an operation that deletes what a scan finds, as kinds on many keys do.
type clearing struct{ most int }

func (clearing) hasValue() bool                                  { return false }
func (c clearing) check(w *Write, _ *Limits) (Evaluation, error) { return c, w.Name.Normalize() }
func (c clearing) fingerprint(b []byte) []byte                   { return append(b, 'c', byte(c.most)) }
func (clearing) result(_ *results, op *askedOp) (OpResult, error) {
	return OpResult{Name: op.name}, nil
}
func (c clearing) evaluate(v *evaluation, op *askedOp) (err error) {
	n := 0
	return v.scan(op.name.AgentName(), op.name.Key, func(key string) bool {
		v.remove(RecordName{Namespace: op.name.Namespace, Agent: op.name.Agent, Key: key})
		n++
		return n < c.most
	})
}

// TestScanSeesAllThatIsPlanned: an operation that scans sees every commit before it, the step's own
// among them, and what the operations before it in its request wrote; many such take their turn.
func TestScanSeesAllThatIsPlanned(t *testing.T) {
	r := newListingRig(t)
	r.mustCommit("a", "k/1", "k/2", "other")
	ask := func(id string, ws ...Write) (CommitResult, error) {
		return r.Transact(context.Background(), TxnID(id), ws, Conditions{})
	}
	value := func(key string) Write {
		return Write{Name: RecordName{Agent: "a", Key: key}, Value: []byte(`{}`)}
	}
	cleared := Write{Name: RecordName{Agent: "a", Key: "k/"}, Eval: clearing{most: 100}}
	all := func() {
		for i := range 20 {
			if i%2 == 0 {
				_, _ = ask(fmt.Sprint("write-", i), value(fmt.Sprint("k/new-", i)))
			} else {
				_, _ = ask(fmt.Sprint("clear-", i), value("k/own"), cleared, value("k/after"))
			}
		}
	}
	r.leave = true
	all()
	r.leave = false
	steps := 0
	for r.Step() {
		steps++
	}
	if steps != 11 { // the first one has the writes
		t.Errorf("ten operations that scan one agent took %d steps", steps)
	}
	s, err := r.Snapshot(At{})
	if err != nil {
		t.Fatal(err)
	}
	records, _, err := s.Scan(ScanOptions{Agent: AgentName{Namespace: "", Agent: "a"}})
	if err != nil || len(records) != 2 || records[0].Name.Key != "k/after" || records[1].Name.Key != "other" {
		t.Errorf("G3: %v are left, %v", records, err)
	}
	last, err := ask("clear-1", value("k/own"), cleared, value("k/after"))
	if err != nil || len(last.Versions) != 2+2+10 { // with k/1 and k/2, its own two, and those of the first step
		t.Errorf("G6: the first one answers %v, %v", last.Versions, err)
	}
	if r.Held().Commits.Queued != 0 || r.Held().Commits.Bytes != 0 || r.Held().Commits.Undecided != 0 {
		t.Errorf("G9: %+v is held", r.Held().Commits)
	}
}

// TestStepBoundsEvaluations: a step does not make more than its share of values out of requests
// that are small themselves.
func TestStepBoundsEvaluations(t *testing.T) {
	r := newListingRig(t)
	r.planner.stepBytes = 10_000
	big := fmt.Sprintf(`{"text":"%4000s","n":0}`, "")
	if _, err := r.Transact(context.Background(), "big", []Write{{Name: RecordName{Agent: "a", Key: "k"}, Value: []byte(big)}}, Conditions{}); err != nil {
		t.Fatal(err)
	}
	ask := func(i int) (CommitResult, error) {
		return r.Transact(context.Background(), TxnID(fmt.Sprint("i-", i)), []Write{{Name: RecordName{Agent: "a", Key: "k"}, Eval: Increment{Pointer: "/n", Delta: "1"}}}, Conditions{})
	}
	r.leave = true
	for i := range 9 {
		_, _ = ask(i)
	}
	r.leave = false
	steps := 0
	for ; r.Step(); steps++ {
		if n := len(r.planner.step); n > 3 {
			t.Errorf("G9: a step made %d values of 4,000 bytes", n)
		}
	}
	if steps != 3 {
		t.Errorf("9 increments took %d steps", steps)
	}
	for i := range 9 {
		if c, err := ask(i); err != nil || c.Versions[0].Version != Version(2+i) {
			t.Errorf("G6: increment %d made version %v, %v", i, c.Versions, err)
		}
	}
}
