package engine

import (
	"bytes"

	"statehouse.dev/statehouse/engine/layout"
)

// What retention takes follows from the log: a commit supersedes the version before of each key
// that it writes, and pushes out the one that was the oldest kept. So a walk over the commits, in
// order, finds all there is to drop without looking at what stays.

// drop drops what was superseded up to the floor: the versions of keys and the events of agents
// before those that are the last ones at the floor. Those stay: as-of reads from the floor on
// need the versions, and lists of agents the events.
func (w *piece) drop(s *space) error {
	return w.walk(s, &s.dropped, w.e.db.forks.heldBack(s.namespace, s.floor), w.dropBefore, w.dropEventBefore)
}

// dropBefore drops the version before one.
func (w *piece) dropBefore(n RecordName, at Version) error {
	if at > 1 {
		key := layout.AppendVersion(layout.RecordPrefix(n), at-1)
		_ = w.batch.Delete(key, nil)
		w.looked(1, len(key))
	}
	return nil
}

// prune takes the values of the versions that are pushed out. Their rows stay, so that versions
// stay dense, and say what became of the value.
func (w *piece) prune(s *space, shown CommitTS) error {
	if s.maxVersions == 0 {
		return nil
	}
	if s.keeping == 0 || s.keeping > s.maxVersions {
		s.pruned = 0 // what was looked at may keep too many
	}
	if s.keeping != s.maxVersions {
		s.keeping = s.maxVersions
		w.mark(s)
	}
	s.pruned = max(s.pruned, s.dropped) // versions before are gone, and of those at the floor none was pushed out by then
	return w.walk(s, &s.pruned, w.e.db.forks.heldBack(s.namespace, shown), func(n RecordName, at Version) error {
		if uint64(at) <= s.maxVersions {
			return nil
		}
		return w.pruneVersion(n, at-Version(s.maxVersions))
	}, nil)
}

func (w *piece) pruneVersion(n RecordName, v Version) error {
	key := layout.AppendVersion(layout.RecordPrefix(n), v)
	body, err := getRow(w.e.db, key)
	if body == nil || err != nil {
		return err
	}
	w.looked(1, len(body))
	row, ok := layout.ParseRecordRow(body)
	if !ok {
		return layout.CorruptRow(key, "malformed")
	}
	if !row.Tombstone && row.Gone == 0 {
		w.e.chores.took++
		row.Gone = layout.GonePruned
		w.rows.set(w.batch, key, row.Append(w.rows.body[:0]))
	}
	return nil
}

// walk moves a mark over the commits up to one, as far as the piece has room. It calls each with the
// versions that they made in the namespace, and then after (nil: nothing) with each event.
func (w *piece) walk(s *space, mark *CommitTS, upTo CommitTS, each func(RecordName, Version) error, after func(AgentName, CommitTS) error) error {
	if *mark >= upTo || w.full() {
		return nil
	}
	it, err := newRowIter(w.e.db, layout.LogKey(*mark+1), layout.LogKey(upTo+1))
	if err != nil {
		return err
	}
	for ok := it.first(); ok && !w.full(); ok = it.next() {
		ts, good := layout.SplitLogKey(it.key())
		row, good2 := layout.ParseLogRow(it.body)
		if !good || !good2 {
			it.corrupt()
			break
		}
		w.looked(1, len(it.body))
		all := true
		for i := range row.Parts {
			if a := row.Parts[i].Agent; a.Namespace == s.namespace && it.err == nil && all {
				if all, it.err = w.visit(s, mark, a, ts, each); all && after != nil && it.err == nil {
					it.err = after(a, ts)
				}
			}
		}
		if it.err != nil || !all {
			break
		}
		*mark = ts
		w.mark(s)
	}
	return it.close()
}

// visit calls each with the versions that an agent's event of a commit made. all is false if the piece had
// no room for all of an act.
func (w *piece) visit(s *space, mark *CommitTS, a AgentName, ts CommitTS, each func(RecordName, Version) error) (all bool, err error) {
	row, found, err := w.findEvent(a, ts)
	if err == nil && !found {
		err = layout.CorruptRow(layout.EventKey(a, ts), "missing")
	}
	for i := range row.Ops {
		if op := &row.Ops[i]; op.Key != "" && err == nil {
			err = each(RecordName{Namespace: a.Namespace, Agent: a.Agent, Key: op.Key}, op.Version)
		}
	}
	if err != nil {
		return false, err
	}
	if g := manyIn(&row, a, ts); g != nil {
		return w.sweep(s, mark, g, each)
	}
	// What was superseded when a fork inherited it is pruned with the fork's own: the copy may be from when more
	// was kept. That it is dropped is for strip.
	if f := w.e.db.forks.get(a); mark == &s.pruned && f != nil && f.at == ts && !f.bare {
		return w.sweepInherited(s, mark, f, each)
	}
	return true, nil
}

// dropEventBefore drops an agent's event before the one of ts. One whose commit can still be asked
// for by its id stays until its outcome goes (pruneOutcomes), since the answer is made of it; what
// else it says goes now.
func (w *piece) dropEventBefore(a AgentName, ts CommitTS) error {
	prefix := layout.AgentPrefix(layout.EventTag, a)
	it, err := newRowIter(w.e.db, prefix, layout.EventKey(a, ts))
	if err != nil {
		return err
	}
	if !it.last() {
		return it.close()
	}
	w.looked(1, len(it.body))
	_, before, ok := layout.SplitEventKey(it.key())
	row, ok2 := layout.ParseEventRow(it.body)
	if !ok || !ok2 {
		it.corrupt()
	}
	key := bytes.Clone(it.key())
	if err := it.close(); err != nil {
		return err
	}
	o, found, err := dbState{w.e.db}.outcome(row.TxnID)
	switch {
	case err != nil:
		return err
	case !found || o.CommitTS != before:
		_ = w.batch.Delete(key, nil)
	case row.By.State == layout.ProvenanceThere:
		row.By = layout.Provenance{State: layout.ProvenanceErased, Digest: row.By.Digest}
		w.rows.set(w.batch, key, row.Append(w.rows.body[:0]))
	}
	return nil
}

// eventsToDrop are the events of a commit, by their keys, that go with its outcome: their namespaces' retention
// has passed them already.
func (e *Engine) eventsToDrop(ts CommitTS, row *layout.LogRow) (keys [][]byte, err error) {
	for i := range row.Parts {
		a := row.Parts[i].Agent
		if a.Namespace == "" {
			continue
		}
		at := e.droppedUpTo(a.Namespace)
		if ts >= at {
			continue
		}
		it, err := newRowIter(e.db, layout.EventKey(a, ts+1), layout.EventKey(a, at+1))
		if err != nil {
			return nil, err
		}
		superseded := it.first()
		if err := it.close(); err != nil {
			return nil, err
		}
		if superseded {
			keys = append(keys, layout.EventKey(a, ts))
		}
	}
	return keys, nil
}

// droppedUpTo is the commit up to which a namespace's retention has dropped what was superseded.
func (e *Engine) droppedUpTo(namespace string) CommitTS {
	for _, s := range e.chores.spaces {
		if s.namespace == namespace {
			return s.dropped
		}
	}
	return 0
}
