package oracle

import (
	"math"

	"statehouse.dev/statehouse/history"
)

// visibility is how much of what happened a history shows. What was asked for before it
// begins, if it begins in the middle, and what was under way in a gap may be missing. To
// answers, versions and the log that makes no difference. But a commit that no client in the
// history asked for is not a ghost then, and a transaction may have had more requests than
// those in the history.
type visibility struct {
	before bool  // requests from before the first line may be missing
	gaps   bool  // and such that were under way in a gap
	until  int64 // the end of the last gap
	asked  func(txnID string) bool
}

func visibilityOf(h *history.History, of *Section) visibility {
	v := visibility{before: h.Header.Base != nil, gaps: len(h.Gaps) > 0, until: math.MinInt64}
	for i := range h.Gaps {
		v.until = max(v.until, h.Gaps[i].To)
	}
	if of != nil {
		v.before, v.asked = of.Middle, of.Asked
	}
	return v
}

// whole reports whether every request is in the history.
func (v *visibility) whole() bool { return !v.before && !v.gaps && v.asked == nil }

// hides reports whether requests of a transaction may be missing from the history. begin is
// the operation that began it, or nil. All its requests come after that; but a
// request that was under way in a gap may have been sent long before.
func (v *visibility) hides(id string, begin *history.Operation) bool {
	if begin == nil {
		return v.before || v.gaps || v.asked != nil && v.asked(id)
	}
	return v.gaps && begin.Call <= v.until
}

func (j *judge) hidden(t *txn) bool { return j.visibility.hides(t.id, t.begin) }

// firstCall is when a transaction's commit can have been asked for at the earliest.
func (j *judge) firstCall(t *txn) int64 {
	switch {
	case !j.hidden(t):
		return t.attempts[0].Call
	case t.begin != nil:
		return t.begin.Call
	}
	return math.MinInt64
}

// early reports whether what was called then can have taken effect before the base, where
// nothing is known of the state.
func (j *judge) early(call int64) bool {
	_, by := j.bounds.low(call)
	return j.model.Base > 0 && by == 0
}

// settledBefore reports whether a transaction without an event can have taken effect at ts
// because the log begins only after it.
func (j *judge) settledBefore(t *txn, ts uint64) bool {
	return j.model.Base > 0 && ts <= j.model.Base && (t.begin == nil || t.begin.Out.SnapshotTS < j.model.Base)
}

// looksOwn reports whether a record can be a write of the transaction that read it, which has
// neither a version nor a commit yet.
func looksOwn(r *history.Record) bool { return r.Version == 0 && r.CommitTS == 0 && r.CommitTime == 0 }
