package oracle

import (
	"slices"

	"statehouse.dev/statehouse/history"
	"statehouse.dev/statehouse/linearizability/oracle/request"
)

// A request that is sent again has to be answered as it was the first time: it may not be
// refused because its id was used, if it was used by the same request.

// checkRepeated: a transact that is acknowledged is the one that was applied, also on the same
// conditions, whichever was asked first under its id.
func (j *judge) checkRepeated(t *txn, op *history.Operation, conditions []history.KeyCondition, ev *history.Event) {
	if before := ev.CommitTS - 1; before >= j.model.Base && !j.hold(op, conditions, before) {
		j.breaks(op, "G6", "other-conditions-acked", "TXN_ID_REUSED", "ok", "it was acknowledged as commit %d, before which its conditions did not hold", ev.CommitTS)
		return
	}
	mine := request.Of(op)
	for _, a := range t.attempts {
		if a == op {
			return
		}
		if a.Kind == history.Transact && a.Outcome == history.OK && !request.Of(a).Equal(mine) {
			j.breaks(op, "G6", "other-request-acked", "TXN_ID_REUSED", "ok", "it was acknowledged as commit %d, and so was #%d, which asked for something else under the same id", ev.CommitTS, a.ID)
			return
		}
	}
}

// askedOtherwise reports whether an event can be of a transact other than one that was refused:
// a refusal speaks of what it refused.
func (j *judge) askedOtherwise(t *txn, op *history.Operation, ev *history.Event) bool {
	if op.Kind != history.Transact {
		return false
	}
	mine := request.Of(op)
	return slices.ContainsFunc(t.attempts, func(a *history.Operation) bool {
		if a == op || a.Kind != history.Transact {
			return false
		}
		want, _ := j.wanted(t, a, ev.CommitTS-1)
		// A value may be too long as a Struct, and not as JSON.
		otherwise := !request.Of(a).Equal(mine) || op.Error.Code == "INVALID_REQUEST" && a.In.Doubles != op.In.Doubles
		return j.match(want, ev) && otherwise
	})
}

// askedAgain reports whether an event can be of the same transact, which its client sent again
// although it had been refused for good. That a daemon remembers; the next one does not.
func (j *judge) askedAgain(t *txn, op *history.Operation, ev *history.Event) bool {
	if op.Kind != history.Transact {
		return false
	}
	return slices.ContainsFunc(t.attempts, func(a *history.Operation) bool {
		if a.Kind != history.Transact || a.Call <= op.Return {
			return false
		}
		between := func(start int64) bool { return start > op.Call && start < a.End() }
		want, _ := j.wanted(t, a, ev.CommitTS-1)
		return j.match(want, ev) && (len(j.starts) == 0 || slices.ContainsFunc(j.starts, between))
	})
}

// checkReused: an id that a refusal calls used is used by another request, which had it first,
// or by a transaction that was begun.
func (j *judge) checkReused(t *txn, op *history.Operation, ev *history.Event) {
	if t.begin != nil || j.hidden(t) {
		return
	}
	mine := request.Of(op)
	low, _ := j.bounds.low(op.Call)
	for _, a := range t.attempts {
		if a == op || a.Kind != history.Transact || a.Call >= op.End() || request.Of(a).Equal(mine) {
			continue
		}
		// What is known to have been committed by then has the id; otherwise whatever was
		// asked for under it may have been decided first, if only to be refused.
		if ev == nil || ev.CommitTS > low {
			return
		}
		if want, _ := j.wanted(t, a, ev.CommitTS-1); j.match(want, ev) {
			return
		}
	}
	j.breaks(op, "G6", "id-not-reused", "", "", "it was refused because its id had been used, which it was not but for this request")
}
