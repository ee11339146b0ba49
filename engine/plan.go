package engine

import (
	"slices"
	"time"
)

// Planning decides whether a proposal becomes a commit. It is a pure function of the
// state, the proposal and the time, so that replicas given the same proposals would
// decide the same. It reads the state through stateReader and does no other I/O.

// stateReader is the state as of what has been applied to the store. The writer tells it
// when a step has been planned.
type stateReader interface {
	endStep() error
	recordHead(prefix string) (keyHead, error)
	agentHead(a AgentName) (CommitTS, error)
	namespaceKnown(namespace string) (bool, error)
	outcome(id TxnID) (outcomeRow, bool, error)
	// floor is the first commit of a namespace whose events are kept.
	floor(namespace string) CommitTS
	// events visits an agent's events in (after, upTo] in order, until visit returns
	// false; whole reports whether it visited all of them.
	events(a AgentName, after, upTo CommitTS, visit func(CommitTS, []eventRowOp) bool) (whole bool, err error)
}

// keyHead is a key's newest version; the zero value of a key never written.
type keyHead struct {
	version   Version
	tombstone bool
}

func (h keyHead) exists() bool { return h.version > 0 && !h.tombstone }

// holds reports whether the key is at the expected version; 0 means that it does not exist.
func (h keyHead) holds(expected Version) bool {
	return expected == h.version || expected == 0 && !h.exists()
}

// planner holds the planned state, ahead of the durable one. It is never rolled back:
// if a planned commit cannot be made durable the engine halts (G7).
type planner struct {
	state    stateReader
	head     mark      // the last planned commit. Invariant: only rises, by one
	lastTime time.Time // its commit_time. Invariant: never falls (clamped)

	// Bounded caches of the newest state. They also hold what is planned and not yet
	// applied: an entry stays for at least limit insertions (cache.go), and a step plans
	// fewer.
	keys     *cache[string, keyHead]
	agents   *cache[AgentName, CommitTS]
	outcomes *cache[TxnID, outcomeRow]

	// decisions are the definite answers to Transacts that made no commit. A copy of the
	// request that arrives later must get the same answer: its client was told that
	// nothing was applied.
	decisions *cache[TxnID, decision]

	// step lists the commits of the current step, which the store does not have yet.
	step []*commit

	lookups int // Tuning.StepLookups

	// reserved refuses an agent that an import is to make; nil: there are no imports.
	reserved func(AgentName) error
}

type decision struct {
	fingerprint Digest
	result      CommitResult // of a request with preconditions only, which held
	err         error
}

// A commit is a proposal that was accepted.
type commit struct {
	mark
	time          time.Time
	p             *proposal
	newAgents     []AgentName
	newNamespaces []string
}

func newPlanner(s stateReader, head mark, lastTime time.Time, o *Options, r *reached) *planner {
	l := &o.Limits
	least := leastCached(o)
	return &planner{
		state: s, head: head, lastTime: lastTime, lookups: o.Tuning.StepLookups,
		keys:      newCache[string, keyHead](max(l.CachedVersions/2, least), &r.CachedVersions),
		agents:    newCache[AgentName, CommitTS](max(l.CachedAgents, least), &r.CachedAgents),
		outcomes:  newCache[TxnID, outcomeRow](least, &r.outcomes),
		decisions: newCache[TxnID, decision](l.FinishedTxns, &r.FinishedTxns),
	}
}

// leastCached is how much a cache of the newest state must hold, whatever it is configured
// to: what a step plans. The step stops taking proposals at StepLookups, and the last one is
// bounded by its own limits: TxnReads keys and ranges that it read, and of each of four kinds
// TxnOps at most: operations, their agents, conditions of operations, and other conditions.
func leastCached(o *Options) int {
	return o.Tuning.StepLookups + o.Limits.TxnReads + 4*o.Limits.TxnOps + o.Tuning.ErasedKeys
}

// plan decides a proposal whose id has no outcome yet. It returns the commit to apply,
// or nil for a proposal without writes.
func (pl *planner) plan(p *proposal, now time.Time) (*commit, error) {
	if !p.deadline.IsZero() && !now.Before(p.deadline) {
		return nil, ending{state: TxnExpired}.answer(p.id)
	}
	if p.conflict != nil {
		return nil, p.conflict
	}
	if err := pl.checkReads(p); err != nil {
		return nil, err
	}
	if err := pl.checkConditions(p); err != nil {
		return nil, err
	}
	if len(p.agents) == 0 {
		return nil, nil
	}
	return pl.accept(p, now)
}

func idReused(id TxnID, what string) error {
	return failf(ErrTxnIDReused, "transaction id %s %s: choose a fresh id", id, what)
}

func reusedAt(id TxnID, ts CommitTS) error {
	return idReused(id, "committed other operations at commit "+ts.String())
}

// decided returns the decision on an earlier proposal with the same id.
func (pl *planner) decided(p *proposal) (decision, bool) {
	v, found := pl.decisions.get(p.id)
	if found && !p.repeats(v.fingerprint) {
		v = decision{err: idReused(p.id, "was answered for other operations")}
	}
	return v, found
}

func (pl *planner) outcome(id TxnID) (outcomeRow, bool, error) {
	if o, ok := pl.outcomes.get(id); ok {
		return o, true, nil
	}
	return pl.state.outcome(id)
}

func (pl *planner) keyHead(prefix string) (keyHead, error) {
	if h, ok := pl.keys.get(prefix); ok {
		return h, nil
	}
	h, err := pl.state.recordHead(prefix)
	if err == nil {
		pl.keys.put(prefix, h)
	}
	return h, err
}

func (pl *planner) agentHead(a AgentName) (CommitTS, error) {
	if ts, ok := pl.agents.get(a); ok {
		return ts, nil
	}
	ts, err := pl.state.agentHead(a)
	if err == nil {
		pl.agents.put(a, ts)
	}
	return ts, err
}

// checkReads validates what a transaction read: at its commit's place in the order it
// would have read the same (backward validation, Kung and Robinson 1981).
func (pl *planner) checkReads(p *proposal) error {
	for _, r := range p.reads {
		h, err := pl.keyHead(r.prefix)
		if err != nil {
			return err
		}
		if h.version != r.seen {
			var n RecordName
			splitNames([]byte(r.prefix), recordTag, &n.Namespace, &n.Agent, &n.Key)
			return conflict(n, r.seen, h.version)
		}
	}
	return pl.checkListed(p)
}

// shown is the last commit that the store has.
func (pl *planner) shown() CommitTS { return pl.head.ts - CommitTS(len(pl.step)) }

// checkListed validates what a transaction listed: first against the events in the store,
// then against the commits planned in this step.
func (pl *planner) checkListed(p *proposal) error {
	shown := pl.shown()
	for i := range p.listed {
		l := &p.listed[i]
		head, err := pl.agentHead(l.agent) // mostly cached, which saves opening an iterator
		if err != nil {
			return err
		}
		if head <= l.checked {
			l.checked = max(l.checked, shown)
		}
	}
	if err := p.checkListed(pl.state, shown, pl.lookups); err != nil {
		return err
	}
	for _, c := range pl.step {
		for i := range c.p.agents {
			part := &c.p.agents[i]
			at, found := slices.BinarySearchFunc(p.listed, part.agent, func(l listed, a AgentName) int { return compareAgents(l.agent, a) })
			if !found {
				continue
			}
			if op := p.listed[at].plannedChange(part.ops); op != nil {
				return p.listingChanged(part.agent, op.key, op.version)
			}
		}
	}
	return nil
}

func conflict(n RecordName, seen, current Version) *Failure {
	return failf(ErrConflict, "conflict: key %q of agent %q is at version %d now and has changed since the transaction read it: begin again",
		n.Key, n.Agent, current).
		with("namespace", n.Namespace).with("agent_id", n.Agent).with("key", n.Key).
		with("seen_version", seen.String()).with("current_version", current.String())
}

func (pl *planner) checkConditions(p *proposal) error {
	for i := range p.keys {
		k := &p.keys[i]
		h, err := pl.keyHead(k.prefix)
		if err != nil {
			return err
		}
		if !h.holds(k.Expected) {
			return failf(ErrPrecondition, "precondition failed: key %q of agent %q is at version %d, not %d",
				k.Name.Key, k.Name.Agent, h.version, k.Expected).
				with("namespace", k.Name.Namespace).with("agent_id", k.Name.Agent).with("key", k.Name.Key).
				with("expected_version", k.Expected.String()).with("current_version", h.version.String())
		}
	}
	for _, want := range p.heads {
		ts, err := pl.agentHead(want.Agent)
		if err != nil {
			return err
		}
		if ts != want.Expected {
			return failf(ErrPrecondition, "precondition failed: the last commit of agent %q is %d, not %d",
				want.Agent.Agent, ts, want.Expected).
				with("namespace", want.Agent.Namespace).with("agent_id", want.Agent.Agent).
				with("expected_head", want.Expected.String()).with("current_head", ts.String())
		}
	}
	return nil
}

// accept makes a commit of the proposal: commit_ts, time and versions. It reads the
// state first, so that an error leaves the planner unchanged.
func (pl *planner) accept(p *proposal, now time.Time) (*commit, error) {
	c := &commit{p: p, time: now}
	if c.time.Before(pl.lastTime) {
		c.time = pl.lastTime
	}
	for i := range p.agents {
		part := &p.agents[i]
		ts, err := pl.agentHead(part.agent)
		if err != nil {
			return nil, err
		}
		if ts == 0 && pl.reserved != nil && !p.imported {
			if err := pl.reserved(part.agent); err != nil {
				return nil, err
			}
		}
		if ts == 0 {
			c.newAgents = append(c.newAgents, part.agent)
			known, err := pl.namespaceKnown(part.agent.Namespace, c)
			if err != nil {
				return nil, err
			}
			if !known {
				c.newNamespaces = append(c.newNamespaces, part.agent.Namespace)
			}
		}
		for j := range part.ops {
			op := &part.ops[j]
			h, err := pl.keyHead(op.prefix)
			if err != nil {
				return nil, err
			}
			op.version = h.version + 1
		}
	}
	c.ts = pl.head.ts + 1
	for i := range p.agents {
		part := &p.agents[i]
		pl.agents.put(part.agent, c.ts)
		for j := range part.ops {
			op := &part.ops[j]
			pl.keys.put(op.prefix, keyHead{op.version, op.tombstone})
		}
	}
	pl.outcomes.put(p.id, outcomeRow{c.ts, p.fingerprint})
	pl.head.ts, pl.lastTime = c.ts, c.time
	pl.step = append(pl.step, c)
	return c, nil
}

// namespaceKnown is called only for an agent's first commit.
func (pl *planner) namespaceKnown(ns string, c *commit) (bool, error) {
	for _, n := range c.newNamespaces {
		if n == ns {
			return true, nil
		}
	}
	for _, earlier := range pl.step {
		for _, n := range earlier.newNamespaces {
			if n == ns {
				return true, nil
			}
		}
	}
	return pl.state.namespaceKnown(ns)
}
