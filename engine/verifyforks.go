package engine

import (
	"bytes"
	"cmp"

	"statehouse.dev/statehouse/engine/layout"
	"statehouse.dev/statehouse/engine/words"
)

// What verify checks of forks: that the row which says what an agent is a fork of is the act in the
// log, that versions go on from what was inherited, and that rows which were copied are those of the
// log, no others, and, when the fork is said to be whole, all.

// checkAct checks what an event has of an act.
func (v *verifier) checkAct(a AgentName, ts CommitTS, ev *layout.EventRow) error {
	x, _ := actOf(ev, a, ts)
	switch {
	case x == nil:
		return nil
	case x.many != nil:
		return v.checkMany(x.many)
	}
	return v.checkFork(x.fork)
}

func (v *verifier) checkFork(f *fork) error {
	has := v.db.forks.get(f.agent)
	if has == nil || has.at != f.at || has.parent != f.parent || has.upTo != f.upTo || f.upTo >= f.at {
		return layout.CorruptRow(f.key(), "missing, or not what the log has")
	}
	body, err := getRow(v.db, layout.AgentPrefix(layout.AgentTag, f.parent))
	if err != nil {
		return err
	}
	d := layout.Decoder{Rest: body}
	if first := CommitTS(d.Uvarint()); body == nil || d.Failed || first > f.upTo {
		return words.Failf(ErrDataLoss, "agent %q is a fork of agent %q as of commit %d, which had no commit by then", f.agent.Agent, f.parent.Agent, f.upTo)
	}
	return nil
}

// checkForkRow checks a row that says what an agent is a fork of.
func (v *verifier) checkForkRow(key, body []byte) error {
	f, ok := parseFork(key, body)
	if !ok || f.at > v.r.Commits {
		return layout.CorruptRow(key, "malformed")
	}
	event, err := getRow(v.db, layout.EventKey(f.agent, f.at))
	if err != nil || event == nil && f.at < v.kept.pasts[f.agent.Namespace].dropped {
		return err
	}
	ev, ok := layout.ParseEventRow(event)
	if act, good := actOf(&ev, f.agent, f.at); !ok || !good || act == nil || act.fork == nil || act.fork.parent != f.parent || act.fork.upTo != f.upTo {
		return layout.CorruptRow(key, "not what the log has")
	}
	if f.whole {
		return v.checkWhole(f)
	}
	return nil
}

// checkWhole checks that a fork has all that its parent has yet of what it inherited.
func (v *verifier) checkWhole(f *fork) error {
	c, err := newForkCopy(v.db, f)
	if err != nil {
		return err
	}
	for ok := c.rows.first(); ok; ok = c.rows.next() {
		n, version, _ := layout.SplitRecordKey(c.rows.key())
		if c.rows.err = v.checkCopied(n, version); c.rows.err != nil {
			break
		}
	}
	return c.rows.close()
}

// checkCopied checks that a fork has a version, unless retention has passed what superseded it: then it
// may have gone here, and still be there above.
func (v *verifier) checkCopied(n RecordName, version Version) error {
	there, superseded, err := v.below(n, version)
	if err == nil && !there && !superseded {
		err = words.Failf(ErrDataLoss, "agent %q is said to have all that it inherited, and version %d of key %q is not there", n.Agent, version, n.Key)
	}
	return err
}

// below reports whether an agent has a version in rows of its own, and whether retention has passed what
// superseded it there.
func (v *verifier) below(n RecordName, version Version) (there, superseded bool, err error) {
	prefix := layout.RecordPrefix(n)
	it, err := newRowIter(v.db, prefix, layout.Successor(layout.AppendVersion(prefix, version)))
	if err != nil {
		return false, false, err
	}
	ok := it.last()
	if ok {
		if at, _, good := recordAt(it); good && at == version {
			there, ok = true, it.previous()
		}
	}
	if ok {
		_, row, good := recordAt(it)
		dropped, failed := v.droppedOf(n.AgentName())
		it.err = cmp.Or(it.err, failed)
		superseded = good && row.CommitTS <= dropped
	}
	return there, superseded, it.close()
}

// checkInherited checks that a version which a fork's own commit made is not one that it inherited.
func (v *verifier) checkInherited(n RecordName, version Version) error {
	f := v.db.forks.get(n.AgentName())
	if f == nil || n.Key < firstKey {
		return nil
	}
	prefix := layout.RecordPrefix(n)
	c, err := newForkCopy(v.db, f)
	if err != nil {
		return err
	}
	if c.rows.seek(prefix) && bytes.HasPrefix(c.rows.key(), prefix) {
		if at, _, ok := recordAt(c.rows); ok && at >= version {
			c.rows.err = words.Failf(ErrDataLoss, "agent %q inherited version %d of key %q, and its own commits made version %d", n.Agent, at, n.Key, version)
		}
	}
	return c.rows.close()
}

// checkCopy checks a row that was copied to a fork, if it is one.
func (v *verifier) checkCopy(n RecordName, at Version, row *layout.RecordRow) (copied bool, err error) {
	f := v.db.forks.get(n.AgentName())
	if f == nil || row.CommitTS > f.upTo {
		return false, nil
	}
	v.kept.copies++
	prefix := layout.RecordPrefix(n)
	if f.bare && bytes.Equal(prefix, v.kept.lastCopy) {
		return true, words.Failf(ErrDataLoss, "version %d of key %q of agent %q is below what is kept of its namespace and is still there", at, n.Key, n.Agent)
	}
	v.kept.lastCopy = prefix
	if rest := string(layout.AppendVersion(append([]byte(n.Key), layout.Terminator), at)); !f.whole && rest > f.copied || n.Key < firstKey {
		return true, words.Failf(ErrDataLoss, "version %d of key %q of agent %q is of before the agent began, and nothing copied it", at, n.Key, n.Agent)
	}
	from := n
	from.Agent = v.db.forks.owner(n.AgentName(), row.CommitTS).Agent
	differs := words.Failf(ErrDataLoss, "version %d of key %q of agent %q differs from the log (commit %d of agent %q)", at, n.Key, n.Agent, row.CommitTS, from.Agent)
	log, err := readLogRow(v.db, row.CommitTS)
	if err != nil {
		return true, err
	}
	if !log.CommitTime.Equal(row.CommitTime) {
		return true, differs
	}
	body, err := getRow(v.db, layout.EventKey(from.AgentName(), row.CommitTS))
	if err != nil || body == nil && row.CommitTS < v.kept.pasts[n.Namespace].dropped {
		return true, err
	}
	ev, ok := layout.ParseEventRow(body)
	if !ok {
		return true, differs
	}
	if is, err := v.copiedFromAct(&ev, from, at, row); is || err != nil {
		if err == nil {
			err = v.checkCopyGone(n, at, row)
		}
		return true, err
	}
	for i := range ev.Ops {
		if op := &ev.Ops[i]; op.Key == n.Key && op.Version == at {
			if op.Tombstone != row.Tombstone || !op.Tombstone && row.Gone == 0 && (row.Digest() != op.Digest || len(row.Value) != op.Size) {
				return true, differs
			}
			return true, v.checkCopyGone(n, at, row)
		}
	}
	return true, differs
}

// checkCopyGone checks that the value of a copy could go: with the fork's, or before it was copied.
func (v *verifier) checkCopyGone(n RecordName, at Version, row *layout.RecordRow) error {
	if row.Tombstone || row.Gone != layout.GoneErased {
		if row.Gone == layout.GonePruned && v.kept.pasts[n.Namespace].keeping == 0 {
			return words.Failf(ErrDataLoss, "version %d of key %q of agent %q was pruned, and no retention could prune it", at, n.Key, n.Agent)
		}
		return nil
	}
	for a := n.AgentName(); ; {
		of := RecordName{Namespace: a.Namespace, Agent: a.Agent, Key: n.Key}
		by, err := v.erasureOf(of)
		if err != nil || by > at {
			return err
		}
		// Above, the erasure's tombstone may have been superseded and have gone since.
		if a != n.AgentName() {
			if _, superseded, err := v.below(of, at); superseded || err != nil {
				return err
			}
		}
		f := v.db.forks.get(a)
		if f == nil {
			return words.Failf(ErrDataLoss, "version %d of key %q of agent %q has lost its value, and no erasure took it", at, n.Key, n.Agent)
		}
		a = f.parent
	}
}
