package engine_test

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"statehouse.dev/statehouse/engine"
)

// The spec is what the engine promises, said as plainly as it can be: a list of
// commits, and every question answered by walking over that list. It shares no
// idea with the engine: no index, no cache, no keys, no version counters.

type spec struct {
	log       []specCommit // commit_ts 1 is log[0]; may run ahead of published by a step
	published int
	open      map[engine.TxnID]*specTxn
	ended     map[engine.TxnID]specAnswer // not by a commit in the log; forgotten when the process ends
	queue     []*specProposal             // submitted
	inflight  []*specProposal             // planned
}

type specOp struct {
	name      engine.RecordName
	tombstone bool
	value     string
	version   engine.Version // given when it is committed
}

type specCommit struct {
	id       engine.TxnID
	time     time.Time
	intent   string // what was asked for, whatever the metadata
	metadata map[string]string
	ops      []specOp // by agent, then in the order first staged
}

type specTxn struct {
	id         engine.TxnID
	snapshot   int
	deadline   time.Time
	ops        []specOp
	expected   []engine.KeyPrecondition
	reads      map[engine.RecordName]engine.Version
	ranges     []specRange
	committing *specProposal
}

// specRange is an interval of an agent's keys; an empty bound is none.
type specRange struct {
	agent               engine.AgentName
	prefix, first, last string
}

func (r specRange) has(n engine.RecordName) bool {
	return n.AgentName() == r.agent && strings.HasPrefix(n.Key, r.prefix) &&
		(r.first == "" || n.Key >= r.first) && (r.last == "" || n.Key <= r.last)
}

type specProposal struct {
	says       *specTxn // of a Transact: what it says of a transaction that its client holds
	id         engine.TxnID
	ops        []specOp
	conditions engine.Conditions
	intent     string
	txn        *specTxn // nil: it came by Transact
	answer     specAnswer
}

type specAnswer struct {
	state  engine.TxnState // Committed, Aborted or Expired
	err    error           // its kind
	result engine.CommitResult
	intent string
}

func newSpec() *spec {
	return &spec{open: map[engine.TxnID]*specTxn{}, ended: map[engine.TxnID]specAnswer{}}
}

func plainName(n engine.RecordName) engine.RecordName {
	if n.Namespace == "" {
		n.Namespace = engine.DefaultNamespace
	}
	return n
}

// stage puts an operation in the place of an earlier one of the same key.
func stage(ops []specOp, w engine.Write) []specOp {
	op := specOp{name: plainName(w.Name), tombstone: w.Tombstone, value: string(w.Value)}
	for i := range ops {
		if ops[i].name == op.name {
			ops[i] = op
			return ops
		}
	}
	return append(ops, op)
}

func newSpecProposal(id engine.TxnID, ops []specOp, expected []engine.KeyPrecondition, c engine.Conditions) *specProposal {
	c.Keys = append(slices.Clone(expected), c.Keys...)
	for i := range c.Keys {
		c.Keys[i].Name = plainName(c.Keys[i].Name)
	}
	c.Heads = slices.Clone(c.Heads)
	for i := range c.Heads {
		c.Heads[i].Agent = plainName(engine.RecordName{Namespace: c.Heads[i].Agent.Namespace, Agent: c.Heads[i].Agent.Agent}).AgentName()
	}
	ops = slices.Clone(ops)
	slices.SortStableFunc(ops, func(a, b specOp) int {
		return strings.Compare(a.name.Namespace+"\x00"+a.name.Agent, b.name.Namespace+"\x00"+b.name.Agent)
	})
	return &specProposal{id: id, ops: ops, conditions: c, intent: fmt.Sprint(ops, c.Keys, c.Heads) + readsAsked(&c)}
}

// expire ends what has reached its deadline.
func (s *spec) expire(now time.Time) {
	for id, x := range s.open { // each on its own: order cannot matter
		if x.committing == nil && !now.Before(x.deadline) {
			s.end(id, specAnswer{state: engine.TxnExpired, err: engine.ErrTxnExpired})
		}
	}
}

func (s *spec) end(id engine.TxnID, a specAnswer) {
	delete(s.open, id)
	if a.state != engine.TxnCommitted || len(a.result.Versions) == 0 {
		s.ended[id] = a
	}
}

// plan decides everything queued, in order.
func (s *spec) plan(now time.Time) {
	s.expire(now)
	s.inflight, s.queue = s.queue, nil
	for i, p := range s.inflight {
		p.answer = s.decide(p, s.inflight[:i], now)
	}
}

// settle publishes what is planned.
func (s *spec) settle() {
	s.published = len(s.log)
	for _, p := range s.inflight {
		if a := p.answer; a.state != engine.TxnNeverSeen {
			if p.txn != nil {
				a.intent = "" // no Transact may have its id
			}
			s.end(p.id, a)
		}
	}
	s.inflight = nil
}

// survive drops what a crash took: everything in memory, and of the log what is
// behind the first n commits.
func (s *spec) survive(n int) {
	s.log, s.published = s.log[:n], n
	s.queue, s.inflight = nil, nil
	clear(s.open)
	clear(s.ended)
}

// decide is the contract of a commit. An answer without a state says nothing about
// what becomes of the id.
func (s *spec) decide(p *specProposal, earlier []*specProposal, now time.Time) specAnswer {
	if ts := s.committedAs(p.id, len(s.log)); ts > 0 {
		if s.log[ts-1].intent != p.intent {
			return specAnswer{err: engine.ErrTxnIDReused}
		}
		return specAnswer{result: s.result(ts)}
	}
	if p.txn == nil {
		end, found := s.ended[p.id]
		for _, e := range earlier {
			if e.id == p.id && e.answer.state != engine.TxnNeverSeen {
				end, found = e.answer, true
			}
		}
		if found && end.intent != p.intent {
			return specAnswer{err: engine.ErrTxnIDReused}
		} else if found {
			return end
		}
	}
	a := specAnswer{state: engine.TxnAborted, intent: p.intent}
	x := p.says
	if p.txn != nil {
		x = p.txn
	}
	switch {
	case x != nil && !now.Before(x.deadline):
		a.state, a.err = engine.TxnExpired, engine.ErrTxnExpired
	case x != nil && s.changed(x):
		a.err = engine.ErrConflict
	case !s.holds(p.conditions):
		a.err = engine.ErrPrecondition
	case len(p.ops) == 0:
		a.state, a.result = engine.TxnCommitted, s.result(len(s.log))
		a.result.Versions = nil
	default:
		a.state, a.result = engine.TxnCommitted, s.commit(p, now)
	}
	return a
}

// changed tells whether anything that x read is another now.
func (s *spec) changed(x *specTxn) bool {
	for n, seen := range x.reads { // any is enough: order cannot matter
		if s.record(n, len(s.log)).Version != seen {
			return true
		}
	}
	for _, c := range s.log[x.snapshot:] {
		for _, op := range c.ops {
			if slices.ContainsFunc(x.ranges, func(r specRange) bool { return r.has(op.name) }) {
				return true
			}
		}
	}
	return false
}

func (s *spec) holds(c engine.Conditions) bool {
	for _, k := range c.Keys {
		now := s.record(k.Name, len(s.log))
		if now.Version != k.Expected && (k.Expected != 0 || now.Exists) {
			return false
		}
	}
	for _, h := range c.Heads {
		if s.head(h.Agent, len(s.log)) != h.Expected {
			return false
		}
	}
	return true
}

func (s *spec) commit(p *specProposal, now time.Time) engine.CommitResult {
	if n := len(s.log); n > 0 && now.Before(s.log[n-1].time) {
		now = s.log[n-1].time
	}
	c := specCommit{id: p.id, time: now, intent: p.intent, metadata: p.conditions.Metadata, ops: p.ops}
	for i := range c.ops {
		c.ops[i].version = s.record(c.ops[i].name, len(s.log)).Version + 1
	}
	s.log = append(s.log, c)
	return s.result(len(s.log))
}

// committedAs is the commit_ts of an id's commit among the first n; 0: there is none.
func (s *spec) committedAs(id engine.TxnID, n int) int {
	return slices.IndexFunc(s.log[:n], func(c specCommit) bool { return c.id == id }) + 1
}

// result is what commit ts answered.
func (s *spec) result(ts int) engine.CommitResult {
	if ts == 0 {
		return engine.CommitResult{}
	}
	c := s.log[ts-1]
	r := engine.CommitResult{CommitTS: engine.CommitTS(ts), CommitTime: c.time}
	for _, op := range c.ops {
		r.Versions = append(r.Versions, engine.KeyVersion{Name: op.name, Version: op.version})
	}
	return r
}
