package serial

import (
	"math"
	"slices"
	"strconv"

	"statehouse.dev/statehouse/history"
)

// addRefusals adds what refusals of commits say of the state: that a key, or an agent's
// head, was at a version which is not the one that was wanted. It was so at some moment
// from when the commit was first asked for until it was refused. Such a constraint has no
// place, but it did happen, and it does nothing.
func (c *constraints) addRefusals(t *txn) {
	if len(t.attempts) == 0 || c.missing.before || c.missing.of(t) {
		return // it may have been decided where the state is not known
	}
	first := int64(math.MaxInt64) // the answer may have been decided then
	for _, op := range t.attempts {
		first = min(first, op.Call)
	}
	for _, op := range t.attempts {
		if op.Outcome != history.Fail || op.Error == nil {
			continue
		}
		if s, of := refusedLease(op.Error); of {
			c.refused = append(c.refused, &constraint{op: op, call: first, ret: op.Return, firm: true, sees: []sight{s}})
		}
		if op.Error.Code != "PRECONDITION_FAILED" && op.Error.Code != "CONFLICT" {
			continue
		}
		if op.Kind == history.Transact && op.In.Reads == nil && op.Error.Code == "CONFLICT" {
			c.breaks(&constraint{op: op}, "G4", "conflict-without-reading", "it was refused because of a read, and reads nothing")
		}
		if _, listed := op.Error.Details["range"]; listed {
			continue // of a key in a listing it names a version since the snapshot, not the last
		}
		n, version := op.Error.Named(), op.Error.Details["current_version"]
		if head, has := op.Error.Details["current_head"]; has {
			n, version = headOf(n.Namespace, n.Agent), head
		}
		was, err := strconv.ParseUint(version, 10, 64)
		if err != nil {
			continue // it does not say
		}
		f := facts{known: knowsVersion, version: was}
		if op.Error.Says("expected_version", 0) { // it was to be absent, and is not
			f.known, f.exists = f.known|knowsExists, true
		}
		c.refused = append(c.refused, &constraint{op: op, call: first, ret: op.Return, firm: true, sees: []sight{{n, f}}})
	}
}

// refusedIn lists the refusals that must have happened within a window: after one of its
// constraints that was over before, and before one that was called afterwards. Where a window
// begins or ends with the history, that holds of all.
func (c *constraints) refusedIn(placed []*constraint, first, last bool) []*constraint {
	var list []*constraint
	for _, a := range c.refused {
		after := first || slices.ContainsFunc(placed, func(b *constraint) bool { return b.ret < a.call })
		before := last || slices.ContainsFunc(placed, func(b *constraint) bool { return b.call > a.ret })
		if after && before {
			list = append(list, a)
		}
	}
	return list
}
