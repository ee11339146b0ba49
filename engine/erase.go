package engine

import (
	"bytes"
	"encoding/binary"
	"slices"
	"time"

	"statehouse.dev/statehouse/engine/layout"
)

// erase does a piece of an erasure: a commit that erases some keys, or some of what is to be taken
// out since the last one.
func (w *piece) erase(x *erasure, now time.Time) error {
	var err error
	if x.commit != 0 {
		w.setSystem(erasedKind, erasedName, binary.AppendUvarint(nil, uint64(x.commit)))
		err = w.takeOut(x)
	} else {
		err = w.eraseKeys(x, now)
	}
	if err != nil || x.done.Done {
		return err
	}
	w.setSystem(erasureKind, x.id, x.append(nil))
	progress := x.done
	w.settled = append(w.settled, func() { x.tell(progress, nil) })
	return nil
}

// eraseKeys plans a commit that erases the next keys. If there are none, the erasure is done.
func (w *piece) eraseKeys(x *erasure, now time.Time) error {
	names, more, err := w.keysToErase(x)
	if err != nil {
		return err
	}
	if len(names) == 0 {
		if !more {
			w.endErasure(x)
		}
		return nil
	}
	writes := make([]*Write, len(names))
	for i := range names {
		writes[i] = &Write{Name: names[i], Tombstone: true}
	}
	c := Conditions{Principal: x.Principal}
	if x.Reason != "" {
		c.Metadata = map[string]string{MetadataReason: x.Reason}
	}
	p := newProposal(layout.NewTxnID(now, w.e.env.Rand), writes, c)
	for i := range p.agents {
		for j := range p.agents[i].ops {
			p.agents[i].ops[j].Gone = layout.GoneErased
		}
	}
	made, err := w.e.planner.plan(p, now)
	if err != nil {
		return err
	}
	x.commit, x.at = made.ts, strip{}
	x.done.CommitTS = made.ts
	x.done.Keys += uint64(len(names))
	return nil
}

func (w *piece) endErasure(x *erasure) {
	x.done.Done = true
	w.setSystem(erasureKind, x.id, nil)
	w.settled = append(w.settled, func() {
		c := &w.e.chores
		c.erasures = slices.DeleteFunc(c.erasures, func(other *erasure) bool { return other == x })
		x.tell(x.done, nil)
	})
}

// keysToErase finds the next keys that have anything to erase, and moves the cursor to the last
// key that it looked at. more reports whether there are keys after that.
func (w *piece) keysToErase(x *erasure) (names []RecordName, more bool, err error) {
	prefix := x.prefix()
	it, err := newRowIter(w.e.db, prefix, layout.Successor(prefix))
	if err != nil {
		return nil, false, err
	}
	ok := false
	if x.cursor == nil {
		ok = it.first()
	} else {
		ok = it.seek(layout.Successor(x.cursor))
	}
	for ok && len(names) < w.e.opts.Tuning.ErasedKeys && !w.full() {
		name, _, good := layout.SplitRecordKey(it.key())
		_, row, good2 := recordAt(it)
		if !good || !good2 {
			it.corrupt()
			break
		}
		w.looked(1, len(it.body))
		x.cursor = layout.RecordPrefix(name)
		if erased := row.Tombstone && row.Gone == layout.GoneErased; !erased {
			old := row.CommitTS <= x.began
			if !old {
				old = w.olderThan(it, x)
			}
			if old {
				names = append(names, name)
			}
		}
		if it.err == nil {
			ok = it.seek(layout.Successor(x.cursor))
		}
	}
	return names, ok, it.close()
}

// olderThan moves it to the oldest version of the key that the cursor is at, and reports whether
// that was there when the erasure began.
func (w *piece) olderThan(it *rowIter, x *erasure) bool {
	if !it.before(layout.Successor(x.cursor)) || !bytes.HasPrefix(it.key(), x.cursor) {
		return false
	}
	_, row, ok := recordAt(it)
	w.looked(1, len(it.body))
	return ok && row.CommitTS <= x.began
}

// takeOut takes out what was before the keys' tombstones. They are published.
func (w *piece) takeOut(x *erasure) error {
	log, err := readLogRow(w.e.db, x.commit)
	if err != nil {
		return err
	}
	op := 0
	for i := range log.Parts {
		a := log.Parts[i].Agent
		ev, err := readEventRow(w.e.db, a, x.commit)
		if err != nil {
			return err
		}
		for j := range ev.Ops {
			if op++; op <= x.at.op {
				continue
			}
			if w.full() {
				return nil
			}
			done, err := w.takeOutKey(x, RecordName{Namespace: a.Namespace, Agent: a.Agent, Key: ev.Ops[j].Key}, ev.Ops[j].Version)
			if err != nil || !done {
				return err
			}
			x.at = strip{op: op}
		}
	}
	x.commit, x.at = 0, strip{}
	return nil
}

// takeOutKey takes out the versions of a key before one, the newest first.
func (w *piece) takeOutKey(x *erasure, n RecordName, before Version) (done bool, err error) {
	if x.at.v == 0 {
		x.at.v = before
	}
	prefix := layout.RecordPrefix(n)
	it, err := newRowIter(w.e.db, layout.AppendVersion(bytes.Clone(prefix), x.at.v-1), layout.Successor(prefix))
	if err != nil {
		return false, err
	}
	ok := it.first()
	for ; ok && !w.full(); ok = it.next() {
		v, row, good := recordAt(it)
		if !good {
			break
		}
		w.looked(1, len(it.body))
		if it.err = w.takeOutVersion(x, n, v, &row); it.err != nil {
			break
		}
		x.at.v = v
	}
	return !ok, it.close()
}

func (w *piece) takeOutVersion(x *erasure, n RecordName, v Version, row *layout.RecordRow) error {
	if row.Gone == layout.GoneErased {
		return nil
	}
	key := layout.AppendVersion(layout.RecordPrefix(n), v)
	if !row.Tombstone {
		if row.Gone == 0 {
			x.done.Values++
			x.done.Bytes += uint64(len(row.Value))
		}
		w.e.chores.took++
		row.Gone, row.Value, row.Salt = layout.GoneErased, nil, layout.Salt{}
		w.rows.set(w.batch, key, row.Append(w.rows.body[:0]))
	}
	ev, err := w.event(n.AgentName(), row.CommitTS)
	if err != nil || ev == nil { // retention has dropped it
		return err
	}
	for i := range ev.Ops {
		if op := &ev.Ops[i]; op.Key == n.Key && op.Version == v && !op.Tombstone {
			op.Gone = layout.GoneErased
		}
	}
	if ev.By.State == layout.ProvenanceThere {
		ev.By = layout.Provenance{State: layout.ProvenanceErased, Digest: ev.By.Digest}
	}
	w.looked(1, 0)
	return w.forgetFingerprint(ev.TxnID, row.CommitTS)
}

// forgetFingerprint takes the fingerprint out of a commit's outcome: it is a digest of values
// without a salt, so one could guess at them. Whatever comes under the id is taken for the same
// request from then on.
func (w *piece) forgetFingerprint(id TxnID, ts CommitTS) error {
	o, found, err := dbState{w.e.db}.outcome(id)
	if err != nil || !found || o.CommitTS != ts || o.Fingerprint == (layout.Digest{}) {
		return err
	}
	o.Fingerprint = layout.Digest{}
	key := layout.OutcomeKey(id)
	w.rows.set(w.batch, key, o.Append(w.rows.body[:0]))
	if pl := w.e.planner; pl != nil { // a restore has none
		pl.outcomes.put(id, o)
	}
	w.looked(1, 0)
	return nil
}
