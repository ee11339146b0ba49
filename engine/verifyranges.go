package engine

import (
	"bytes"

	"statehouse.dev/statehouse/engine/layout"
	"statehouse.dev/statehouse/engine/words"
)

// What verify checks of acts on many keys. The log has the act and no key: the keys follow from what
// was before it. So of each key that the act is about and that existed, there must be a tombstone of
// its commit, of the version after, and no other row of it; or after a restore what was there then, of
// each key that was not as it was. While the act is under way they are there up to where its row says that
// it has come, and not beyond.

// checkMany holds the rows of an act to it.
func (v *verifier) checkMany(g *rangeAct) error {
	up := v.db.acts.get(g.agent)
	if up != nil && up.at != g.at {
		up = nil
	}
	if up != nil && !up.same(g) {
		return layout.CorruptRow(g.key(), "not what the log has")
	}
	lower, upper := g.bounds()
	all, err := g.over(v.db, lower, upper)
	if err != nil {
		return err
	}
	m, err := v.manyChecks(g)
	if err != nil {
		return firstError(err, all.close())
	}
	base := layout.AgentPrefix(layout.RecordTag, g.agent)
	for ok := all.first(); ok; ok = all.next() {
		n, at, good := layout.SplitRecordKey(all.key())
		_, row, good2 := recordAt(all)
		if !good || !good2 {
			all.corrupt()
			break
		}
		if row.CommitTS != g.at {
			continue
		}
		rest := string(all.key()[len(base):])
		written := !all.view.(*rangeRows).added
		switch {
		case !written && g.at <= v.kept.pasts[n.Namespace].dropped: // what came before may be left of a fork's past
		case !written && m.blind:
		case !written && (up == nil || rest <= up.done):
			all.err = words.Failf(ErrDataLoss, "commit %d deleted or restored key %q of agent %q, and its version %d is not there", g.at, n.Key, n.Agent, at)
		case written && up != nil && rest > up.done:
			all.err = words.Failf(ErrDataLoss, "version %d of key %q of agent %q is of commit %d, which has not come so far", at, n.Key, n.Agent, g.at)
		case written:
			all.err = v.checkManyRow(m, n, at, &row)
		}
		if all.err != nil {
			break
		}
	}
	return firstError(all.close(), m.close())
}

// manyChecks is what is needed to check the rows of an act.
type manyChecks struct {
	*rangeAct
	then  *rowIter // of a restore
	blind bool     // what was there then may have been dropped
}

func (v *verifier) manyChecks(g *rangeAct) (m manyChecks, err error) {
	m.rangeAct = g.of(v.db)
	if !g.restores {
		return m, nil
	}
	dropped, err := v.droppedOf(g.agent)
	if err != nil {
		return m, err
	}
	m.blind = m.to > 0 && m.to < dropped
	lower, upper := g.bounds()
	m.then, err = g.thenRows(v.db, lower, upper)
	return m, err
}

func (m *manyChecks) close() error {
	if m.then == nil {
		return nil
	}
	return m.then.close()
}

// checkManyRow checks a row that an act came to.
func (v *verifier) checkManyRow(g manyChecks, n RecordName, at Version, row *layout.RecordRow) error {
	v.kept.matched++
	v.r.Operations++
	if !g.madeLike(row) {
		return words.Failf(ErrDataLoss, "version %d of key %q of agent %q differs from the log (commit %d)", at, n.Key, n.Agent, g.at)
	}
	if !row.Tombstone && row.Gone != 0 {
		if err := v.checkValueGone(n, at, row.Gone); err != nil {
			return err
		}
	}
	dropped := v.kept.pasts[n.Namespace].dropped
	body, err := v.db.recordBody(n, at-1)
	before, ok := layout.ParseRecordRow(body)
	switch {
	case err != nil:
		return err
	case g.at <= dropped && body != nil:
		return words.Failf(ErrDataLoss, "version %d of key %q of agent %q is below what is kept of its namespace and is still there", at-1, n.Key, n.Agent)
	case g.at <= dropped || g.at == dropped+1 && body == nil: // where retention is
		return nil
	case !ok || before.CommitTS >= g.at:
		return words.Failf(ErrDataLoss, "the versions of key %q of agent %q have a gap before %d", n.Key, n.Agent, at)
	case row.Tombstone && before.Tombstone:
		return words.Failf(ErrDataLoss, "version %d of key %q of agent %q was deleted by commit %d, and there was nothing to delete", at, n.Key, n.Agent, g.at)
	case g.blind || !g.restores:
		return nil
	}
	return g.checkRestored(n, at, row, &before)
}

// madeLike reports whether a row can be one that the act came to. A value may have gone since.
func (g *rangeAct) madeLike(row *layout.RecordRow) bool {
	if row.CommitTS != g.at || !row.CommitTime.Equal(g.time) || len(row.Fields) > 0 {
		return false
	}
	return row.Tombstone && row.Gone == 0 || g.restores && !row.Tombstone
}

// checkRestored checks that a row which a restore came to is what was there then, and was not there before it.
func (g *manyChecks) checkRestored(n RecordName, at Version, row, before *layout.RecordRow) error {
	then, err := newestThen(g.then, layout.RecordPrefix(n), at, g.to)
	switch {
	case err != nil:
		return err
	case then == nil || then.Tombstone:
		if !row.Tombstone {
			return words.Failf(ErrDataLoss, "version %d of key %q of agent %q was restored by commit %d, and at commit %d there was none", at, n.Key, n.Agent, g.at, g.to)
		}
	case row.Tombstone, then.Gone == 0 && row.Gone == 0 && (row.Salt != then.Salt || !bytes.Equal(row.Value, then.Value)):
		return words.Failf(ErrDataLoss, "version %d of key %q of agent %q is not what was there at commit %d, as commit %d restored it", at, n.Key, n.Agent, g.to, g.at)
	case before.CommitTS <= g.to || then.Gone == 0 && !before.Tombstone && before.Gone == 0 && bytes.Equal(before.Value, then.Value):
		return words.Failf(ErrDataLoss, "version %d of key %q of agent %q was restored by commit %d, and there was nothing to restore", at, n.Key, n.Agent, g.at)
	}
	return nil
}

// checkRangeRow checks the row of an act under way.
func (v *verifier) checkRangeRow(key, body []byte) error {
	g, ok := parseRangeAct(key, body)
	if !ok || g.at > v.r.Commits {
		return layout.CorruptRow(key, "malformed")
	}
	event, err := getRow(v.db, layout.EventKey(g.agent, g.at))
	if err != nil {
		return err
	}
	ev, ok := layout.ParseEventRow(event)
	if act := manyIn(&ev, g.agent, g.at); !ok || act == nil || !act.same(g) {
		return layout.CorruptRow(key, "not what the log has")
	}
	return nil
}

// droppedOf is the commit up to which what was superseded of an agent may be gone: the one after what
// retention has dropped up to may be an act of which it has come to some keys.
func (v *verifier) droppedOf(a AgentName) (CommitTS, error) {
	dropped := v.kept.pasts[a.Namespace].dropped
	if dropped == 0 {
		return 0, nil
	}
	body, err := getRow(v.db, layout.EventKey(a, dropped+1))
	if body == nil || err != nil {
		return dropped, err
	}
	if ev, ok := layout.ParseEventRow(body); ok && manyIn(&ev, a, dropped+1) != nil {
		dropped++
	}
	return dropped, nil
}

// copiedFromAct checks a copy of a row that an act came to, if the event of its commit is one. There the row itself
// is checked, unless it has gone.
func (v *verifier) copiedFromAct(ev *layout.EventRow, from RecordName, at Version, row *layout.RecordRow) (is bool, err error) {
	g := manyIn(ev, from.AgentName(), row.CommitTS)
	if g == nil || !g.covers(from.Key) || !g.madeLike(row) {
		return false, nil
	}
	body, err := v.db.recordBody(from, at)
	if body == nil || err != nil {
		return true, err
	}
	of, ok := layout.ParseRecordRow(body)
	if !ok || of.Tombstone != row.Tombstone || of.CommitTS != row.CommitTS ||
		row.Gone == 0 && of.Gone == 0 && (of.Salt != row.Salt || !bytes.Equal(of.Value, row.Value)) {
		return false, nil
	}
	return true, nil
}

// erasedUnder reports whether something that an act changed was erased later: then what its event said
// of the commit may be gone.
func (v *verifier) erasedUnder(g *rangeAct) (is bool, err error) {
	lower, upper := g.bounds()
	it, err := newRowIter(v.db, lower, upper)
	if err != nil {
		return false, err
	}
	var last []byte
	erased := false // a version above in the same key was made by an erasure
	for ok := it.first(); ok && !is; ok = it.next() {
		_, row, good := recordAt(it)
		if !good {
			break
		}
		if prefix := it.key()[:len(it.key())-layout.NumberSize]; !bytes.Equal(prefix, last) {
			last, erased = append(last[:0], prefix...), false
		}
		is = erased && row.CommitTS == g.at
		erased = erased || row.Tombstone && row.Gone == layout.GoneErased
	}
	return is, it.close()
}
