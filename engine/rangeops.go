package engine

import (
	"encoding/binary"
	"slices"
	"strconv"
	"strings"

	"statehouse.dev/statehouse/engine/layout"
	"statehouse.dev/statehouse/engine/words"
)

// Operations on all keys of an agent under a prefix come to ordinary tombstones and writes, of one
// commit, when its turn comes. How many keys there are is not known before, and whoever waits for the
// writer must not wait for them: so one looks at no more keys than a transaction may change. One
// of more is an act (rangeacts.go).

// DeletePrefix deletes every key that exists and begins with the key of the write, which may be empty:
// then every key of the agent.
type DeletePrefix struct{}

// RestoreTo gives every key that begins with the key of the write, which may be empty, the state that it
// had at a point: the value of then as a new version, or a tombstone if it did not exist. What is as
// it was then is left alone.
type RestoreTo struct {
	At At

	to CommitTS
}

func (DeletePrefix) hasValue() bool { return false }
func (RestoreTo) hasValue() bool    { return false }

func checkRange(w *Write) error {
	n := w.Name.AgentName()
	if err := n.Normalize(); err != nil {
		return err
	}
	w.Name.Namespace = n.Namespace
	if w.Expected != nil || w.TTL != 0 {
		return words.Failf(ErrInvalid, "an operation on many keys has no expected version and no time to live").With("field", "expected_version")
	}
	o := ScanOptions{Agent: n, Prefix: w.Name.Key}
	return o.normalize()
}

func (d DeletePrefix) check(w *Write, _ *Limits) (Evaluation, error) { return d, checkRange(w) }

func (r RestoreTo) check(w *Write, _ *Limits) (Evaluation, error) {
	if r.At == (At{}) {
		return nil, words.Failf(ErrInvalid, "a restore says to which commit_ts or time").With("field", "at")
	}
	return r, checkRange(w)
}

// resolveRestore finds out which commit a restore means.
func (e *Engine) resolveRestore(w *Write) error {
	r, is := w.Eval.(RestoreTo)
	if !is || r.At == (At{}) {
		return nil
	}
	s, err := e.Snapshot(r.At)
	r.to = s.ts
	w.Eval = r
	return err
}

func (DeletePrefix) fingerprint(b []byte) []byte { return append(b, 'x') }

func (r RestoreTo) fingerprint(b []byte) []byte { return r.At.fingerprint(append(b, 'r')) }

// fingerprint appends a point as it was asked for.
func (at At) fingerprint(b []byte) []byte {
	switch {
	case at.CommitTS != nil:
		b = binary.AppendUvarint(append(b, 'c'), uint64(*at.CommitTS))
	case at.Time != nil:
		b = layout.AppendTime(append(b, 't'), *at.Time)
	}
	return b
}

func (RestoreTo) result(r *results, op *askedOp) (OpResult, error)    { return r.ofMany(op) }
func (DeletePrefix) result(r *results, op *askedOp) (OpResult, error) { return r.ofMany(op) }

func (r *results) ofMany(op *askedOp) (OpResult, error) {
	one := r.under(op)
	if one.Keys > 0 {
		return one, nil
	}
	var err error
	one.Keys, err = r.ofAct(op)
	return one, err
}

// under counts the keys that the commit changed under the key of an operation.
func (x *results) under(op *askedOp) OpResult {
	r := OpResult{Name: op.name}
	for i := range x.versions {
		if n := &x.versions[i].Name; n.AgentName() == op.name.AgentName() && strings.HasPrefix(n.Key, op.name.Key) && !hidden(n.Key) {
			r.Keys++
		}
	}
	return r
}

func (DeletePrefix) evaluate(v *evaluation, op *askedOp) error {
	if many, err := v.many(op); err != nil {
		return err
	} else if many {
		return v.act(op, &rangeAct{})
	}
	keys, tooMany, err := v.keysUnder(op, false, v.pl.deletedKeys)
	switch {
	case err != nil:
		return err
	case tooMany != nil:
		return v.act(op, &rangeAct{})
	}
	for _, key := range keys {
		v.remove(RecordName{Namespace: op.name.Namespace, Agent: op.name.Agent, Key: key})
	}
	return nil
}

// keysUnder are the keys that an operation is about, in byte order: those that exist, or all that were
// ever written. tooMany says that they are more than most.
func (v *evaluation) keysUnder(op *askedOp, all bool, most int) (keys []string, tooMany, err error) {
	a := op.name.AgentName()
	if err := v.shown(a); err != nil {
		return nil, nil, err
	}
	looked := 0
	err = v.pl.state.keys(a, op.name.Key, func(key string, exists bool) bool {
		if looked++; exists || all {
			keys = append(keys, key)
		}
		return len(keys) <= most && looked <= 2*most
	})
	v.pl.evaluated.keys += looked
	switch {
	case err != nil:
		return nil, nil, err
	case len(keys) > most:
		return nil, tooManyKeys(op, "keys that one operation changes", most), nil
	case looked > 2*most:
		return nil, tooManyKeys(op, "keys that one operation looks at, deleted ones included", 2*most), nil
	}
	for i := range v.parts { // what the operations before made of others
		if v.parts[i].agent != a {
			continue
		}
		for j := range v.parts[i].ops {
			if key := v.parts[i].ops[j].Key; strings.HasPrefix(key, op.name.Key) && !hidden(key) {
				keys = append(keys, key)
			}
		}
	}
	slices.Sort(keys)
	return slices.Compact(keys), nil, nil
}

func tooManyKeys(op *askedOp, what string, limit int) error {
	return onKey(words.Failf(ErrLimit, "%s: more than the limit of %d of agent %q under %q: give longer prefixes, one after the other", what, limit, op.name.Agent, op.name.Key).
		With(limitDetail, strconv.Itoa(limit)).With("what", what), op.name)
}

func (r RestoreTo) evaluate(v *evaluation, op *askedOp) error {
	a := op.name.AgentName()
	if floor := v.pl.state.floor(a.Namespace); r.to < floor {
		return belowFloor(a.Namespace, r.to, floor)
	}
	if op.then != nil { // it is too many, as was found out before
		return v.restoreAct(op, r.to)
	}
	alone := v.namedBy(a) == 1 // else it can be no act
	keys, tooMany, err := v.changedSince(op, r.to)
	switch {
	case err != nil:
		return err
	case tooMany != nil && alone:
		return v.restoreAct(op, r.to)
	case tooMany != nil:
		return tooMany
	}
	var changes []partOp
	bytes := v.bytes
	for _, key := range keys {
		change, err := v.restored(RecordName{Namespace: a.Namespace, Agent: a.Agent, Key: key}, r.to)
		if err != nil {
			return err
		}
		if change == nil {
			continue
		}
		changes = append(changes, *change)
		bytes += len(change.value) + nameBytes(RecordName{Namespace: a.Namespace, Agent: a.Agent, Key: key})
		if alone && (len(changes) > v.pl.deletedKeys || v.count+len(changes) > v.pl.limits.TxnOps || bytes > v.pl.limits.TxnBytes) {
			return v.restoreAct(op, r.to)
		}
	}
	for _, change := range changes {
		v.set(RecordName{Namespace: a.Namespace, Agent: a.Agent, Key: change.Key}, change)
	}
	return nil
}

// changedSince are the keys that an operation is about and that a commit after ts, or an operation
// before, has changed.
func (v *evaluation) changedSince(op *askedOp, ts CommitTS) (keys []string, tooMany, err error) {
	a, most := op.name.AgentName(), v.pl.limits.TxnOps
	if err := v.shown(a); err != nil {
		return nil, nil, err
	}
	looked, acted := 0, false
	whole, err := v.pl.state.events(a, ts, v.pl.shown(), func(_ CommitTS, ev *layout.EventRow) bool {
		looked += 1 + len(ev.Ops)
		_, act := ev.Fields.Get(layout.FieldAct)
		acted = acted || act
		for i := range ev.Ops {
			if key := ev.Ops[i].Key; key != "" && strings.HasPrefix(key, op.name.Key) && !hidden(key) {
				keys = append(keys, key)
			}
		}
		return looked <= 2*most && !acted
	})
	v.pl.evaluated.keys += looked
	switch {
	case err != nil:
		return nil, nil, err
	case acted: // of any number of keys, or then it did not exist
		return v.keysUnder(op, true, most)
	case !whole:
		return nil, tooManyKeys(op, "changes that one operation looks at", 2*most), nil
	}
	for i := range v.parts {
		if v.parts[i].agent == a {
			for j := range v.parts[i].ops {
				if key := v.parts[i].ops[j].Key; strings.HasPrefix(key, op.name.Key) && !hidden(key) {
					keys = append(keys, key)
				}
			}
		}
	}
	slices.Sort(keys)
	return slices.Compact(keys), nil, nil
}

// restored is what a key becomes by a restore to a commit; nil: it is as it was then. The store has all that is
// planned of the agent.
func (v *evaluation) restored(name RecordName, ts CommitTS) (*partOp, error) {
	now, then, err := v.pl.state.nowAndThen(name, ts)
	if err != nil {
		return nil, err
	}
	if own := v.find(name.AgentName(), string(layout.RecordPrefix(name))); own != nil {
		now = seen{exists: !own.Tombstone, value: own.value, gone: own.Gone}
	}
	switch {
	case then.exists && then.gone != 0:
		return nil, goneSince(name)
	case !then.exists && now.exists:
		change := &partOp{}
		change.Key, change.Tombstone = name.Key, true
		return change, nil
	case then.exists && (!now.exists || now.gone != 0 || string(now.value) != string(then.value)):
		change := &partOp{value: then.value}
		change.Key = name.Key
		return change, nil
	}
	return nil, nil
}
