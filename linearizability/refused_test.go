package linearizability

import (
	"testing"

	"statehouse.dev/statehouse/history"
	"statehouse.dev/statehouse/linearizability/serial"
)

// TestPorcupineSeesRefusals: the second judge, by itself, allows a refusal only where the
// state was, at some moment until it came, as it says.
func TestPorcupineSeesRefusals(t *testing.T) {
	twice := func(r *reference) {
		r.transact("a", put("x", "k", "1"))
		r.transact("a", put("x", "k", "2"))
	}
	refused := func(r *reference, expected, current uint64) *history.Operation {
		op := refuse(r.transact("b", expecting(put("x", "k", "3"), expected)), "PRECONDITION_FAILED", failedOn(key("x", "k"), expected, current)...)
		r.forget(1)
		return op
	}
	for about, c := range map[string]struct { // any order
		illegal bool
		tell    func(r *reference)
	}{
		"the version that it was":         {false, func(r *reference) { twice(r); refused(r, 1, 2) }},
		"a version that was overwritten":  {true, func(r *reference) { twice(r); refused(r, 2, 1) }},
		"a version that never was":        {true, func(r *reference) { twice(r); refused(r, 2, 3) }},
		"absent, and it was there":        {true, func(r *reference) { twice(r); refused(r, 2, 0) }},
		"of a key that never was":         {false, func(r *reference) { refused(r, 2, 0) }},
		"overwritten while it was asked":  {false, func(r *reference) { twice(r); refused(r, 2, 1).Call = r.h.Operations[1].Call }},
		"a version that came only later":  {true, func(r *reference) { twice(r); op := refused(r, 2, 1); op.Call, op.Return = -2, -1 }},
		"a head that it was":              {false, func(r *reference) { twice(r); refusedHead(r, 1, 2) }},
		"a head that was another":         {true, func(r *reference) { twice(r); refusedHead(r, 2, 1) }},
		"a conflict that was one":         {false, func(r *reference) { conflict(r, 2) }},
		"a conflict with what was before": {true, func(r *reference) { conflict(r, 1) }},
	} {
		r := newReference()
		c.tell(r)
		p := serial.Check(r.h, serial.Options{})
		if (len(p.Violations) > 0) != c.illegal || p.Unknown {
			t.Errorf("%s: %+v", about, p.Violations)
		}
	}
}

// refusedHead is a refusal on an agent's head.
func refusedHead(r *reference, expected, current uint64) {
	refuse(r.do("b", history.Transact, history.Input{TxnID: "h", Writes: []history.Write{put("y", "k", "1")}, Heads: []history.HeadCondition{{Namespace: "ns", Agent: "x", Expected: expected}}}),
		"PRECONDITION_FAILED", "namespace", "ns", "agent_id", "x", "expected_head", "0", "current_head", string(rune('0'+current)))
	r.forget(1)
}

// conflict is one of a transaction that had read a key which another has changed since.
func conflict(r *reference, current uint64) {
	r.transact("a", put("x", "k", "1"))
	t := r.begin("b")
	r.do("b", history.Get, history.Input{TxnID: t, Agent: "x", Key: "k"})
	r.transact("a", put("x", "k", "2"))
	r.stage("b", t, put("x", "l", "1"))
	refuse(r.do("b", history.Commit, history.Input{TxnID: t}), "CONFLICT", conflictOn(key("x", "k"), 1, current)...)
	r.forget(1)
}
