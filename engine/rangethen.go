package engine

import (
	"bytes"

	"statehouse.dev/statehouse/engine/layout"
)

// What a restore of very many keys does to one follows from two rows of it: the newest from before the
// act, and the one that was the newest then. So the rows of a key from then on must be there until the
// act is carried out: all chores wait for it. What was as it is now is left alone, and so is what cannot be
// restored since its value had gone: an act is refused if there is any such key (rangegone.go).

// becomes is the body of the row that an act adds before a key's newest row from before it; nil: it adds none.
// rows, of a restore, finds the row of then. It aliases that.
func (g *rangeAct) becomes(rows *rowIter, prefix []byte, at Version, now *layout.RecordRow) (*layout.RecordRow, error) {
	deleted := &layout.RecordRow{Tombstone: true, CommitTS: g.at, CommitTime: g.time}
	if !g.restores {
		if now.Tombstone {
			deleted = nil
		}
		return deleted, nil
	}
	if now.CommitTS <= g.to {
		return nil, nil
	}
	then, err := newestThen(rows, prefix, at, g.to)
	switch {
	case err != nil:
		return nil, err
	case then == nil || then.Tombstone:
		if now.Tombstone {
			deleted = nil
		}
		return deleted, nil
	case then.Gone != 0:
		return nil, nil
	case !now.Tombstone && now.Gone == 0 && bytes.Equal(now.Value, then.Value):
		return nil, nil
	}
	// With the salt: it is a copy of a value that the log has a digest of.
	return &layout.RecordRow{CommitTS: g.at, CommitTime: g.time, Salt: then.Salt, Value: then.Value}, nil
}

// newestThen is the newest row of a key up to a commit, of which version at is after it; nil: there is none.
func newestThen(rows *rowIter, prefix []byte, at Version, ts CommitTS) (*layout.RecordRow, error) {
	if ts == 0 || at <= 1 || !rows.seek(layout.AppendVersion(bytes.Clone(prefix), at-1)) || !bytes.HasPrefix(rows.key(), prefix) {
		return nil, rows.err
	}
	at, row, ok := recordAt(rows)
	if ok && row.CommitTS > ts {
		if ok = rows.olderThan(prefix, at, ts) && bytes.HasPrefix(rows.key(), prefix); ok {
			_, row, ok = recordAt(rows)
		}
	}
	if !ok {
		return nil, rows.err
	}
	return &row, nil
}

// nowAndThen must not be asked for what is below the floor.
func (s *stepState) nowAndThen(name RecordName, ts CommitTS) (now, then seen, err error) {
	rows, err := s.rowsOf(name.AgentName())
	if err != nil {
		return now, then, err
	}
	prefix := layout.RecordPrefix(name)
	if rows.seek(prefix) && bytes.HasPrefix(rows.key(), prefix) {
		if at, row, ok := recordAt(rows); ok {
			now = seenIn(&row)
			switch {
			case !s.r.forks.begun(name.AgentName(), ts): // it inherited since what is older than ts
			case row.CommitTS <= ts:
				then = now
			case rows.olderThan(prefix, at, ts) && bytes.HasPrefix(rows.key(), prefix):
				if _, row, ok = recordAt(rows); ok {
					then = seenIn(&row)
				}
			}
		}
	}
	if rows.err != nil {
		return seen{}, seen{}, s.endStep()
	}
	return now, then, nil
}

// seenIn is what a row says of a record; its value is a copy.
func seenIn(row *layout.RecordRow) seen {
	return seen{exists: !row.Tombstone, value: bytes.Clone(row.Value), gone: row.Gone}
}

// rowsOf are the rows of an agent's records, until the step ends or those of another agent are asked for.
func (s *stepState) rowsOf(a AgentName) (rows *rowIter, err error) {
	if s.then != nil && s.thenOf == a {
		return s.then, nil
	}
	if s.then != nil {
		err = s.then.close()
		s.then = nil
	}
	if err == nil {
		base := layout.AgentPrefix(layout.RecordTag, a)
		s.then, err = s.r.recordRows(a, base, layout.Successor(base))
		s.thenOf = a
	}
	return s.then, err
}

// olderThan moves i from a version of a key that is of after a commit to the newest one that is not, or to
// the next key if there is none. Versions are dense, but that the oldest may be gone.
func (i *rowIter) olderThan(prefix []byte, high Version, ts CommitTS) (ok bool) {
	for range linearProbe {
		if ok = i.next(); !ok || !bytes.HasPrefix(i.key(), prefix) {
			return ok
		}
		at, row, good := recordAt(i)
		if !good {
			return false
		}
		if high = at; row.CommitTS <= ts {
			return true
		}
	}
	prefix = prefix[:len(prefix):len(prefix)]
	low := Version(0) // the newest one that is not too new is in [low, high)
	for low+1 < high {
		mid := low + (high-low)/2
		if ok = i.seek(layout.AppendVersion(prefix, mid)); !ok || !bytes.HasPrefix(i.key(), prefix) {
			if i.err != nil {
				return false
			}
			low = mid // it is gone, and all before it
			continue
		}
		at, row, good := recordAt(i)
		switch {
		case !good:
			return false
		case row.CommitTS > ts:
			high = min(mid, at)
		default:
			low = mid
		}
	}
	return i.seek(layout.AppendVersion(prefix, low))
}

// of is the act as rows are derived by it: of an agent that was forked later nothing was there then.
func (g *rangeAct) of(db *store) *rangeAct {
	if g.restores && !db.forks.begun(g.agent, g.to) {
		nothing := *g
		nothing.to = 0
		return &nothing
	}
	return g
}

// thenRows are rows to find those of then by; nil: a delete needs none.
func (g *rangeAct) thenRows(db *store, lower, upper []byte) (*rowIter, error) {
	if !g.restores {
		return nil, nil
	}
	return db.writtenRows(g.agent, lower, upper)
}
