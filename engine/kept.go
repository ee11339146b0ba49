package engine

import (
	"statehouse.dev/statehouse/engine/layout"
	"statehouse.dev/statehouse/engine/words"
)

// What is kept of a key: its current version, what retention allows of the ones before, and
// nothing of what was erased.

// ValueGone is the error of a read whose value was erased or pruned; nil if it was not.
func (e *Engine) ValueGone(rec *Record) error {
	n := &rec.Name
	switch {
	case !rec.Exists:
		return nil
	case rec.Erased:
		return words.Failf(ErrErased, "version %d of key %q of agent %q was erased", rec.Version, n.Key, n.Agent).
			With("key", n.Key).With("version", rec.Version.String())
	case rec.Pruned:
		oldest, err := e.oldestKept(rec)
		if err != nil {
			return e.noted(err)
		}
		return words.Failf(ErrOutOfRange, "version %d of key %q of agent %q is older than what is kept, which begins at version %d", rec.Version, n.Key, n.Agent, oldest).
			With("key", n.Key).With("version", rec.Version.String()).With("oldest_version", oldest.String())
	}
	return nil
}

// oldestKept finds the first version after a pruned one that was not pruned.
func (e *Engine) oldestKept(rec *Record) (Version, error) {
	newest, err := Snapshot{e: e, ts: e.Published()}.Get(rec.Name)
	if err != nil {
		return 0, err
	}
	prefix := layout.RecordPrefix(rec.Name)
	rows, err := e.db.recordRows(rec.Name.AgentName(), prefix, layout.Successor(prefix))
	if err != nil {
		return 0, err
	}
	// Values are pruned oldest first. Tombstones, and what was erased, say nothing.
	low, high := rec.Version, newest.Version
	for high-low > 1 && rows.err == nil {
		v := low + (high-low)/2
		row, ok := layout.RecordRow{}, rows.seek(layout.AppendVersion(prefix[:len(prefix):len(prefix)], v))
		for at := v; ok; at++ {
			if _, row, ok = recordAt(rows); !ok || row.Gone == layout.GonePruned || row.Gone == 0 && !row.Tombstone {
				v = at
				break
			}
			if ok = at+1 < high; ok {
				ok = rows.previous()
			}
		}
		if ok && row.Gone == layout.GonePruned {
			low = v
		} else {
			high = low + (high-low)/2
		}
	}
	return max(high, low+1), rows.close()
}

// base is the version of a key that is current at the floor, and the floor; 0: there is none.
func (e *Engine) base(n RecordName) (base Version, floor CommitTS, err error) {
	for {
		if floor = e.floor(n.Namespace); floor == 0 {
			return 0, 0, nil
		}
		at, of := e.db.forks.base(n.AgentName(), floor)
		rec, err := Snapshot{e: e, ts: at}.Get(RecordName{Namespace: of.Namespace, Agent: of.Agent, Key: n.Key})
		if err == nil || e.floor(n.Namespace) == floor {
			return rec.Version, floor, err
		}
	}
}

// versionInRange refuses a version that another one had superseded at the floor: its row is gone,
// or will be soon.
func (e *Engine) versionInRange(n RecordName, v Version) error {
	base, floor, err := e.base(n)
	if err != nil || v >= base || v == 0 {
		return err
	}
	return words.Failf(ErrOutOfRange, "version %d of key %q of agent %q is older than what is kept of namespace %q, which begins at commit %d",
		v, n.Key, n.Agent, n.Namespace, floor).
		With("key", n.Key).With("version", v.String()).With("namespace", n.Namespace).
		With("floor_ts", floor.String()).With("oldest_version", base.String())
}
