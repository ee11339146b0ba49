package engine

import (
	"bytes"
	"sync/atomic"

	"statehouse.dev/statehouse/engine/layout"
	"statehouse.dev/statehouse/engine/words"
)

// What verify allows to be missing, and nothing else: below the floor of a namespace what was
// superseded there; values that were pruned, of versions that are not the current one; values that
// an erasure took, which leaves a tombstone above them that says so.

type keptChecks struct {
	pasts map[string]past
	// matched counts the versions that an event in the log made. base those whose event is gone:
	// each is the oldest of its key, and current at the floor.
	matched, base uint64
	copies        uint64 // versions that were copied to a fork, whose events are of its parent

	lastCopy  []byte // the record of the copy that checkCopy saw last
	last      []byte // the record that checkBase saw last, if it was a base
	erasures  *cache[string, Version]
	oldestRow *cache[string, oldestVersion]
}

type oldestVersion struct {
	version  Version
	commitTS CommitTS
}

// checkEventGone checks that an event that is missing could go: another one of its agent had
// taken its place at the floor, and its commit can no longer be asked for by its id.
func (v *verifier) checkEventGone(ts CommitTS, row *layout.LogRow, a AgentName) error {
	missing := layout.CorruptRow(layout.EventKey(a, ts), "missing, malformed or not of its commit")
	dropped := v.kept.pasts[a.Namespace].dropped
	if ts >= dropped {
		return missing
	}
	it, err := newRowIter(v.db, layout.EventKey(a, ts+1), layout.EventKey(a, dropped+1))
	if err != nil {
		return err
	}
	superseded := it.first()
	if err := it.close(); err != nil {
		return err
	}
	o, found, err := dbState{v.db}.outcome(row.TxnID)
	if err == nil && (!superseded || found && o.CommitTS == ts) {
		err = missing
	}
	return err
}

// checkVersionGone checks that a version that is missing could go: another one had taken its place
// at the floor.
func (v *verifier) checkVersionGone(n RecordName, op *layout.EventRowOp, ts CommitTS) error {
	base, err := v.oldest(n)
	if err != nil {
		return err
	}
	dropped, err := v.droppedOf(n.AgentName())
	if err != nil {
		return err
	}
	if ts >= dropped || base.version <= op.Version || base.commitTS > dropped {
		return words.Failf(ErrDataLoss, "version %d of key %q of agent %q is in the log (commit %d) but not in the state", op.Version, n.Key, n.Agent, ts)
	}
	return nil
}

// checkValueGone checks that a value could go.
func (v *verifier) checkValueGone(n RecordName, version Version, how layout.Gone) error {
	if v.imports.making(n.AgentName()) { // what must stand above it is staged
		return nil
	}
	if how == layout.GoneErased {
		by, err := v.erasureOf(n)
		if err == nil && by <= version {
			err = words.Failf(ErrDataLoss, "version %d of key %q of agent %q has lost its value, and no erasure took it", version, n.Key, n.Agent)
		}
		v.r.Erased++
		return err
	}
	body, err := getRow(v.db, layout.AppendVersion(layout.RecordPrefix(n), version+1))
	if err == nil && (body == nil || v.kept.pasts[n.Namespace].keeping == 0) {
		err = words.Failf(ErrDataLoss, "version %d of key %q of agent %q was pruned, and no retention could prune it", version, n.Key, n.Agent)
	}
	v.r.Pruned++
	return err
}

// checkProvenanceGone checks that what an event said of its commit could go.
func (v *verifier) checkProvenanceGone(ts CommitTS, a AgentName, ev *layout.EventRow) error {
	if ts < v.kept.pasts[a.Namespace].dropped {
		return nil
	}
	for i := range ev.Ops {
		by, err := v.erasureOf(RecordName{Namespace: a.Namespace, Agent: a.Agent, Key: ev.Ops[i].Key})
		if err != nil || by > ev.Ops[i].Version {
			return err
		}
	}
	if g := manyIn(ev, a, ts); g != nil {
		if erased, err := v.erasedUnder(g); err != nil || erased {
			return err
		}
	}
	return words.Failf(ErrDataLoss, "the metadata of commit %d is gone from the event of agent %q, and no erasure took it", ts, a.Agent)
}

// cachedKeys is of how many keys is remembered what was looked up.
const cachedKeys = 1 << 16

// erasureOf is the newest version of a key that an erasure made; 0: there is none.
func (v *verifier) erasureOf(n RecordName) (by Version, err error) {
	if v.kept.erasures == nil {
		v.kept.erasures = newCache[string, Version](cachedKeys, new(atomic.Uint64))
	}
	prefix := layout.RecordPrefix(n)
	if by, found := v.kept.erasures.get(string(prefix)); found {
		return by, nil
	}
	it, err := newRowIter(v.db, prefix, layout.Successor(prefix))
	if err != nil {
		return 0, err
	}
	for ok := it.first(); ok; ok = it.next() {
		at, row, good := recordAt(it)
		if !good {
			break
		}
		if row.Tombstone && row.Gone == layout.GoneErased {
			by = at
			break
		}
	}
	v.kept.erasures.put(string(prefix), by)
	return by, it.close()
}

// oldest is the oldest version of a key that is there.
func (v *verifier) oldest(n RecordName) (o oldestVersion, err error) {
	if v.kept.oldestRow == nil {
		v.kept.oldestRow = newCache[string, oldestVersion](cachedKeys, new(atomic.Uint64))
	}
	prefix := layout.RecordPrefix(n)
	if o, found := v.kept.oldestRow.get(string(prefix)); found {
		return o, nil
	}
	it, err := newRowIter(v.db, prefix, layout.Successor(prefix))
	if err != nil {
		return o, err
	}
	f := v.db.forks.get(n.AgentName())
	for ok := it.last(); ok; ok = it.previous() {
		at, row, good := recordAt(it)
		if good && f != nil && row.CommitTS <= f.upTo {
			continue // copied, and no version of the agent's own
		}
		if good {
			o = oldestVersion{at, row.CommitTS}
		}
		break
	}
	v.kept.oldestRow.put(string(prefix), o)
	return o, it.close()
}

// checkBase checks a version whose event is gone, which checkLog has not seen. It is called in key
// order: of a key, the newest version first.
func (v *verifier) checkBase(key, body []byte) error {
	n, at, ok := layout.SplitRecordKey(key)
	row, ok2 := layout.ParseRecordRow(body)
	if !ok || !ok2 {
		return layout.CorruptRow(key, "malformed")
	}
	if copied, err := v.checkCopy(n, at, &row); copied {
		return err
	}
	prefix := key[:len(key)-layout.NumberSize]
	if bytes.Equal(prefix, v.kept.last) {
		return words.Failf(ErrDataLoss, "version %d of key %q of agent %q is below what is kept of its namespace and is still there", at, n.Key, n.Agent)
	}
	v.kept.last = v.kept.last[:0]
	if row.CommitTS > v.kept.pasts[n.Namespace].dropped || row.CommitTS == 0 || row.CommitTS > v.r.Commits {
		return nil // checkLog has seen it, or it was made by none
	}
	event, err := getRow(v.db, layout.EventKey(n.AgentName(), row.CommitTS))
	if event != nil || err != nil {
		return err
	}
	log, err := readLogRow(v.db, row.CommitTS)
	if err != nil {
		return err
	}
	if !log.CommitTime.Equal(row.CommitTime) {
		return words.Failf(ErrDataLoss, "version %d of key %q of agent %q differs from the log (commit %d)", at, n.Key, n.Agent, row.CommitTS)
	}
	v.kept.base++
	v.kept.last = append(v.kept.last, prefix...)
	return nil
}
