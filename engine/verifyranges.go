package engine

import "bytes"

// What verify checks of acts on many keys. The log has the act and no key: the keys follow from what
// was before it. So of each key that the act is about and that existed, there must be a tombstone of
// its commit, of the version after, and no other row of it. While the act is under way they are there
// up to where its row says that it has come, and not beyond.

// checkMany holds the rows of an act to it.
func (v *verifier) checkMany(g *rangeAct) error {
	up := v.db.acts.get(g.agent)
	if up != nil && up.at != g.at {
		up = nil
	}
	if up != nil && (up.prefix != g.prefix || !up.time.Equal(g.time)) {
		return corruptRow(g.key(), "not what the log has")
	}
	lower, upper := g.bounds()
	rows, err := v.db.writtenRows(g.agent, lower, upper)
	if err != nil {
		return err
	}
	all, base := g.over(rows), agentPrefix(recordTag, g.agent)
	for ok := all.first(); ok; ok = all.next() {
		n, at, good := splitRecordKey(all.key())
		_, row, good2 := recordAt(all)
		if !good || !good2 {
			all.corrupt()
			break
		}
		if row.commitTS != g.at {
			continue
		}
		rest := string(all.key()[len(base):])
		written := !all.view.(*rangeRows).added
		switch {
		case !written && g.at <= v.kept.pasts[n.Namespace].dropped: // what came before may be left of a fork's past
		case !written && (up == nil || rest <= up.done):
			all.err = failf(ErrDataLoss, "commit %d deleted key %q of agent %q, and its version %d is not there", g.at, n.Key, n.Agent, at)
		case written && up != nil && rest > up.done:
			all.err = failf(ErrDataLoss, "version %d of key %q of agent %q is of commit %d, which has not come so far", at, n.Key, n.Agent, g.at)
		case written:
			all.err = v.checkManyRow(g, n, at, &row)
		}
		if all.err != nil {
			break
		}
	}
	return all.close()
}

// checkManyRow checks a row that an act came to.
func (v *verifier) checkManyRow(g *rangeAct, n RecordName, at Version, row *recordRow) error {
	v.kept.matched++
	v.r.Operations++
	if !row.tombstone || row.gone != 0 || row.hold.kind != 0 || !row.commitTime.Equal(g.time) {
		return failf(ErrDataLoss, "version %d of key %q of agent %q differs from the log (commit %d)", at, n.Key, n.Agent, g.at)
	}
	dropped := v.kept.pasts[n.Namespace].dropped
	body, err := v.db.recordBody(n, at-1)
	before, ok := parseRecordRow(body)
	switch {
	case err != nil:
		return err
	case g.at <= dropped && body != nil:
		return failf(ErrDataLoss, "version %d of key %q of agent %q is below what is kept of its namespace and is still there", at-1, n.Key, n.Agent)
	case g.at <= dropped || g.at == dropped+1 && body == nil: // where retention is
		return nil
	case !ok || before.commitTS >= g.at || before.tombstone:
		return failf(ErrDataLoss, "version %d of key %q of agent %q was deleted by commit %d, and there was nothing to delete", at, n.Key, n.Agent, g.at)
	}
	return nil
}

// checkRangeRow checks the row of an act under way.
func (v *verifier) checkRangeRow(key, body []byte) error {
	g, ok := parseRangeAct(key, body)
	if !ok || g.at > v.r.Commits {
		return corruptRow(key, "malformed")
	}
	event, err := getRow(v.db, eventKey(g.agent, g.at))
	if err != nil {
		return err
	}
	ev, ok := parseEventRow(event)
	if act := ev.manyIn(g.agent, g.at); !ok || act == nil || act.prefix != g.prefix {
		return corruptRow(key, "not what the log has")
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
	body, err := getRow(v.db, eventKey(a, dropped+1))
	if body == nil || err != nil {
		return dropped, err
	}
	if ev, ok := parseEventRow(body); ok && ev.manyIn(a, dropped+1) != nil {
		dropped++
	}
	return dropped, nil
}

// deletedBy reports whether the event of a commit is an act that deleted a key, as its row says.
func deletedBy(ev *eventRow, a AgentName, ts CommitTS, key string, row *recordRow) bool {
	g := ev.manyIn(a, ts)
	return g != nil && g.covers(key) && row.tombstone && row.gone == 0
}

// erasedUnder reports whether something that an act deleted was erased later: then what its event said
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
		if prefix := it.key()[:len(it.key())-numberSize]; !bytes.Equal(prefix, last) {
			last, erased = append(last[:0], prefix...), false
		}
		is = erased && row.commitTS == g.at
		erased = erased || row.tombstone && row.gone == goneErased
	}
	return is, it.close()
}
