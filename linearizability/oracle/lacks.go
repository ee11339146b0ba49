package oracle

import (
	"math"

	"statehouse.dev/statehouse/history"
)

// lacks is what may be missing from a history although it happened: what was asked
// for before it begins, if it begins in the middle, and what was under way in a gap.
// Of answers, versions and the log it makes no difference. But a commit that nobody
// in the history asked for is not a ghost then, and what is known of a transaction
// may not be all that was asked in it.
type lacks struct {
	before bool  // requests from before the first line
	until  int64 // the end of the last gap
	gaps   bool
	// past tells, in a section of a longer history, whether something was asked in a
	// transaction that was long ago.
	past func(id string) bool
}

func lacksOf(h *history.History, part *Section) lacks {
	l := lacks{before: h.Header.Base != nil, gaps: len(h.Gaps) > 0, until: math.MinInt64}
	for i := range h.Gaps {
		l.until = max(l.until, h.Gaps[i].To)
	}
	if part != nil {
		l.before, l.past = part.Before, part.Past.Hides
	}
	return l
}

func (l *lacks) any() bool { return l.before || l.gaps || l.past != nil }

// hides tells whether requests of a transaction may be missing, which is known to have
// begun with this operation, if with any. All its requests come after that; but how
// long before a gap something was called that was under way in it, nobody knows.
func (l *lacks) hides(id string, begin *history.Operation) bool {
	if begin == nil {
		return l.before || l.gaps || l.past != nil && l.past(id)
	}
	return l.gaps && begin.Call <= l.until
}

func (j *Judge) hidden(t *txn) bool { return j.lacks.hides(t.id, t.begin) }

// count counts an operation that is not judged, once.
func (j *Judge) count(op *history.Operation, n *int) {
	if j.Part == nil || j.Part.isFresh(op) {
		*n++
	}
}

// firstCall is when a transaction's commit can have been asked for at the earliest.
func (j *Judge) firstCall(t *txn) int64 {
	switch {
	case !j.hidden(t):
		return t.attempts[0].Call
	case t.begin != nil:
		return t.begin.Call
	}
	return math.MinInt64
}

// early tells whether what was called then can have taken effect before the base,
// where nothing is known of the state.
func (j *Judge) early(call int64) bool {
	_, by := j.b.low(call)
	return j.M.Base > 0 && by == 0
}

// settledBefore tells whether a transaction without an event can have taken effect at
// ts because the log begins only after it.
func (j *Judge) settledBefore(t *txn, ts uint64) bool {
	return j.M.Base > 0 && ts <= j.M.Base && (t.begin == nil || t.begin.Out.SnapshotTS < j.M.Base)
}

// looksOwn tells whether a record can be a write of the transaction that read it,
// which has neither a version nor a commit yet.
func looksOwn(r *history.Record) bool { return r.Version == 0 && r.CommitTS == 0 && r.CommitTime == 0 }

// pageLost tells whether one of the pages before this one is not in the history.
func (j *Judge) pageLost(op *history.Operation) bool {
	for op.In.PageOf != 0 {
		from := j.ops[op.In.PageOf]
		if from == nil {
			return j.lacks.any() || op.In.PageOf == history.PageMissing
		}
		if from.Call >= op.Call {
			return false // see pageOf
		}
		op = from
	}
	return false
}

// spoken are the names that operations speak of: of those, the base has the state.
func Spoken(h *history.History) map[history.Name]bool {
	names := make(map[history.Name]bool)
	for _, op := range h.Operations {
		in := &op.In
		names[in.Name()] = true
		for _, n := range in.Names {
			names[n] = true
		}
		for i := range in.Writes {
			names[in.Writes[i].Name] = true
		}
		for i := range in.Keys {
			names[in.Keys[i].Name] = true
		}
	}
	return names
}
