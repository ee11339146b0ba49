package engine

import (
	"slices"
	"sync/atomic"
	"time"

	"statehouse.dev/statehouse/engine/layout"
	"statehouse.dev/statehouse/engine/words"
)

// Planning decides whether a proposal becomes a commit. It is a pure function of the
// state, the proposal and the time, so that replicas given the same proposals would
// decide the same. It reads the state through stateReader and does no other I/O.

// stateReader is the state as of what has been applied to the store. The writer tells it
// when a step has been planned.
type stateReader interface {
	endStep() error
	recordHead(prefix string) (keyHead, error)
	// agentHeadAt is the agent's last commit up to one; 0: there is none.
	agentHeadAt(a AgentName, ts CommitTS) (layout.AgentHead, error)
	forks() *forks
	acts() *rangeActs
	// cached is what a key is called in caches of the newest state.
	cached(prefix string) string
	hold(prefix string) (*layout.Hold, error)
	// held visits the keys of an agent's records that have a hold and begin with a prefix.
	held(a AgentName, prefix string, visit func(key string) bool) error
	// leases counts the leases that are held of an agent.
	leases(a AgentName) (int, error)
	// ready visits the wake-ups of an agent, or without one of a namespace, that are ready.
	ready(namespace, agent string, visit func(RecordName) bool) error
	// value returns the value of a version, or says why it has gone.
	value(prefix string, v Version) ([]byte, layout.Gone, error)
	// existing visits an agent's keys that exist under a prefix, in byte order, until visit returns
	// false. Without a prefix it leaves out the engine's own.
	existing(a AgentName, prefix string, visit func(key string) bool) error
	// keys is existing for all keys that were ever written.
	keys(a AgentName, prefix string, visit func(key string, exists bool) bool) error
	// goneThen looks at an agent's keys under a prefix after one, at most some rows, for one of which the value
	// that it had after a commit has gone; last is where to go on, "" if that was all.
	goneThen(a AgentName, prefix, after string, ts CommitTS, most int) (key, last string, looked int, err error)
	// nowAndThen is a record as the store has it, and as it was after a commit. Of many keys of an agent in their
	// order it costs little.
	nowAndThen(name RecordName, ts CommitTS) (now, then seen, err error)
	// lastKey returns the last key of an agent up to one that was ever written and begins with a
	// prefix; "" if there is none.
	lastKey(a AgentName, prefix, upTo string) (string, error)
	agentHead(a AgentName) (layout.AgentHead, error)
	namespaceKnown(namespace string) (bool, error)
	outcome(id TxnID) (layout.OutcomeRow, bool, error)
	// floor is the first commit of a namespace whose events are kept.
	floor(namespace string) CommitTS
	// events visits an agent's events in (after, upTo] in order, until visit returns
	// false; whole reports whether it visited all of them.
	events(a AgentName, after, upTo CommitTS, visit func(CommitTS, *layout.EventRow) bool) (whole bool, err error)
}

// keyHead is a key's newest version; the zero value of a key never written.
type keyHead struct {
	version   Version
	tombstone bool
	held      Cause // what ends it; 0: it was not written with a hold
	acted     bool  // an act on many keys deleted it, which may have left the hold of the version before
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
	holds    *cache[string, *layout.Hold]
	agents   *cache[AgentName, layout.AgentHead]
	leases   *cache[AgentName, int] // how many are held
	outcomes *cache[TxnID, layout.OutcomeRow]

	// decisions are the definite answers to Transacts that made no commit. A copy of the
	// request that arrives later must get the same answer: its client was told that
	// nothing was applied.
	decisions *cache[TxnID, decision]

	timers timers
	wakes  *atomic.Bool // there may be wake-ups

	// step lists the commits of the current step, which the store does not have yet.
	step []*commit

	evaluated evaluated

	limits      *Limits
	lookups     int // Tuning.StepLookups
	stepBytes   int // Tuning.StepBytes
	deletedKeys int // see Options.deletedKeys

	// reserved refuses an agent that an import is to make; nil: there are no imports.
	reserved func(AgentName) error
	// busy refuses an act on many keys of an agent; nil: nothing is in its way.
	busy func(AgentName) error
	// gone reports whether a value that an agent had after a commit may have gone, and a count that rises
	// when one goes; nil: none goes.
	gone func(AgentName, CommitTS) (may bool, took uint64, err error)
	// looking: a restore looked at what was there then, in this step.
	looking bool
}

type decision struct {
	fingerprint layout.Digest
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
	userHeads     []CommitTS // of a commit of the daemon's own: those of its agents
}

func newPlanner(s stateReader, head mark, lastTime time.Time, o *Options, r *reached) *planner {
	l := &o.Limits
	least := leastCached(o)
	return &planner{
		state: s, head: head, lastTime: lastTime, limits: l, lookups: o.Tuning.StepLookups, stepBytes: o.Tuning.StepBytes, deletedKeys: o.deletedKeys(),
		evaluated: evaluated{sequences: newCache[string, uint64](max(l.CachedAgents, 1), &r.sequences)},
		keys:      newCache[string, keyHead](max(l.CachedVersions/2, least), &r.CachedVersions),
		holds:     newCache[string, *layout.Hold](least, &r.holds),
		leases:    newCache[AgentName, int](least, &r.leases),
		agents:    newCache[AgentName, layout.AgentHead](max(l.CachedAgents, least), &r.CachedAgents),
		outcomes:  newCache[TxnID, layout.OutcomeRow](least, &r.outcomes),
		decisions: newCache[TxnID, decision](l.FinishedTxns, &r.FinishedTxns),
	}
}

// deletedKeys is Tuning.DeletedKeys, within the limits.
func (o *Options) deletedKeys() int { return min(o.Tuning.DeletedKeys, o.Limits.TxnOps) }

// leastCached is how much a cache of the newest state must hold, whatever it is configured
// to: what a step plans. The step stops taking proposals at StepLookups, and the last one is
// bounded by its own limits: TxnReads keys and ranges that it read, and of each of four kinds
// TxnOps at most: operations, their agents, conditions of operations, and other conditions. What
// is evaluated in a step is bounded likewise. A key that is deleted may have a wake-up.
func leastCached(o *Options) int {
	return 3*o.Tuning.StepLookups + o.Limits.TxnReads + 6*o.Limits.TxnOps + o.Tuning.ErasedKeys + o.Tuning.FiredHolds
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
	if pl.meetsAct(p) {
		return nil, errNextStep
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
	return words.Failf(ErrTxnIDReused, "transaction id %s %s: choose a fresh id", id, what)
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

func (pl *planner) outcome(id TxnID) (layout.OutcomeRow, bool, error) {
	if o, ok := pl.outcomes.get(id); ok {
		return o, true, nil
	}
	return pl.state.outcome(id)
}

func (pl *planner) keyHead(prefix string) (keyHead, error) {
	called := pl.state.cached(prefix)
	if h, ok := pl.keys.get(called); ok {
		return h, nil
	}
	h, err := pl.state.recordHead(prefix)
	if err == nil {
		pl.keys.put(called, h)
	}
	return h, err
}

func (pl *planner) agentHead(a AgentName) (layout.AgentHead, error) {
	if h, ok := pl.agents.get(a); ok {
		return h, nil
	}
	h, err := pl.state.agentHead(a)
	if err == nil {
		pl.agents.put(a, h)
	}
	return h, err
}

// hold is the hold of a key whose newest version was written with one.
func (pl *planner) hold(prefix string, of keyHead) (*layout.Hold, error) {
	h, found := pl.holds.get(prefix)
	if !found || h.Version != of.version {
		var err error
		if h, err = pl.state.hold(prefix); err != nil {
			return nil, err
		}
	}
	if h == nil || h.Version != of.version || h.Kind != of.held {
		return nil, layout.CorruptRow(layout.AppendHoldKey(nil, prefix), "missing, or of another version")
	}
	return h, nil
}

// leftHold is the hold of the version before one that an act on many keys made; nil: there is none, or
// it was ended with what the act came to (rangechore.go).
func (pl *planner) leftHold(prefix string, head keyHead) (*layout.Hold, error) {
	h, err := pl.state.hold(prefix)
	if err != nil || h == nil || h.Version+1 != head.version {
		return nil, err
	}
	return h, nil
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
			layout.SplitNames([]byte(r.prefix), layout.RecordTag, &n.Namespace, &n.Agent, &n.Key)
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
		if head.Last <= l.checked {
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
				return p.listingChanged(part.agent, op.Key, op.Version)
			}
		}
	}
	return nil
}

func conflict(n RecordName, seen, current Version) *Failure {
	return words.Failf(ErrConflict, "conflict: key %q of agent %q is at version %d now and has changed since the transaction read it: begin again",
		n.Key, n.Agent, current).
		With("namespace", n.Namespace).With("agent_id", n.Agent).With("key", n.Key).
		With("seen_version", seen.String()).With("current_version", current.String())
}

func (pl *planner) checkConditions(p *proposal) error {
	for i := range p.keys {
		k := &p.keys[i]
		h, err := pl.keyHead(k.prefix)
		if err != nil {
			return err
		}
		if hidden(k.Name.Key) {
			if !h.heldUnder(k.Expected) {
				return leaseLost(k.Name, k.Expected, h)
			}
			continue
		}
		if !h.holds(k.Expected) {
			return words.Failf(ErrPrecondition, "precondition failed: key %q of agent %q is at version %d, not %d",
				k.Name.Key, k.Name.Agent, h.version, k.Expected).
				With("namespace", k.Name.Namespace).With("agent_id", k.Name.Agent).With("key", k.Name.Key).
				With("expected_version", k.Expected.String()).With("current_version", h.version.String())
		}
	}
	for _, want := range p.heads {
		head, err := pl.agentHead(want.Agent)
		if err != nil {
			return err
		}
		if head.User != want.Expected {
			return words.Failf(ErrPrecondition, "precondition failed: the last commit of agent %q is %d, not %d",
				want.Agent.Agent, head.User, want.Expected).
				With("namespace", want.Agent.Namespace).With("agent_id", want.Agent.Agent).
				With("expected_head", want.Expected.String()).With("current_head", head.User.String())
		}
	}
	return nil
}

// stamp is the commit_time of a commit that is planned now. It never falls.
func (pl *planner) stamp(now time.Time) time.Time {
	if now.Before(pl.lastTime) {
		return pl.lastTime
	}
	return now
}

// giveHold says how long a version of a key will last, and what of the one before ends.
func (pl *planner) giveHold(op *partOp, before keyHead, at time.Time) (err error) {
	op.hold, op.ends = nil, nil
	switch {
	case before.acted:
		if op.ends, err = pl.leftHold(op.prefix, before); err != nil {
			return err
		}
	case before.held != 0:
		if op.ends, err = pl.hold(op.prefix, before); err != nil {
			return err
		}
	}
	switch {
	case op.Held.Kind != 0:
		op.hold = op.Held.HoldAfter(at, op.Version)
	case op.keeps && op.ends != nil:
		op.Held = op.ends.RecordHold
		op.hold = &layout.Hold{RecordHold: op.Held, Version: op.Version, Deadline: op.ends.Deadline, Moved: pl.head.ts}
	}
	return nil
}

// keep takes over how long a key lasts from now on.
func (pl *planner) keep(prefix string, h *layout.Hold) {
	pl.holds.put(prefix, h)
	if h.Kind != layout.CauseReady {
		pl.timers.note(h.Deadline)
	}
}

// accept makes a commit of the proposal: commit_ts, time and versions. It reads the
// state first, so that an error leaves the planner unchanged.
func (pl *planner) accept(p *proposal, now time.Time) (*commit, error) {
	c := &commit{p: p, time: pl.stamp(now)}
	if p.asked != nil {
		if err := pl.evaluate(p, c.time); err != nil || len(p.agents) == 0 {
			return nil, err
		}
	}
	for i := range p.agents {
		if err := pl.acceptPart(c, &p.agents[i]); err != nil {
			return nil, err
		}
	}
	c.ts = pl.head.ts + 1
	for i := range p.agents {
		part := &p.agents[i]
		head := layout.AgentHead{Last: c.ts, User: c.ts}
		if p.cause != 0 {
			head.User = c.userHeads[i]
		}
		pl.agents.put(part.agent, head)
		pl.countLeases(part)
		for j := range part.ops {
			op := &part.ops[j]
			pl.keys.put(pl.state.cached(op.prefix), keyHead{version: op.Version, tombstone: op.Tombstone, held: op.Held.Kind})
			if op.hold != nil {
				pl.keep(op.prefix, op.hold)
			}
			pl.wrote(op)
		}
	}
	pl.outcomes.put(p.id, layout.OutcomeRow{CommitTS: c.ts, Fingerprint: p.fingerprint})
	pl.head.ts, pl.lastTime, p.became = c.ts, c.time, c.ts
	pl.step = append(pl.step, c)
	return c, nil
}

// acceptPart looks at what an agent's part of a commit builds on, and gives out its versions.
func (pl *planner) acceptPart(c *commit, part *agentPart) error {
	part.leases = 0
	if err := pl.endWakes(part); err != nil {
		return err
	}
	head, err := pl.agentHead(part.agent)
	if err != nil {
		return err
	}
	if c.p.cause != 0 {
		c.userHeads = append(c.userHeads, head.User)
	}
	if head.Last == 0 && pl.reserved != nil && !c.p.imported {
		if err := pl.reserved(part.agent); err != nil {
			return err
		}
	}
	if head.Last == 0 {
		c.newAgents = append(c.newAgents, part.agent)
		known, err := pl.namespaceKnown(part.agent.Namespace, c)
		if err != nil {
			return err
		}
		if !known {
			c.newNamespaces = append(c.newNamespaces, part.agent.Namespace)
		}
	}
	for j := range part.ops {
		op := &part.ops[j]
		h, err := pl.keyHead(op.prefix)
		if err != nil {
			return err
		}
		op.Version = h.version + 1
		if err := pl.giveHold(op, h, c.time); err != nil {
			return err
		}
		if !isWake(op.Key) { // claims are bounded by what is due
			part.leases += op.Held.Leases() - layout.RecordHold{Kind: h.held}.Leases()
		}
	}
	return nil
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
