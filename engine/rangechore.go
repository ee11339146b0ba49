package engine

import (
	"bytes"

	"statehouse.dev/statehouse/engine/layout"
)

// An act on many keys is carried out when what it comes to is in rows. A chore writes them, in pieces,
// each with the mark of how far it came. Copies change nothing that is read: while not all are
// there, what is missing is derived (rangerows.go). Retention and erasures wait for it.

// carryOut writes more rows of an act.
func (w *piece) carryOut(g *rangeAct) error {
	if !w.giveWay() {
		return nil
	}
	defer w.gave()
	lower, upper := g.bounds()
	all, err := g.over(w.e.db, lower, upper)
	if err != nil {
		return err
	}
	next := *g
	base := layout.AgentPrefix(layout.RecordTag, g.agent)
	ok := false
	if g.done == "" {
		ok = all.first()
	} else {
		at := append(bytes.Clone(base), g.done...)
		if ok = all.seek(at); ok && bytes.Equal(all.key(), at) {
			ok = all.next()
		}
	}
	v, thens := all.view.(*rangeRows), 0
	for ; ok && !w.full(); ok = all.next() {
		next.done = string(all.key()[len(base):])
		if v.then != nil {
			w.looked(v.then.moves-thens, 0)
			thens = v.then.moves
		}
		w.looked(1, len(all.key())+len(all.body))
		if v.added {
			w.rows.set(w.batch, v.key, append(w.rows.body[:0], v.body...))
			if all.err = w.endHold(v); all.err != nil {
				break
			}
		}
	}
	if err := all.close(); err != nil {
		return err
	}
	w.more = true
	if !ok {
		_ = w.batch.Delete(g.key(), nil)
		w.settled = append(w.settled, func() { w.e.db.acts.end(g.agent) })
		return nil
	}
	w.rows.set(w.batch, next.key(), next.append(w.rows.body[:0]))
	w.settled = append(w.settled, func() { w.e.db.acts.put(&next) })
	return nil
}

// endHold ends the hold of the version that the row which v is at deletes. If a commit of this step
// is of the key, that has ended it.
func (w *piece) endHold(v *rangeRows) error {
	at, row, ok := recordAt(v.in)
	if !ok || row.Hold.Kind == 0 {
		return v.in.err
	}
	prefix := string(v.key[:len(v.key)-layout.NumberSize])
	if pl := w.e.planner; pl == nil || pl.plannedOp(prefix) != nil { // a restore has none, and makes all holds at its end
		return nil
	}
	h, err := dbState{w.e.db}.hold(prefix)
	if err != nil || h == nil || h.Version != at {
		return err
	}
	w.looked(1, 0)
	_ = w.batch.Delete(layout.AppendHoldKey(nil, prefix), nil)
	for _, key := range placesOf(h, prefix) {
		_ = w.batch.Delete(key, nil)
	}
	w.e.rows.holds = true
	return nil
}

// A sweep is how far retention has come within a commit that is an act. It is not durable: after a restart it
// begins again, and finds what is left.
type sweep struct {
	mark  *CommitTS // of which walk
	ts    CommitTS
	agent AgentName
	key   []byte // the last row that was looked at
}

// sweep calls each with the versions that an act on many keys made, as far as the piece has room. done
// reports whether that was all.
func (w *piece) sweep(s *space, mark *CommitTS, g *rangeAct, each func(n RecordName, at Version) error) (done bool, err error) {
	lower, upper := g.bounds()
	return w.sweepRows(s, sweep{mark, g.at, g.agent, lower}, upper, func(row *layout.RecordRow) bool { return row.CommitTS == g.at }, each)
}

// sweepInherited is sweep of what a fork inherited, all of which it has: it is as if the act had made the
// fork's copies.
func (w *piece) sweepInherited(s *space, mark *CommitTS, f *fork, each func(n RecordName, at Version) error) (done bool, err error) {
	base := layout.AgentPrefix(layout.RecordTag, f.agent)
	return w.sweepRows(s, sweep{mark, f.at, f.agent, append(bytes.Clone(base), firstKey...)}, layout.Successor(base), func(row *layout.RecordRow) bool { return row.CommitTS <= f.upTo }, each)
}

// sweepRows calls each with the versions from a key on that an act made.
func (w *piece) sweepRows(s *space, at sweep, upper []byte, made func(*layout.RecordRow) bool, each func(n RecordName, at Version) error) (done bool, err error) {
	lower := at.key
	var from []byte
	if x := &s.swept; x.mark == at.mark && x.ts == at.ts {
		switch c := compareAgents(at.agent, x.agent); {
		case c < 0:
			return true, nil
		case c == 0:
			lower, from = x.key, x.key
		}
	}
	it, err := newRowIter(w.e.db, lower, upper)
	if err != nil {
		return false, err
	}
	ok := it.firstAfter(from)
	for first := true; ok && (first || !w.full()); ok = it.next() { // at least one, or it would stand still
		first = false
		n, v, good := layout.SplitRecordKey(it.key())
		_, row, good2 := recordAt(it)
		if !good || !good2 {
			it.corrupt()
			break
		}
		w.looked(1, len(it.body))
		s.swept = sweep{at.mark, at.ts, at.agent, bytes.Clone(it.key())}
		if made(&row) {
			if it.err = each(n, v); it.err != nil {
				break
			}
		}
	}
	w.mark(s) // so that there is a step
	return !ok, it.close()
}

// manyIn is the act on many keys that an event is; nil: it is none.
func manyIn(r *layout.EventRow, a AgentName, ts CommitTS) *rangeAct {
	if x, ok := actOf(r, a, ts); ok && x != nil {
		return x.many
	}
	return nil
}

// carryOut carries out the acts that a restore has met. Of an agent there is one at a time.
func (r *Restore) carryOut() error {
	for g := r.e.db.acts.first(); g != nil; g = r.e.db.acts.first() {
		if _, err := r.piece(func(w *piece) error { return w.carryOut(g) }); err != nil {
			return err
		}
	}
	return nil
}

// settleActs leaves nothing to be derived, before anything is taken from what there was.
func (r *Restore) settleActs() error {
	if err := r.carryOut(); err != nil {
		return err
	}
	return r.copyForks()
}
