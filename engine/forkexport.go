package engine

import (
	"bytes"
	"context"

	"statehouse.dev/statehouse/engine/layout"
)

// A backup has of a fork its commit and the row that says what it is a fork of. One that was whole has,
// right after its commit, the rows that were copied to it: what is above it may be gone by then. Of
// one that was not, what it inherited is in the commits of its parent.

// forkRow is the row of a fork as it is exported: how far copying has come is of no use elsewhere.
func forkRow(r Row) (Row, error) {
	f, ok := parseFork(r.Key, r.body())
	if !ok {
		return r, layout.CorruptRow(r.Key, "malformed")
	}
	f.copied = "" // what is left of a past that is being dropped is dropped anew
	return rowOf(r.Key, f.append(nil)), nil
}

// wholeForks are the forks that a commit made and that are whole.
func (x *Export) wholeForks(ts CommitTS, row *layout.LogRow) (list []*fork) {
	for i := range row.Parts {
		if f := x.db.forks.get(row.Parts[i].Agent); f != nil && f.at == ts && f.whole {
			list = append(list, f)
		}
	}
	return list
}

// nextCopies returns the next rows that were copied to forks of the commit that was read last.
func (x *Export) nextCopies(ctx context.Context) (rows []Row, err error) {
	for size := 0; len(x.forks) > 0 && size < exportBytes; {
		f := x.forks[0]
		prefix := layout.AgentPrefix(layout.RecordTag, f.agent)
		lower := prefix
		if x.copied != nil {
			lower = x.copied
		}
		it, err := newRowIter(x.db, lower, layout.Successor(prefix))
		if err != nil {
			return nil, err
		}
		it.ctx = ctx
		ok := it.firstAfter(x.copied)
		for ; ok && size < exportBytes; ok = it.next() {
			_, row, good := recordAt(it)
			if !good {
				break
			}
			if x.copied = bytes.Clone(it.key()); row.CommitTS <= f.upTo {
				rows = append(rows, rowOf(it.key(), it.body))
				size += len(it.key()) + len(it.body)
			}
		}
		if err := it.close(); err != nil {
			return nil, err
		}
		if !ok {
			x.forks, x.copied = x.forks[1:], nil
		}
	}
	return rows, nil
}

// forkOf takes over what a row says that came with the commit ts, if it is one of a fork.
func (c *Checker) forkOf(r *rowsOf, ts CommitTS, a AgentName) error {
	key := layout.AgentPrefix(forkTag, a)
	act := c.acts[a]
	delete(c.acts, a)
	if len(r.rows) == 0 || !bytes.Equal(r.rows[0].Key, key) {
		if act != nil {
			return layout.CorruptRow(key, "missing")
		}
		return nil
	}
	body, err := r.take(key)
	if err != nil {
		return err
	}
	f, ok := parseFork(key, body)
	if !ok || f.at != ts || act != nil && (act.parent != f.parent || act.upTo != f.upTo) {
		return layout.CorruptRow(key, "malformed or not of its commit")
	}
	if c.forks == nil || c.forksAt != ts {
		c.forks, c.forksAt = make(map[AgentName]*fork), ts
	}
	if f.whole {
		c.forks[a] = f
	}
	return nil
}

// copyOf reports whether a row was copied to a fork that the last commit made, and of which.
func (c *Checker) copyOf(r *Row) *fork {
	n, _, ok := layout.SplitRecordKey(r.Key)
	if !ok || c.forksAt != c.head.ts {
		return nil
	}
	return c.forks[n.AgentName()]
}

func (c *Checker) checkCopy(r Row, f *fork) error {
	body, err := layout.OpenRow(r.Key, r.Value)
	if err != nil {
		return err
	}
	row, ok := layout.ParseRecordRow(body)
	if !ok || row.CommitTS > f.upTo || row.CommitTS == 0 {
		return layout.CorruptRow(r.Key, "malformed, or not inherited")
	}
	return nil
}

// tookFork takes over a row of a fork that is restored.
func (r *Restore) tookFork(row Row) {
	if f, ok := parseFork(row.Key, row.body()); ok { // it was checked
		r.e.db.forks.put(f)
	}
}

// copyForks makes all forks whole, before anything is taken from what they inherited.
func (r *Restore) copyForks() error {
	for _, f := range r.e.db.forks.all() {
		for !f.whole {
			if _, err := r.piece(func(w *piece) error { return w.copyFork(f) }); err != nil {
				return err
			}
			f = r.e.db.forks.get(f.agent)
		}
	}
	return nil
}
