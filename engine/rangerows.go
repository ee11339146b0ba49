package engine

import (
	"bytes"

	"statehouse.dev/statehouse/engine/layout"
)

// rangeRows walks the rows of an agent of which an act on many keys is under way: those that are
// there, and those that the act comes to and that no chore has written yet.
//
// Such a row is of the act's commit, and of a delete a tombstone. It stands right before a key's newest
// version from before the act, if the act changes that (becomes) and there is no row of the act: so
// whether one is missing follows from a row, the one before it, and of a restore the one of then.
type rangeRows struct {
	of    *rangeAct
	then  *rowIter // of a restore
	base  []byte   // record prefix of the agent
	in    *rowIter
	valid bool
	// added: it is at the row that is missing before the one that in is at.
	added bool
	key   []byte // that it is at
	known []byte // the row before which one is missing, or not, was found out last, by its key
	body  []byte // of the one that is missing there; empty: none is
}

// recordRows walks the rows of an agent's records within bounds, which are of that agent.
func (s *store) recordRows(a AgentName, lower, upper []byte) (*rowIter, error) {
	for {
		g := s.acts.get(a) // first: when it is under way no longer, its rows are there
		if g == nil {
			return s.writtenRows(a, lower, upper)
		}
		rows, err := g.over(s, lower, upper)
		if err != nil || !g.restores {
			return rows, err
		}
		if still := s.acts.get(a); still != nil && still.at == g.at {
			return rows, nil
		}
		if err := rows.close(); err != nil { // what was there then may have gone before it was opened
			return nil, err
		}
	}
}

// over walks rows of the act's agent within bounds, and those that are missing.
func (g *rangeAct) over(db *store, lower, upper []byte) (*rowIter, error) {
	rows, err := db.writtenRows(g.agent, lower, upper)
	if err != nil {
		return nil, err
	}
	then, err := g.thenRows(db, lower, upper)
	if err != nil {
		return nil, firstError(err, rows.close())
	}
	return &rowIter{view: &rangeRows{of: g.of(db), then: then, base: layout.AgentPrefix(layout.RecordTag, g.agent), in: rows}}, nil
}

// missing reports whether the act gave a new version to the key that in is at if that is its newest row from
// before, and returns the row's key without the version, and the version.
func (v *rangeRows) missing() (prefix []byte, version Version, is bool) {
	key := v.in.key()
	if len(key) < len(v.base)+1+layout.NumberSize || !v.of.covers(string(key[len(v.base):len(key)-1-layout.NumberSize])) {
		return nil, 0, false
	}
	at, row, ok := recordAt(v.in)
	if !ok || row.CommitTS >= v.of.at {
		return nil, 0, false
	}
	prefix = key[:len(key)-layout.NumberSize]
	if !bytes.Equal(v.known, key) {
		adds, err := v.of.becomes(v.then, prefix, at, &row)
		if err != nil {
			v.in.err = firstError(v.in.err, err)
			return nil, 0, false
		}
		v.known, v.body = append(v.known[:0], key...), v.body[:0]
		if adds != nil {
			v.body = adds.Append(v.body)
		}
	}
	return prefix, at + 1, len(v.body) > 0
}

// newer reports whether in is at a version of the record of a key that is not from after the act.
func (v *rangeRows) newer(key []byte) bool {
	if !bytes.HasPrefix(v.in.key(), key[:len(key)-layout.NumberSize]) {
		return false
	}
	_, row, ok := recordAt(v.in)
	return ok && row.CommitTS <= v.of.at
}

// missingKey is the key of the row that is missing before the one that in is at if that is its key's newest
// from before.
func (v *rangeRows) missingKey() (key []byte, is bool) {
	prefix, version, is := v.missing()
	if !is {
		return nil, false
	}
	return layout.AppendVersion(bytes.Clone(prefix), version), true
}

// settle ends a move.
func (v *rangeRows) settle(i *rowIter, ok bool) bool {
	i.moves, i.bytes = v.in.moves, v.in.bytes
	if v.valid = ok && v.in.err == nil; !v.valid {
		i.err = v.in.err
		return false
	}
	if !v.added {
		v.key, i.body = append(v.key[:0], v.in.key()...), v.in.body
		return true
	}
	key, _ := v.missingKey()
	v.key, i.body = key, v.body
	return v.in.err == nil
}

func (v *rangeRows) shown() []byte { return v.key }

func (v *rangeRows) first(i *rowIter) bool {
	v.in.ctx = i.ctx
	ok := v.in.first() // bounds do not part the versions of a key
	v.added = false
	if ok {
		_, _, v.added = v.missing()
	}
	return v.settle(i, ok)
}

func (v *rangeRows) last(i *rowIter) bool {
	v.in.ctx = i.ctx
	v.added = false
	return v.settle(i, v.in.last())
}

func (v *rangeRows) step(i *rowIter, back bool) bool {
	if !v.valid {
		return false
	}
	v.in.ctx = i.ctx
	if back {
		return v.previous(i)
	}
	if v.added {
		v.added = false
		return v.settle(i, true)
	}
	newer := v.newer(v.key)
	ok := v.in.next()
	if ok && !(newer && bytes.HasPrefix(v.in.key(), v.key[:len(v.key)-layout.NumberSize])) {
		_, _, v.added = v.missing()
	}
	return v.settle(i, ok)
}

func (v *rangeRows) previous(i *rowIter) bool {
	if v.added {
		v.added = false
		return v.settle(i, v.in.previous())
	}
	at, is := v.missingKey()
	ok := v.in.previous()
	if !is || ok && v.newer(at) || v.in.err != nil {
		return v.settle(i, ok)
	}
	v.added = v.in.seek(v.key)
	return v.settle(i, v.added)
}

func (v *rangeRows) seek(i *rowIter, key []byte) bool {
	v.in.ctx = i.ctx
	ok := v.in.seek(key)
	v.added = false
	if ok { // nothing is between key and where in is
		at, is := v.missingKey()
		v.added = is && bytes.Compare(key, at) <= 0
		if v.added && bytes.Compare(key, at[:len(at)-layout.NumberSize]) > 0 { // newer versions are before key
			v.added = !(v.in.before(key) && v.newer(at))
			ok = v.in.err == nil && v.in.seek(key)
		}
	}
	return v.settle(i, ok)
}

func (v *rangeRows) before(i *rowIter, key []byte) bool {
	v.in.ctx = i.ctx
	v.added = false
	if len(key) > layout.NumberSize && bytes.HasPrefix(key, v.base) && v.in.seek(key) { // it may part the versions of a key
		at, is := v.missingKey()
		if is && bytes.Compare(at, key) < 0 && !(v.in.before(key) && v.newer(at)) {
			v.added = v.in.err == nil && v.in.seek(key)
			return v.settle(i, v.added)
		}
	}
	return v.settle(i, v.in.err == nil && v.in.before(key))
}

func (v *rangeRows) close() error {
	if v.then == nil {
		return v.in.close()
	}
	return firstError(v.in.close(), v.then.close())
}
