package oracle

import (
	"fmt"
	"slices"

	"statehouse.dev/statehouse/history"
	"statehouse.dev/statehouse/linearizability/oracle/model"
)

// layer is what a transaction's own writes put over its snapshot at one key.
type layer struct {
	// writes that can be the last one before the read. More than one, when answers to
	// them were lost: such a write may have arrived at any time, or never.
	writes []*history.Operation
	// covers: one of them was answered before the read, so the snapshot cannot show
	// through.
	covers bool
}

// own is what a read in the transaction can find of the transaction's own writes of a key.
func (t *txn) own(n history.Name, read *history.Operation) layer {
	var l layer
	if t == nil {
		return l
	}
	for _, s := range t.staged {
		if s.Outcome == history.Fail || s.In.Name() != n || s.Call >= read.End() {
			continue
		}
		if s.Outcome == history.OK && s.Return <= read.Call {
			l.covers = true
			l.writes = slices.DeleteFunc(l.writes, func(w *history.Operation) bool { return w.Outcome == history.OK && w.Return <= s.Call })
		}
		l.writes = append(l.writes, s)
	}
	return l
}

// sameUnderOwn compares a record with what its read can have found: a version as
// of ts or, inside a transaction, a write of its own.
func (j *judge) sameUnderOwn(op *history.Operation, r *history.Record, ts uint64) (why, expected, got string) {
	t := j.txns[op.In.TxnID]
	if t != nil && looksOwn(r) && j.hidden(t) {
		return "", "", "" // of a write that is not in the history
	}
	own := t.own(r.Name, op)
	for _, w := range own.writes {
		if why, expected, got = sameAsOwn(op, r, w); why == "" {
			return "", "", ""
		}
	}
	if own.covers {
		return why, expected, got
	}
	return j.same(op, r, j.model.At(r.Name, ts), ts)
}

// sameAsOwn compares a record with a write that is not committed, and so has
// neither a version nor a commit.
func sameAsOwn(op *history.Operation, r *history.Record, w *history.Operation) (why, expected, got string) {
	want := history.Record{Name: r.Name, Exists: w.Kind == history.StageWrite}
	if want.Exists && !op.In.NoValues {
		want.Value = w.In.Value
	}
	if r.Exists == want.Exists && !r.Erased && !r.Pruned && r.Version == 0 && r.CommitTS == 0 && r.CommitTime == 0 && r.ExpiresAt == 0 && r.DueAt == 0 && r.Cause == "" && shownAs(&op.In, r.Value, r.Inexact, want.Value) {
		return "", "", ""
	}
	return fmt.Sprintf("the transaction does not see its own %s of key %q", w.Kind, r.Key), model.ShowRecord(&want), model.ShowRecord(r)
}
