package engine

import (
	"bytes"

	"github.com/cockroachdb/pebble/v2"

	"statehouse.dev/statehouse/engine/layout"
)

// The rows of a fork are its own and those of its parent up to a commit, and so on upwards: the
// same rows as those of an agent that was never forked, in the order of their keys, but that some
// stand under the names of other agents. forkRows walks them under the fork's name, so that
// whoever reads records need not know.

// writtenRows walks the rows of an agent's records within bounds that were written, here or where a fork
// has them.
func (s *store) writtenRows(a AgentName, lower, upper []byte) (*rowIter, error) {
	f := s.forks.get(a)
	if f == nil || f.whole {
		return newRowIter(s, lower, upper)
	}
	v := &forkRows{base: layout.AgentPrefix(layout.RecordTag, a)}
	v.add(a, inOwn)
	return v.open(s, f, lower, upper)
}

// inheritedRows walks the rows that a fork inherited, whether they are copied or not: those that are
// above it yet.
func (s *store) inheritedRows(f *fork) (*rowIter, error) {
	v := &forkRows{base: layout.AgentPrefix(layout.RecordTag, f.agent)}
	as := *f
	as.whole = false
	lower := append(bytes.Clone(v.base), firstKey...)
	return v.open(s, &as, lower, layout.Successor(v.base))
}

// open adds what f inherits, and opens all.
func (v *forkRows) open(s *store, f *fork, lower, upper []byte) (*rowIter, error) {
	own := len(v.of) // not inherited
	for ; f != nil && !f.whole; f = s.forks.get(f.parent) {
		v.add(f.parent, f.upTo) // a parent that is a fork began after what it inherits
		if g := s.acts.get(f.parent); g != nil && g.at <= f.upTo {
			v.of[len(v.of)-1].acted = &f.parent // it reaches into what that inherited
			break
		}
	}
	// The last one first: rows that go there are copied below before.
	for i := len(v.of) - 1; i >= 0; i-- {
		o := &v.of[i]
		bounds := pebble.IterOptions{LowerBound: v.at(o, lower), UpperBound: v.at(o, upper)}
		if i >= own { // what the engine keeps of an agent for itself, leases and the like, is not inherited
			bounds.LowerBound = latest(bounds.LowerBound, append(bytes.Clone(o.base), firstKey...))
			bounds.UpperBound = latest(bounds.LowerBound, bounds.UpperBound)
		}
		rows, err := o.open(s, &bounds)
		if err != nil {
			_ = v.close()
			return nil, err
		}
		o.rows, o.opened = rows, true
	}
	return &rowIter{view: v, reads: &s.reads}, nil
}

func (o *inherited) open(s *store, bounds *pebble.IterOptions) (rowIter, error) {
	if o.acted == nil {
		return s.rows(bounds)
	}
	rows, err := s.recordRows(*o.acted, bounds.LowerBound, bounds.UpperBound)
	if err != nil {
		return rowIter{}, err
	}
	return *rows, nil
}

func latest(a, b []byte) []byte {
	if bytes.Compare(a, b) > 0 {
		return a
	}
	return b
}

// inOwn is the commit up to which an agent has its own rows.
const inOwn = CommitTS(^uint64(0))

type forkRows struct {
	base    []byte // record prefix of the agent, under whose name the rows are shown
	of      []inherited
	current *inherited
	key     []byte // that it is at, under the fork's name
	back    bool   // the last move was backwards
}

// inherited is one agent's rows: those of the fork itself, or of an agent above it.
type inherited struct {
	base   []byte
	upTo   CommitTS   // only rows of commits up to here
	acted  *AgentName // whose act on many keys adds to them; nil: none does
	rows   rowIter
	opened bool
	valid  bool
	body   []byte // of the row; nil: as it is
	probe  []byte // buffer
}

func (v *forkRows) add(a AgentName, upTo CommitTS) {
	v.of = append(v.of, inherited{base: layout.AgentPrefix(layout.RecordTag, a), upTo: upTo})
}

// at is a key or bound of the fork where it is in o.
func (v *forkRows) at(o *inherited, key []byte) []byte {
	if bytes.HasPrefix(key, v.base) {
		return append(bytes.Clone(o.base), key[len(v.base):]...)
	}
	return layout.Successor(o.base) // the end of the agent
}

// rest is what the key that o is at has besides the agent.
func (o *inherited) rest() []byte { return o.rows.key()[len(o.base):] }

// move moves all of them and settles on one.
func (v *forkRows) move(i *rowIter, back bool, each func(*inherited) bool) bool {
	v.back = back
	for j := range v.of {
		o := &v.of[j]
		o.rows.ctx = i.ctx
		if o.valid = each(o); o.valid {
			o.within(back)
		}
	}
	return v.settle(i)
}

// step moves on from the row that it is at, which more than one of them may have.
func (v *forkRows) step(i *rowIter, back bool) bool {
	if v.current == nil {
		return false
	}
	if v.back != back {
		key := bytes.Clone(v.key)
		if back {
			return v.move(i, true, func(o *inherited) bool { return o.rows.before(v.at(o, key)) })
		}
		return v.move(i, false, func(o *inherited) bool {
			at := v.at(o, key)
			ok := o.rows.seek(at)
			if ok && bytes.Equal(o.rows.key(), at) {
				ok = o.rows.next()
			}
			return ok
		})
	}
	rest := v.key[len(v.base):]
	for j := range v.of {
		o := &v.of[j]
		if !o.valid || !bytes.Equal(o.rest(), rest) {
			continue
		}
		if back {
			o.valid = o.rows.previous()
		} else {
			o.valid = o.rows.next()
		}
		if o.valid {
			o.within(back)
		}
	}
	return v.settle(i)
}

// settle makes the first of the rows in the direction of the move the current one. Of rows that are
// the same the fork's own counts.
func (v *forkRows) settle(i *rowIter) bool {
	v.current = nil
	for j := range v.of {
		o := &v.of[j]
		if o.rows.err != nil {
			i.err = o.rows.err
			return false
		}
		if !o.valid {
			continue
		}
		if v.current != nil {
			c := bytes.Compare(o.rest(), v.current.rest())
			if c == 0 || (c < 0) == v.back {
				continue
			}
		}
		v.current = o
	}
	if v.current == nil {
		return false
	}
	v.key = append(append(v.key[:0], v.base...), v.current.rest()...)
	if i.body = v.current.rows.body; v.current.body != nil {
		i.body = v.current.body
	}
	return true
}

// within moves o on, in the direction of the move, to a row that is inherited: of a key with newer
// ones it passes those over.
func (o *inherited) within(back bool) {
	for o.valid {
		at, row, ok := recordAt(&o.rows)
		if !ok {
			o.valid = false
			return
		}
		if row.CommitTS <= o.upTo {
			o.body = o.withoutHold(&row)
			return
		}
		prefix := append(o.probe[:0], o.rows.key()[:len(o.rows.key())-layout.NumberSize]...)
		o.probe = prefix
		if back { // what follows is newer
			o.valid = o.rows.before(prefix)
			continue
		}
		o.forward(prefix, at)
	}
}

// WithoutHold is the body of an inherited row that was written to last for a time: a fork inherits the
// record, and nothing that will end it. nil: it was not.
func (o *inherited) withoutHold(row *layout.RecordRow) []byte {
	if o.upTo == inOwn || row.Hold.Kind == 0 {
		return nil
	}
	return row.WithoutHold()
}

// forward moves o from a version that is too new to the newest that is not, or to the next key.
func (o *inherited) forward(prefix []byte, high Version) {
	o.valid = o.rows.olderThan(prefix, high, o.upTo)
}

func (v *forkRows) shown() []byte { return v.key }

func (v *forkRows) first(i *rowIter) bool {
	return v.move(i, false, func(o *inherited) bool { return o.rows.first() })
}

func (v *forkRows) last(i *rowIter) bool {
	return v.move(i, true, func(o *inherited) bool { return o.rows.last() })
}

func (v *forkRows) seek(i *rowIter, key []byte) bool {
	return v.move(i, false, func(o *inherited) bool { return o.rows.seek(v.at(o, key)) })
}

func (v *forkRows) before(i *rowIter, key []byte) bool {
	return v.move(i, true, func(o *inherited) bool { return o.rows.before(v.at(o, key)) })
}

func (v *forkRows) close() (err error) {
	for j := range v.of {
		o := &v.of[j]
		if !o.opened {
			continue
		}
		if e := o.rows.close(); err == nil {
			err = e
		}
	}
	return err
}

// recordBody is the body of the row of one version of a record; nil: there is none.
func (s *store) recordBody(n RecordName, v Version) ([]byte, error) {
	own := layout.AppendVersion(layout.RecordPrefix(n), v)
	f := s.forks.get(n.AgentName())
	if len(s.acts.all()) > 0 && (s.acts.get(n.AgentName()) != nil || f != nil && !f.whole) {
		return s.bodyIn(n, own)
	}
	body, err := getRow(s, own)
	if body != nil || err != nil || f == nil || f.whole || n.Key < firstKey {
		return body, err
	}
	for ; f != nil && !f.whole; f = s.forks.get(f.parent) {
		n.Agent = f.parent.Agent
		body, err := getRow(s, layout.AppendVersion(layout.RecordPrefix(n), v))
		if err != nil {
			return nil, err
		}
		if body == nil {
			continue
		}
		row, ok := layout.ParseRecordRow(body)
		if !ok {
			return nil, layout.CorruptRow(layout.RecordPrefix(n), "malformed")
		}
		if row.CommitTS <= f.upTo {
			return row.WithoutHold(), nil
		}
	}
	return getRow(s, own) // it may have been copied meanwhile, and have gone above
}

// bodyIn is recordBody where rows may have to be derived.
func (s *store) bodyIn(n RecordName, key []byte) (body []byte, err error) {
	prefix := layout.RecordPrefix(n)
	rows, err := s.recordRows(n.AgentName(), prefix, layout.Successor(prefix))
	if err != nil {
		return nil, err
	}
	if rows.seek(key) && bytes.Equal(rows.key(), key) {
		body = bytes.Clone(rows.body)
	}
	return body, rows.close()
}
