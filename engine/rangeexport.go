package engine

import (
	"bytes"
	"context"

	"statehouse.dev/statehouse/engine/layout"
)

// A backup has of an act on many keys its commit and, right after it, the rows that it came to. Of one
// that was under way it has the row that says so instead, and none of what it came to: whoever restores
// it derives that anew.

// rangeRow is the row of an act under way as it is exported.
func rangeRow(r Row) (Row, error) {
	g, ok := parseRangeAct(r.Key, r.body())
	if !ok {
		return r, layout.CorruptRow(r.Key, "malformed")
	}
	g.done = ""
	return rowOf(r.Key, g.append(nil)), nil
}

// cutAtActs leaves in a wave the commits up to the first one whose acts are carried out: their rows come
// next.
func (w *exportWave) cutAtActs() {
	x := w.x
	for i := range w.commits {
		c := &w.commits[i]
		for j := range c.events {
			g := manyIn(&c.events[j], c.row.Parts[j].Agent, c.ts)
			if g == nil {
				continue
			}
			if up := x.db.acts.get(g.agent); up == nil || up.at != g.at {
				x.many = append(x.many, g)
			}
		}
		if len(x.many) > 0 && i+1 < len(w.commits) {
			w.commits = w.commits[:i+1]
			x.forks = x.wholeForks(c.ts, &c.row)
		}
		if len(x.many) > 0 {
			return
		}
	}
}

// nextMany returns the next rows that the acts of the commit which was read last came to.
func (x *Export) nextMany(ctx context.Context) (rows []Row, err error) {
	for size := 0; len(x.many) > 0 && size < exportBytes; {
		g := x.many[0]
		lower, upper := g.bounds()
		if x.copied != nil {
			lower = x.copied
		}
		it, err := newRowIter(x.db, lower, upper)
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
			if x.copied = bytes.Clone(it.key()); row.CommitTS == g.at {
				rows = append(rows, rowOf(it.key(), it.body))
				size += len(it.key()) + len(it.body)
			}
		}
		if err := it.close(); err != nil {
			return nil, err
		}
		if !ok {
			x.many, x.copied = x.many[1:], nil
		}
	}
	return rows, nil
}

// took takes over an act of the commit that is being checked.
func (c *Checker) took(x *act) {
	switch {
	case x == nil:
	case x.many != nil:
		if c.many == nil || c.manyAt != x.many.at {
			c.many, c.manyAt = make(map[AgentName]*rangeAct), x.many.at
		}
		c.many[x.many.agent] = x.many
	default:
		if c.acts == nil {
			c.acts = make(map[AgentName]*fork)
		}
		c.acts[x.fork.agent] = x.fork
	}
}

// rangeOf takes the row that says that an act of the commit ts is under way, if it is.
func (c *Checker) rangeOf(r *rowsOf, ts CommitTS, a AgentName) error {
	key := layout.AgentPrefix(rangeTag, a)
	if len(r.rows) == 0 || !bytes.Equal(r.rows[0].Key, key) {
		return nil
	}
	body, err := r.take(key)
	if err != nil {
		return err
	}
	g, ok := parseRangeAct(key, body)
	act := c.many[a]
	if !ok || c.manyAt != ts || act == nil || !g.same(act) || g.done != "" {
		return layout.CorruptRow(key, "malformed or not of its commit")
	}
	delete(c.many, a)
	return nil
}

// manyOf is the act of the last commit that a row is of; nil: it is of none.
func (c *Checker) manyOf(r *Row) *rangeAct {
	n, _, ok := layout.SplitRecordKey(r.Key)
	if !ok || c.manyAt != c.head.ts {
		return nil
	}
	g := c.many[n.AgentName()]
	if g == nil || !g.covers(n.Key) {
		return nil
	}
	return g
}

func (c *Checker) checkMany(r Row, g *rangeAct) error {
	body, err := layout.OpenRow(r.Key, r.Value)
	if err != nil {
		return err
	}
	row, ok := layout.ParseRecordRow(body)
	if !ok || !g.madeLike(&row) {
		return layout.CorruptRow(r.Key, "malformed, or not what its commit came to")
	}
	return nil
}

// tookRange takes over the row of an act under way that is restored.
func (r *Restore) tookRange(row Row) {
	if g, ok := parseRangeAct(row.Key, row.body()); ok { // it was checked
		r.e.db.acts.put(g)
	}
}
