package engine

import (
	"time"

	"github.com/cockroachdb/pebble/v2"

	"statehouse.dev/statehouse/engine/words"
)

// A step is synchronous. Plan takes the proposals that wait and decides them; nobody else sees
// anything of that. Apply applies what was decided to the store without waiting for the disk. Settle
// waits for the disk, publishes and answers. Run calls all three in production; the simulator calls
// them itself and looks at what can be seen in between.

// A Step is what was decided, as a value: applied to a store that is where this one was, it makes the
// same of it (Adopt). A step may have no commits, when it renews leases, changes system rows or does
// chores; then First is Last+1. It may have nothing to apply at all: what it answers then rests on what
// was planned before it.
type Step struct {
	First, Last   CommitTS  // of its commits
	Before, After [32]byte  // the hash chain's value before the first and after the last
	Time          time.Time // of the last commit that there is, which need not be of this step
	Held          bool      // its commits are published with a later step's
	// Batch has the rows, as Pebble writes a batch; empty: there are none. It is valid until Settle, or
	// Drop.
	Batch []byte
}

// inflight is a step between Plan and Settle.
type inflight struct {
	step    Step
	applied bool
	batch   *pebble.Batch // nil when nothing is written
	holds   bool          // rows of holds are
	pruned  time.Time     // of the last commit whose outcome it drops; zero: it drops none
	commits []*commit
	answers []answer
	system  systemStep
	moments moments
	chores  *piece // nil: none
}

// answer is the answer to a proposal, sent once the step is durable. Before that not even
// a refusal may leave: it is about state, too, that a crash could still take back (G4).
type answer struct {
	p      *proposal
	result CommitResult
	known  CommitTS // the commit of this step whose result must be read from the log; 0: none
	err    error
}

// Step runs one step and reports whether there was anything to do.
func (e *Engine) Step() bool {
	if e.Plan() == nil {
		return false
	}
	e.Apply()
	e.Settle()
	return true
}

// Plan takes waiting proposals and plans them. It returns the step that is in flight from then on, which
// Apply and Settle must end; nil: there is nothing to do.
func (e *Engine) Plan() *Step {
	assertf(e.inflight == nil, "a step is in flight")
	if e.following.Load() {
		return nil
	}
	var taken []*proposal
	if e.chores.making == nil || e.refusal() != nil { // or an import is making its commits, and the others wait
		taken = e.takeQueued()
	}
	asks := e.takeSystem()
	asked := len(taken)+len(asks) > 0
	if !asked && !e.chores.eager && !e.DueHolds() {
		return nil
	}
	now := e.now()
	e.txns.expire(now)
	fl := &inflight{answers: make([]answer, 0, len(taken))}
	e.inflight = fl
	e.waited(&fl.moments, taken)
	e.planner.beginStep()
	e.unfired = nil
	if e.chores.making == nil { // whose commits follow each other, and may be taken back
		e.unfired = e.noted(e.fire(now))
	}
	for _, p := range taken {
		switch a := e.planOne(p, now); a.err {
		case errUnchecked:
			e.reached.StepLookups.Add(1)
			e.requeue(p)
		case errNextStep:
			e.requeueFirst(p)
		default:
			fl.answers = append(fl.answers, a)
		}
	}
	e.chores.others = asked
	fl.chores = e.planChores(now)
	fl.system = e.planSystem(asks, now)
	_ = e.noted(e.planner.state.endStep()) // whoever met an error has it
	fl.commits = e.planner.step
	if !asked && fl.chores == nil && len(fl.commits) == 0 {
		e.inflight = nil
		return nil
	}
	fl.moments.planned = e.moment()
	e.compose(fl, now)
	return &fl.step
}

func (e *Engine) planOne(p *proposal, now time.Time) answer {
	if v, found := e.planner.decided(p); found {
		return answer{p: p, result: v.result, err: v.err}
	}
	// First: a repeated commit is answered even while new ones are refused.
	switch o, found, err := e.planner.outcome(p.id); {
	case err != nil:
		return answer{p: p, err: inDoubt(e.noted(err))}
	case found && !p.repeats(o.Fingerprint):
		return answer{p: p, err: reusedAt(p.id, o.CommitTS)}
	case found && o.CommitTS <= e.planner.shown():
		// Now: with its outcome, in this step, its events may go.
		r, err := e.loadResult(o.CommitTS)
		if err != nil {
			err = inDoubt(e.noted(err))
		}
		return answer{p: p, result: r, err: err}
	case found:
		return answer{p: p, known: o.CommitTS}
	}
	c, err := e.decide(p, now)
	a := answer{p: p, err: err}
	switch {
	case err != nil:
		e.noteCorruption(err)
	case c != nil:
		a.result = c.result()
	default:
		a.result = CommitResult{CommitTS: e.planner.head.ts, CommitTime: e.planner.lastTime}
	}
	if !p.interactive && c == nil && (err == nil || definiteEnd(err)) {
		e.planner.decisions.put(p.id, decision{p.fingerprint, a.result, err})
	}
	return a
}

// decide accepts or refuses a proposal that has no outcome yet.
func (e *Engine) decide(p *proposal, now time.Time) (*commit, error) {
	// First: a disk that is full is no answer to a commit that may have been applied.
	if err := e.refuseTooOld(p, now); err != nil {
		return nil, err
	}
	if p.permit != nil {
		if err := p.permit(); err != nil {
			return nil, err
		}
	}
	if err := e.refuseLate(p); err != nil {
		return nil, err
	}
	if len(p.agents) > 0 && e.unfired != nil {
		return nil, e.unfired
	}
	if x := e.chores.making; len(p.agents) > 0 || x != nil {
		if err := e.refusal(); err != nil {
			return nil, err
		}
		if x != nil { // what is planned is not what readers may see
			return nil, words.Failf(ErrOverloaded, "the commits of import %s are being made; nothing was applied: retry", x.ID).RetryAfter(time.Second)
		}
	}
	if err := e.refuseForks(p); err != nil {
		return nil, err
	}
	return e.planner.plan(p, now)
}

// compose makes one batch of the step's commits, chores and changes of system rows.
func (e *Engine) compose(fl *inflight, now time.Time) {
	s := &fl.step
	s.First, s.Before = e.planner.shown()+1, e.planner.head.hash
	s.Last, s.After, s.Time = e.planner.head.ts, s.Before, e.planner.lastTime
	if len(fl.commits) == 0 && fl.system.batch == nil && fl.chores == nil {
		return
	}
	fl.batch = e.db.NewBatch()
	for _, c := range fl.commits {
		e.planner.head.hash = e.rows.appendCommit(fl.batch, c, e.planner.head.hash)
		c.hash = e.planner.head.hash
	}
	s.After = e.planner.head.hash
	if fl.chores != nil {
		fl.chores.join(fl.batch)
		s.Held = fl.chores.held
	}
	fl.system.join(fl.batch)
	fl.holds, e.rows.holds = e.rows.holds, false
	fl.pruned = e.pruneOutcomes(fl.batch, len(fl.commits), now)
	s.Batch = fl.batch.Repr()
}

// Apply applies the step in flight to the store and asks for one sync. Rows that this machine alone keeps
// may join it.
func (e *Engine) Apply(own ...SystemChange) {
	fl := e.inflight
	assertf(fl != nil && !fl.applied, "no step is in flight, or it is applied")
	fl.applied = true
	if fl.batch != nil || len(own) > 0 {
		e.apply(fl, own)
	}
	fl.moments.applied = e.moment()
}

func (e *Engine) apply(fl *inflight, own []SystemChange) {
	if fl.batch == nil {
		fl.batch = e.db.NewBatch()
	}
	for _, c := range own {
		setSystem(fl.batch, c)
	}
	if fl.chores != nil {
		e.db.holdReaders()
	}
	if fl.system.changes || fl.holds {
		e.system.hold(e.db)
	}
	if !fl.pruned.IsZero() {
		e.prunedTime.Store(fl.pruned.UnixNano())
	}
	e.head = mark{fl.step.Last, fl.step.After}
	if err := e.db.ApplyNoSyncWait(fl.batch, pebble.Sync); err != nil {
		e.halt(words.Failf(ErrStorage, "applying a batch failed: %v", err))
	}
	if n := len(fl.commits); n > 0 {
		e.env.Trace("plan", fl.commits[0].ts, fl.commits[n-1].ts)
	}
	if e.space.wrote(fl.batch.Len()) {
		e.checkSpace()
	}
}

// Settle waits for the step in flight to be durable, publishes it and answers.
func (e *Engine) Settle() {
	fl := e.inflight
	assertf(fl != nil && fl.applied, "no step is in flight, or it is not applied")
	e.inflight = nil
	durable := e.makeDurable(fl)
	e.system.settled(&fl.system, durable)
	if !durable {
		e.answerUnknown(fl)
		return
	}
	fl.moments.synced = e.moment()
	for i := range fl.answers {
		a := &fl.answers[i]
		if a.known != 0 {
			if a.result, a.err = e.loadResult(a.known); a.err != nil {
				a.err = inDoubt(e.noted(a.err))
			}
		}
	}
	phases := e.phases(fl)
	fl.system.answer(nil)
	e.answerAll(fl.answers)
	e.stepped(fl, phases)
}

// makeDurable moves the marks: durable once the sync has ended well, published
// right after. It reports false, and has halted, when the sync failed; a failed
// sync is never retried, for what it did to the file cannot be known. A step without
// commits has nothing to sync, but was decided on those planned before it, which are
// never published once a halt has begun.
func (e *Engine) makeDurable(fl *inflight) bool {
	if fl.batch == nil {
		return !e.halting.Load()
	}
	if e.failed.Load() == nil {
		began := e.now()
		if err := fl.batch.SyncWait(); err != nil {
			e.halt(words.Failf(ErrStorage, "sync of the log failed: %v", err))
		}
		e.lastSync.Store(int64(e.now().Sub(began)))
	}
	e.checkPlaceIfDue()
	if e.halting.Load() {
		return false
	}
	_ = fl.batch.Close()
	if fl.chores != nil {
		fl.chores.settle()
	}
	if len(fl.commits) == 0 {
		return true // the witness and the marks are about commits
	}
	last := fl.commits[len(fl.commits)-1]
	synced := e.witness.synced
	if err := e.witness.record(last.mark, len(fl.commits)); err != nil {
		e.halt(words.Failf(ErrStorage, "writing the witness failed: %v", err))
		return false
	}
	if e.witness.synced != synced {
		e.reached.WitnessEvery.Add(1)
	}
	e.system.publish(func() { e.publish(fl.commits, fl.chores != nil && fl.chores.held) })
	e.env.Trace("settle", fl.commits[0].ts, last.ts)
	return true
}

// publish makes a step's commits visible, and everything before them, unless they are held until a
// later step.
// Invariant: published <= durable <= planned.
func (e *Engine) publish(commits []*commit, held bool) {
	c := commits[len(commits)-1]
	assertf(c.ts <= e.planner.head.ts && c.ts > e.Published(), "publishing %d, planned %d, published %d",
		c.ts, e.planner.head.ts, e.Published())
	for _, c := range commits {
		e.hot.publish(c, e.db)
		for i := range c.p.agents {
			if f := c.p.agents[i].made; f != nil {
				e.db.forks.put(f)
			}
			if g := c.p.agents[i].acted; g != nil {
				e.db.acts.put(g)
			}
		}
	}
	if held {
		return
	}
	before := e.Published()
	e.published.Store(uint64(c.ts))
	e.publishedTime.Store(c.time.UnixNano())
	e.watches.wake(commits)
	if before+1 < commits[0].ts {
		e.watches.wakeAll() // whose agents were in commits that were held
	}
}

// answerUnknown ends a step while the engine halts. The commits in it may or may not
// be on disk; everything else about it is just as unknown.
func (e *Engine) answerUnknown(fl *inflight) {
	for i := range fl.answers {
		a := &fl.answers[i]
		a.p.ticket.answer(CommitResult{}, words.Failf(ErrOutcomeUnknown,
			"storage failed while transaction %s was committed; it may or may not have been applied: ask for its outcome after the restart", a.p.id))
	}
	fl.system.answer(words.Failf(ErrOutcomeUnknown, "storage failed while the change was made; look after the restart whether it was"))
}

// endTxn records in the transaction table how a transaction ended.
func (e *Engine) endTxn(a *answer) {
	switch {
	case a.err == nil && (a.p.interactive || len(a.result.Versions) == 0):
		e.txns.finish(a.p.id, ending{state: TxnCommitted, result: a.result})
	case a.err != nil && definiteEnd(a.err):
		e.txns.finish(a.p.id, ending{state: endState(a.err), err: a.err})
	case a.err != nil && a.p.interactive:
		// Nothing was decided (a full disk, a failed read): the transaction is still
		// open and may be committed again.
		e.txns.reopen(a.p.id)
	}
}

// result is the answer to a commit.
func (c *commit) result() CommitResult {
	r := CommitResult{CommitTS: c.ts, CommitTime: c.time}
	for i := range c.p.agents {
		part := &c.p.agents[i]
		for j := range part.ops {
			op := &part.ops[j]
			name := RecordName{Namespace: part.agent.Namespace, Agent: part.agent.Agent, Key: op.Key}
			r.Versions = append(r.Versions, KeyVersion{name, op.Version})
		}
	}
	return r
}
