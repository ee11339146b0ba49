package oracle

import (
	"fmt"
	"slices"
	"strings"

	"statehouse.dev/statehouse/history"
)

// layer is what a transaction's own writes lay over its snapshot at one key.
type layer struct {
	// writes that can be the last one before the read. More than one, when answers to
	// them were lost: such a write may have arrived at any time, or never.
	writes []*history.Operation
	// covers: one of them was answered before the read, so the snapshot cannot show
	// through.
	covers bool
}

// own is what a read in the transaction can find of the transaction's own writes
// of a key.
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
	return j.same(op, r, j.model.at(r.Name, ts), ts)
}

// sameAsOwn compares a record with a write that is not committed, and so has
// neither a version nor a commit.
func sameAsOwn(op *history.Operation, r *history.Record, w *history.Operation) (why, expected, got string) {
	want := history.Record{Name: r.Name, Exists: w.Kind == history.StageWrite}
	if want.Exists && !op.In.NoValues {
		want.Value = w.In.Value
	}
	if r.Exists == want.Exists && r.Version == 0 && r.CommitTS == 0 && r.CommitTime == 0 && sameRead(&op.In, r.Value, r.Inexact, want.Value) {
		return "", "", ""
	}
	return fmt.Sprintf("the transaction does not see its own %s of key %q", w.Kind, r.Key), showRecord(&want), showRecord(r)
}

// listedKey is a key that a list or scan can show.
type listedKey struct {
	key     string
	certain bool // it must be there; otherwise that depends on answers that were lost
}

// listing lists what a list or scan can show of the state as of ts, under the own
// writes of its transaction, from where the page begins.
func (j *judge) listing(op *history.Operation, ts uint64) []listedKey {
	a, in := history.AgentName{Namespace: op.In.Namespace, Agent: op.In.Agent}, &op.In
	t := j.txns[in.TxnID]
	keys := j.model.sorted[a]
	if t != nil && len(t.staged) > 0 {
		keys = slices.Clone(keys)
		for _, s := range t.staged {
			if s.In.Namespace == a.Namespace && s.In.Agent == a.Agent {
				keys = append(keys, s.In.Key)
			}
		}
		slices.Sort(keys)
		keys = slices.Compact(keys)
	}
	after := j.pageStart(op)
	var out []listedKey
	for _, k := range keys {
		if !strings.HasPrefix(k, in.Prefix) || after != "" && (k == after || k < after != in.Reverse) {
			continue
		}
		n := history.Name{Namespace: a.Namespace, Agent: a.Agent, Key: k}
		own := t.own(n, op)
		can, must := false, true
		see := func(exists bool) { can, must = can || exists, must && exists }
		for _, w := range own.writes {
			see(w.Kind == history.StageWrite)
		}
		if !own.covers {
			see(j.model.at(n, ts).exists())
		}
		if can {
			out = append(out, listedKey{k, must})
		}
	}
	if in.Reverse {
		slices.Reverse(out)
	}
	return out
}

// rightUnderHidden holds a listing to its snapshot where own writes may be missing from
// the history, and any key may be there because of one, or not: it is in order, where
// it was asked for, and what has a version is right.
func (j *judge) rightUnderHidden(op *history.Operation, ts uint64) (why, expected, got string) {
	in, last := &op.In, j.pageStart(op)
	next := func(k string) bool {
		ok := strings.HasPrefix(k, in.Prefix) && (last == "" || k != last && k < last == in.Reverse)
		last = k
		return ok
	}
	for _, k := range op.Out.Keys {
		if !next(k) {
			return "the keys are not in order, or not those asked for", in.Prefix, k
		}
	}
	for i := range op.Out.Records {
		r := &op.Out.Records[i]
		if n := (history.Name{Namespace: in.Namespace, Agent: in.Agent, Key: r.Key}); r.Name != n || !next(r.Key) {
			return "the answer is about another record, or they are not in order", fmt.Sprint(n), fmt.Sprint(r.Name)
		}
		if why, expected, got = j.sameUnderOwn(op, r, ts); why != "" {
			return why, expected, got
		}
	}
	if n := uint64(len(op.Out.Keys) + len(op.Out.Records)); in.Limit > 0 && n > in.Limit {
		return "the page is longer than its limit", fmt.Sprint(in.Limit), fmt.Sprint(n)
	}
	return "", "", ""
}

func showListing(list []listedKey) string {
	var b strings.Builder
	for i := range list {
		if i > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(list[i].key)
		if !list[i].certain {
			b.WriteByte('?')
		}
	}
	return b.String()
}
