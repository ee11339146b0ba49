package engine

import (
	"encoding/binary"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"statehouse.dev/statehouse/engine/layout"
	"statehouse.dev/statehouse/engine/words"
)

// An operation that the writer evaluates says what is to be done with what is there, so that no
// client has to read first: add to a number, append to a sequence. The request's goroutine
// checks it and keeps it as it was asked; when the commit's turn comes, the planner makes of it the
// writes that the log gets. So replay, records and readers know values and keys only, and a proposal
// that is planned again is evaluated afresh.
//
// A kind of operation is one type in a file of its own, which implements Evaluation. What it must
// keep to: evaluate is a function of the evaluation that it is given, as planning is of the state; and
// result can be told from the log, since a request may be answered again after a restart.
//
// In a request that has one, operations take effect in their order: each sees what those before it
// made of a key, and all of them together are one version of it. Two requests are the same
// only if they have the same operations in the same order.

// An Evaluation is an operation of a Write that the writer evaluates. The kinds are the types of
// this package that implement it.
type Evaluation interface {
	// check refuses what is right in no state. It sees to the names of w, whose value has been checked
	// if there is one, and returns the operation with what it has worked out.
	check(w *Write, l *Limits) (Evaluation, error)
	// hasValue reports whether the write has a value.
	hasValue() bool
	// fingerprint appends what tells it from others, beside its name and value.
	fingerprint(b []byte) []byte
	// evaluate makes writes of op. Its error refuses the commit: of the kind ErrEvaluation for good;
	// errNextStep has the commit planned again.
	evaluate(v *evaluation, op *askedOp) error
	// result says what came of it.
	result(r *results, op *askedOp) (OpResult, error)
}

// OpResult is what came of one operation.
type OpResult struct {
	Acquired *Acquire   // of an acquisition: what was asked; Version is the token
	Claimed  []Claimed  // of a claim
	Name     RecordName // with the key that an append got
	Version  Version    // that the commit gave the key
	// Value is what the record is after the commit, of operations that change a value, or find one.
	// Of several on one key the last has it. Nil: it has been erased or pruned since.
	Value []byte
	// Keys is how many keys it changed, of an operation on many.
	Keys uint64
	// Existed, of IfAbsent: there was a record already, which Version and Value are of.
	Existed bool
}

// askedOp is an operation as it was asked for.
type askedOp struct {
	name RecordName
	partOp
	eval Evaluation // nil: a plain write
	then *thenLook  // of a restore that is to be an act
	look look       // before the writer has it, of a delete of many
}

// errNextStep says that a proposal cannot be evaluated in this step, and must be planned again in the
// next, before others.
var errNextStep = errors.New("the operation is evaluated in the next step")

// evaluation is the state that the operations of one proposal see: the planned one, and what those
// before them made of it.
type evaluation struct {
	pl    *planner
	p     *proposal
	time  time.Time // of the commit
	parts []agentPart
	at    map[string]opAt // by record prefix; nil while there are few operations
	count int
	bytes int

	sequences map[string]uint64 // the last numbers that were given
	leases    map[AgentName]int // that were acquired
}

type opAt struct{ part, op int }

// fewOps is how many operations are looked through one by one.
const fewOps = 12

// evaluate makes the operations of a proposal out of those that were asked for.
func (pl *planner) evaluate(p *proposal, now time.Time) error {
	if pl.evaluated.bytes >= pl.stepBytes || pl.evaluated.keys >= pl.lookups {
		return errNextStep
	}
	v := &evaluation{pl: pl, p: p, time: now}
	for i := range p.asked {
		op := &p.asked[i]
		if op.eval == nil {
			v.set(op.name, op.partOp)
		} else if err := op.eval.evaluate(v, op); err != nil {
			return err
		}
		if v.count > pl.limits.TxnOps {
			return evaluationLimit("operations of the transaction", v.count, pl.limits.TxnOps)
		}
		if v.bytes > pl.limits.TxnBytes {
			return evaluationLimit("bytes of the transaction", v.bytes, pl.limits.TxnBytes)
		}
	}
	p.agents = v.finish()
	pl.evaluated.bytes += v.bytes
	pl.evaluated.keys += v.count
	return nil
}

// finish returns the parts of the commit.
func (v *evaluation) finish() []agentPart {
	for i := range v.parts {
		ops := v.parts[i].ops
		for j := range ops {
			if op := &ops[j]; !op.Tombstone && op.sum == (layout.ValueSum{}) {
				op.sum = layout.SumOf(op.value)
			}
		}
	}
	sortParts(v.parts)
	return v.parts
}

// find returns the operation on a key that those before it have made; nil if there is none.
func (v *evaluation) find(name AgentName, prefix string) *partOp {
	if v.at != nil {
		at, found := v.at[prefix]
		if !found {
			return nil
		}
		return &v.parts[at.part].ops[at.op]
	}
	for i := range v.parts {
		if v.parts[i].agent != name {
			continue
		}
		for j := range v.parts[i].ops {
			if op := &v.parts[i].ops[j]; op.prefix == prefix {
				return op
			}
		}
	}
	return nil
}

// part finds or makes the agent's part.
func (v *evaluation) part(a AgentName) int {
	for i := len(v.parts) - 1; i >= 0; i-- {
		if v.parts[i].agent == a {
			return i
		}
	}
	v.parts = append(v.parts, agentPart{agent: a})
	return len(v.parts) - 1
}

// set makes w the operation on a key, in place of one that there is. It returns it, until the next
// call.
func (v *evaluation) set(name RecordName, w partOp) *partOp {
	if w.prefix == "" {
		w.prefix = string(layout.RecordPrefix(name))
	}
	w.Key = name.Key
	if w.Size = len(w.value); w.Tombstone {
		w.Size = 0
	}
	v.bytes += nameBytes(name) + w.Size
	if op := v.find(name.AgentName(), w.prefix); op != nil {
		v.bytes -= nameBytes(name) + op.Size
		*op = w
		return op
	}
	i := v.part(name.AgentName())
	part := &v.parts[i]
	part.ops = append(part.ops, w)
	v.count++
	v.index(i)
	return &part.ops[len(part.ops)-1]
}

// index keeps the way to the last operation of a part, once there are many.
func (v *evaluation) index(part int) {
	switch {
	case v.at != nil:
		ops := v.parts[part].ops
		v.at[ops[len(ops)-1].prefix] = opAt{part, len(ops) - 1}
	case v.count > fewOps:
		v.at = make(map[string]opAt, 4*fewOps)
		for i := range v.parts {
			for j := range v.parts[i].ops {
				v.at[v.parts[i].ops[j].prefix] = opAt{i, j}
			}
		}
	}
}

// put changes a value. The record lasts as long as before.
func (v *evaluation) put(name RecordName, value []byte) (*partOp, error) {
	if limit := v.pl.limits.ValueBytes; len(value) > limit {
		return nil, onKey(evaluationLimit("bytes of the value", len(value), limit), name)
	}
	w := partOp{prefix: string(layout.RecordPrefix(name)), value: value, keeps: true}
	if own := v.find(name.AgentName(), w.prefix); own != nil {
		w.Held, w.keeps = own.Held, own.keeps
	}
	return v.set(name, w), nil
}

// remove writes a tombstone.
func (v *evaluation) remove(name RecordName) *partOp {
	w := partOp{}
	w.Tombstone = true
	return v.set(name, w)
}

// seen is what an operation finds under a key.
type seen struct {
	keyHead             // the version, of what was there before the commit
	exists  bool        // as of the operations before
	value   []byte      // not to be changed
	gone    layout.Gone // why there is no value
}

// record looks at a key.
func (v *evaluation) record(name RecordName, prefix string) (seen, error) {
	own := v.find(name.AgentName(), prefix)
	if own == nil {
		return v.pl.record(prefix)
	}
	h, err := v.pl.keyHead(prefix)
	return seen{keyHead: h, exists: !own.Tombstone, value: own.value, gone: own.Gone}, err
}

// scan visits the keys of an agent that exist under a prefix, until visit returns false: those of before
// the commit in byte order, then those that the operations before have made, in theirs. Without a
// prefix it leaves out those that the engine uses itself, which begin with a control character.
func (v *evaluation) scan(a AgentName, prefix string, visit func(key string) bool) error {
	if err := v.shown(a); err != nil {
		return err
	}
	more := true
	err := v.pl.state.existing(a, prefix, func(key string) bool {
		v.pl.evaluated.keys++
		if v.find(a, string(layout.RecordPrefix(RecordName{Namespace: a.Namespace, Agent: a.Agent, Key: key}))) == nil {
			more = visit(key)
		}
		return more
	})
	if err != nil {
		return err
	}
	for i := range v.parts {
		if v.parts[i].agent != a {
			continue
		}
		for j := 0; more && j < len(v.parts[i].ops); j++ {
			if op := &v.parts[i].ops[j]; !op.Tombstone && strings.HasPrefix(op.Key, prefix) {
				more = visit(op.Key)
			}
		}
	}
	return nil
}

// shown answers errNextStep while the store does not have all that is planned of an agent. The
// proposal then comes first in a step, and finds it shown.
func (v *evaluation) shown(a AgentName) error {
	head, err := v.pl.agentHead(a)
	if err == nil && head.Last > v.pl.shown() {
		err = errNextStep
	}
	return err
}

// evaluationf refuses an operation for what it found.
func evaluationf(format string, args ...any) *Failure {
	return words.Failf(ErrEvaluation, format, args...)
}

// evaluationLimit refuses what an evaluation came to.
func evaluationLimit(what string, got, limit int) *Failure {
	return evaluationf("%s: %d, the limit is %d", what, got, limit).With(limitDetail, strconv.Itoa(limit)).With("what", what)
}

// onKey says in f's details which key it is about.
func onKey(f *Failure, n RecordName) *Failure {
	return f.With("namespace", n.Namespace).With("agent_id", n.Agent).With("key", n.Key)
}

func hasEvaluated(writes []*Write) bool {
	return slices.ContainsFunc(writes, func(w *Write) bool { return w.Eval != nil })
}

// appendAsked adds operations in the order in which they take effect to what a fingerprint is made
// of.
func (p *proposal) appendAsked(b []byte) []byte {
	if p.asked == nil {
		return b
	}
	b = binary.AppendUvarint(append(b, 'o'), uint64(len(p.asked)))
	for i := range p.asked {
		op := &p.asked[i]
		if op.eval == nil {
			b = op.partOp.fingerprint(b)
			continue
		}
		b = op.Held.Fingerprint(append(layout.AppendString(append(b, 'v'), op.prefix), op.normal[:]...))
		b = op.eval.fingerprint(b)
	}
	return b
}
