package engine

import (
	"context"
	"slices"
	"strings"
	"time"

	"statehouse.dev/statehouse/engine/fair"
	"statehouse.dev/statehouse/engine/jsonform"
	"statehouse.dev/statehouse/engine/layout"
)

// A proposal is a commit that waits for the writer, with everything computed that does
// not need the state. The request's goroutine makes it, so that the writer, which is
// serial, does not hash or sort.
type proposal struct {
	id          TxnID
	agents      []agentPart // in byte order of the names
	asked       []askedOp   // what agents is made of when its turn comes, see evaluate.go; nil: agents is what was asked
	became      CommitTS    // the commit that it is; 0: none so far
	keys        []keyCondition
	heads       []HeadPrecondition
	by          layout.Provenance // without salt and digest
	permit      func() error      // nil: nothing to ask
	fingerprint layout.Digest     // distinguishes a retry from another transaction, see fingerprint.go

	cause       Cause // of a commit of the daemon's own
	imported    bool  // an import makes it
	interactive bool  // Begin opened the transaction, so its table knows it

	// Of its time in the queue.
	share  string
	place  fair.Place
	since  time.Time       // when it joined
	waited time.Duration   // until it was taken
	late   bool            // that is too long
	client context.Context // who waits for the answer

	// What the transaction read and until when it may commit.
	snapshot CommitTS
	deadline time.Time // zero: there is none
	reads    []readMark
	ranges   []readRange
	listed   []listed // the ranges, merged by agent
	conflict error    // found before the writer took it

	queued time.Duration // when, by the observer's clock

	ticket *ticket
}

// agentPart is what a proposal does to one agent. It becomes one event.
type agentPart struct {
	agent  AgentName
	ops    []partOp
	made   *fork     // when it is planned; nil: the agent is not made a fork
	acted  *rangeAct // when it is planned; nil: it is no act on many keys
	leases int       // more than before that are held, once it is accepted
}

type partOp struct {
	prefix string // record prefix
	layout.EventRowOp
	value  []byte
	sum    layout.ValueSum
	normal layout.Digest // of the value's normal form; zero in a tombstone
	keeps  bool          // the hold of the version before goes on
	// Given out when it is accepted: its hold, and that of the version before; nil: there is none.
	hold, ends *layout.Hold
}

type keyCondition struct {
	prefix string
	KeyPrecondition
}

// readMark is a key that a transaction read, and the version it saw.
type readMark struct {
	prefix string
	seen   Version
}

// A ticket delivers the answer to a proposal.
type ticket struct {
	done   chan struct{}
	result CommitResult
	err    error
	phases Phases
}

func newTicket() *ticket { return &ticket{done: make(chan struct{})} }

func (t *ticket) answer(r CommitResult, err error) {
	t.result, t.err = r, err
	close(t.done)
}

// tell fills in phases, if the ticket has been answered: else its writer may be about to.
func (t *ticket) tell(phases *Phases) {
	if phases == nil {
		return
	}
	select {
	case <-t.done:
		*phases = t.phases
	default:
	}
}

// newProposal makes a proposal of writes, of which no two name the same key unless the writer
// evaluates one. Their expected versions are in c, which has been checked.
func newProposal(id TxnID, writes []*Write, c Conditions) *proposal {
	p := &proposal{id: id, heads: c.Heads, share: c.Share, permit: c.Permit, ticket: newTicket()}
	p.by.Principal, p.by.TraceID, p.by.Metadata = c.Principal, c.TraceID, c.Metadata
	evaluated := hasEvaluated(writes)
	for _, w := range writes {
		op := partOp{prefix: string(layout.RecordPrefix(w.Name)), value: w.Value}
		op.Key, op.Tombstone = w.Name.Key, w.Tombstone
		if !w.Tombstone && (w.Eval == nil || w.Eval.hasValue()) {
			op.Size, op.sum = len(w.Value), layout.SumOf(w.Value)
			if op.normal = layout.Digest(op.sum[:len(op.normal)]); !w.normal {
				op.normal = layout.DigestOf(jsonform.Normal(w.Value))
			}
		}
		if w.TTL > 0 {
			op.Held = layout.RecordHold{Kind: CauseExpired, TTL: w.TTL}
		}
		part := p.part(w.Name.AgentName())
		part.ops = append(part.ops, op)
		if evaluated {
			p.asked = append(p.asked, askedOp{name: w.Name, partOp: op, eval: w.Eval})
		}
	}
	sortParts(p.agents)
	for _, k := range c.Keys {
		p.keys = append(p.keys, keyCondition{string(layout.RecordPrefix(k.Name)), k})
	}
	if c.Reads != nil {
		p.read(c.Reads)
	}
	p.fingerprint = fingerprintOf(p)
	return p
}

func sortParts(parts []agentPart) {
	slices.SortStableFunc(parts, func(a, b agentPart) int { return compareAgents(a.agent, b.agent) })
}

func compareAgents(a, b AgentName) int {
	if c := strings.Compare(a.Namespace, b.Namespace); c != 0 {
		return c
	}
	return strings.Compare(a.Agent, b.Agent)
}

// part finds or makes the agent's part. Writes mostly come agent by agent, so it looks
// at the last one first.
func (p *proposal) part(a AgentName) *agentPart {
	for i := len(p.agents) - 1; i >= 0; i-- {
		if p.agents[i].agent == a {
			return &p.agents[i]
		}
	}
	p.agents = append(p.agents, agentPart{agent: a})
	return &p.agents[len(p.agents)-1]
}

// lookups estimates how many keys planning reads, given the last planned commit and the
// number of keys planned in the step, of which most bounds the number.
func (p *proposal) lookups(head CommitTS, planned, most int) int {
	n := 1 + len(p.reads) + len(p.listed) + len(p.keys) + len(p.heads)
	for i := range p.agents {
		n += 1 + len(p.agents[i].ops)
	}
	if len(p.listed) > 0 {
		n += planned
		if behind := head - min(head, p.checkedUpTo()); behind > 0 {
			// Each event holds at least one key. If it holds many, checkListed stops at its
			// budget.
			n += 2 * int(min(behind, CommitTS(most/2)))
		}
	}
	return n
}

// bytes estimates what the proposal adds to a batch and holds in memory until then.
func (p *proposal) bytes() int {
	n := 256 + (len(p.reads)+len(p.heads)+len(p.ranges))*entryBytes/4
	if !p.interactive { // else the table counts them, and returns them with the answer
		n += p.readBytes()
	}
	for i := range p.keys {
		n += 2*len(p.keys[i].prefix) + entryBytes
	}
	n += p.by.Size()
	for i := range p.agents {
		for j := range p.agents[i].ops {
			op := &p.agents[i].ops[j]
			n += 3*len(op.prefix) + len(op.value) + 64
		}
	}
	return n
}
