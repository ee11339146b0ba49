package engine

import (
	"slices"
	"strings"
	"time"
)

// A proposal is a commit that waits for the writer, with everything worked out
// that does not need the state: it is made by the goroutine of the request, so
// that the one serial path does not hash or sort.
type proposal struct {
	id          TxnID
	agents      []agentPart // in byte order of the names
	keys        []keyCondition
	heads       []HeadPrecondition
	metadata    map[string]string
	fingerprint Digest // tells a retry from another transaction, see fingerprint.go

	// Of interactive transactions.
	interactive bool
	snapshot    CommitTS
	deadline    time.Time
	reads       []readMark
	ranges      []readRange
	listed      []listed // what ranges are of, by agent
	conflict    error    // found before the writer has it: what it read has changed

	ticket *ticket
}

// agentPart is what a proposal does to one agent: in the end one event.
type agentPart struct {
	agent AgentName
	ops   []partOp
}

type partOp struct {
	prefix string // record prefix
	eventRowOp
	value  []byte
	normal Digest // of the value's normal form; zero in a tombstone
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

// A ticket is where a proposal's answer is waited for.
type ticket struct {
	done   chan struct{}
	result CommitResult
	err    error
}

func newTicket() *ticket { return &ticket{done: make(chan struct{})} }

func (t *ticket) answer(r CommitResult, err error) {
	t.result, t.err = r, err
	close(t.done)
}

// newProposal prepares writes, of which no two name the same key. What they
// expect stands in c.
func newProposal(id TxnID, writes []*Write, c Conditions) *proposal {
	p := &proposal{id: id, heads: c.Heads, metadata: c.Metadata, ticket: newTicket()}
	for _, w := range writes {
		op := partOp{prefix: string(recordPrefix(w.Name)), value: w.Value}
		op.key, op.tombstone = w.Name.Key, w.Tombstone
		if !w.Tombstone {
			op.size, op.digest = len(w.Value), digestOf(w.Value)
			if op.normal = op.digest; !w.normal {
				op.normal = digestOf(normalForm(w.Value))
			}
		}
		part := p.part(w.Name.AgentName())
		part.ops = append(part.ops, op)
	}
	slices.SortStableFunc(p.agents, func(a, b agentPart) int {
		return compareAgents(a.agent, b.agent)
	})
	for _, k := range c.Keys {
		p.keys = append(p.keys, keyCondition{string(recordPrefix(k.Name)), k})
	}
	p.fingerprint = fingerprintOf(p)
	return p
}

func compareAgents(a, b AgentName) int {
	if c := strings.Compare(a.Namespace, b.Namespace); c != 0 {
		return c
	}
	return strings.Compare(a.Agent, b.Agent)
}

// part finds or makes the agent's part. Writes mostly come agent by agent, so
// the last one is looked at first.
func (p *proposal) part(a AgentName) *agentPart {
	for i := len(p.agents) - 1; i >= 0; i-- {
		if p.agents[i].agent == a {
			return &p.agents[i]
		}
	}
	p.agents = append(p.agents, agentPart{agent: a})
	return &p.agents[len(p.agents)-1]
}

// lookups is about how many keys planning looks at, of a state whose last commit is
// head; planned keys are in the step already.
func (p *proposal) lookups(head CommitTS, planned int) int {
	n := 1 + len(p.reads) + len(p.listed) + len(p.keys) + len(p.heads)
	for i := range p.agents {
		n += 1 + len(p.agents[i].ops)
	}
	if len(p.listed) > 0 {
		n += planned
		if behind := head - min(head, p.checkedUpTo()); behind > 0 {
			// An event is of one agent and holds at least one key. It may hold many: then
			// the budget of checkListed ends it.
			n += 2 * int(min(behind, maxStepLookups/2))
		}
	}
	return n
}

// bytes is about what the proposal adds to a batch, and what it holds until then.
func (p *proposal) bytes() int {
	n := 256 + (len(p.reads)+len(p.heads)+len(p.ranges))*entryBytes/4
	for i := range p.keys {
		n += 2*len(p.keys[i].prefix) + entryBytes
	}
	for k, v := range p.metadata { // a sum
		n += len(k) + len(v)
	}
	for i := range p.agents {
		for j := range p.agents[i].ops {
			op := &p.agents[i].ops[j]
			n += 3*len(op.prefix) + len(op.value) + 64
		}
	}
	return n
}
