package engine

import (
	"context"
	"errors"
	"slices"

	"statehouse.dev/statehouse/engine/words"
)

// The queue of proposals that wait for the writer. A refusal is about one try only: if
// another try of the same id waits for the writer or the disk, or was committed, the
// refusal must not say that nothing was applied (G6).

// submit queues a proposal and sees to it that the writer takes it.
func (e *Engine) submit(p *proposal) error {
	if err := e.enqueue(p); err != nil {
		return err
	}
	e.stepSoon()
	return nil
}

func (e *Engine) enqueue(p *proposal) error {
	size := p.bytes()
	p.queued = e.moment()
	e.mu.Lock()
	defer e.mu.Unlock()
	if err := e.refusalLocked(p, size); err != nil {
		if len(e.undecided[p.id]) > 0 {
			return inDoubt(err)
		}
		return err
	}
	p.since = e.now()
	e.queue.join(p, size)
	if !p.interactive { // the transaction table knows those
		e.undecided[p.id] = append(e.undecided[p.id], p)
	}
	return nil
}

// refusalLocked is the reason why p cannot be queued, or nil.
func (e *Engine) refusalLocked(p *proposal, size int) error {
	if len(p.agents) > 0 {
		if err := e.refusal(); err != nil {
			return err
		}
	}
	if e.stopped {
		return words.Failf(ErrStopped, "the daemon is stopping; nothing was applied: retry when it is back")
	}
	if e.following.Load() {
		return words.Failf(ErrNotLeader, "%s; nothing was applied", deposed)
	}
	n := e.queue.len()
	if n >= e.opts.Limits.QueuedCommits {
		return limitErr(&e.reached.QueuedCommits, "commits waiting for the writer", n+1, e.opts.Limits.QueuedCommits).
			RetryAfter(e.queue.delay(e.now()))
	}
	// A proposal within its own limits fits an empty queue, whatever its size.
	if limit := e.opts.Limits.queuedBytes(); n > 0 && e.queue.bytes+size > limit {
		return limitErr(&e.reached.StagedBytes, "bytes waiting for the writer", e.queue.bytes+size, limit).
			RetryAfter(e.queue.delay(e.now()))
	}
	return nil
}

// takeQueued takes as many proposals as fit one step, those whose turn it is. It marks those
// that have waited for too long, which take no room in the step.
func (e *Engine) takeQueued() []*proposal {
	e.mu.Lock()
	defer e.mu.Unlock()
	n := e.queue.len()
	if n == 0 {
		return nil
	}
	now := e.now()
	behind := e.queue.behind(now, e.opts.Limits.QueuedTime)
	patience := e.opts.Limits.queuedLeast()
	t := &e.opts.Tuning
	size, lookups := 0, 0
	taken := make([]*proposal, 0, min(n, t.StepLookups))
	for e.queue.len() > 0 && (len(taken) == 0 || size < t.StepBytes && lookups < t.StepLookups) {
		p := e.queue.take()
		if p.waited = now.Sub(p.since); behind && p.waited > patience {
			p.late = true
			lookups++ // of its outcome
		} else {
			size += p.place.Size()
			lookups += p.lookups(e.planner.head.ts, lookups, t.StepLookups)
		}
		taken = append(taken, p)
	}
	switch {
	case e.queue.len() == 0:
		return taken
	case size >= t.StepBytes:
		e.reached.StepBytes.Add(1)
	default:
		e.reached.StepLookups.Add(1)
	}
	if e.queue.since.IsZero() {
		e.queue.since = now
	}
	return taken
}

// requeue puts an undecided proposal at the end of its share of the queue, so that its
// remaining work does not delay the others. It was queued before, so no limit applies.
func (e *Engine) requeue(p *proposal) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.queue.join(p, p.bytes())
}

// requeueFirst puts an undecided proposal before all others, which is where its evaluation finds
// what it needs.
func (e *Engine) requeueFirst(p *proposal) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.queue.putBack(p)
}

// waiting returns the ticket of an undecided commit with that id: queued, or in a step
// that is not durable yet. It returns nil if there is none.
func (e *Engine) waiting(id TxnID) *ticket {
	if tk := e.txns.committing(id); tk != nil {
		return tk
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if of := e.undecided[id]; len(of) > 0 {
		return of[0].ticket
	}
	return nil
}

// decidedLocked removes p from the undecided ones.
func (e *Engine) decidedLocked(p *proposal) {
	if p.interactive {
		return
	}
	of := e.undecided[p.id]
	if i := slices.Index(of, p); len(of) > 1 {
		e.undecided[p.id] = slices.Delete(of, i, i+1)
	} else {
		delete(e.undecided, p.id)
	}
}

// Refused returns the error for a commit that is refused with err before it was looked
// at: err, marked as in doubt if a copy of the commit is undecided, was committed, or may
// have been before outcomes of its age were dropped.
func (e *Engine) Refused(id TxnID, err error) error {
	if words.CheckTxnID(id) != nil || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err // whose request has ended is told nothing definite
	}
	var f *Failure
	if errors.As(err, &f) && f.Kind == ErrInvalid && f.Details[limitDetail] == "" {
		return err // it breaks a rule that no configuration changes, so no copy of it was taken
	}
	if e.waiting(id) != nil {
		return inDoubt(err)
	}
	if _, found, lookErr := e.outcomeOf(id); found || lookErr != nil || e.forgotten(id) {
		return inDoubt(err)
	}
	return err
}

// unlessCommitted answers a Transact that the writer does not take: with the outcome if it
// is a copy of a committed one, else with err.
func (e *Engine) unlessCommitted(p *proposal, err error) (CommitResult, error) {
	o, found, lookErr := e.outcomeOf(p.id)
	switch {
	case lookErr != nil:
		return CommitResult{}, inDoubt(err)
	case !found && e.forgotten(p.id): // after the lookup, so that it is not dropped in between
		return CommitResult{}, inDoubt(err)
	case !found:
		return CommitResult{}, err
	case !p.repeats(o.Fingerprint):
		return CommitResult{}, reusedAt(p.id, o.CommitTS)
	}
	switch r, found, lookErr := e.resultOf(p.id, o.CommitTS); {
	case lookErr != nil:
		return CommitResult{}, inDoubt(lookErr)
	case !found:
		return CommitResult{}, inDoubt(err)
	default:
		return r, nil
	}
}

// refuseQueued answers the proposals that the writer will never take.
func (e *Engine) refuseQueued() { e.refuseWaiting(ErrStopped, "the daemon stopped") }

// refuseWaiting answers all that waits for the writer, and says why.
func (e *Engine) refuseWaiting(kind error, why string) {
	for _, a := range e.takeSystem() {
		a.ticket.answer(CommitResult{}, words.Failf(kind, "%s before this change was taken; nothing was changed", why))
	}
	e.chores.refuse(words.Failf(kind, "%s before this was done; it goes on when there is a writer again", why))
	e.mu.Lock()
	var left []*proposal
	for e.queue.len() > 0 {
		left = append(left, e.queue.take())
	}
	e.mu.Unlock()
	e.refuseAll(left, kind, why)
}

// refuseAll answers proposals of which nothing was applied.
func (e *Engine) refuseAll(left []*proposal, kind error, why string) {
	e.mu.Lock()
	for _, p := range left {
		e.decidedLocked(p)
	}
	e.mu.Unlock()
	for _, p := range left {
		a := answer{p: p, err: words.Failf(kind, "%s before this commit was made; nothing was applied", why)}
		if !p.interactive {
			// A copy that is still undecided was in a step that failed, and may be on disk.
			a.result, a.err = e.unlessCommitted(p, e.Refused(p.id, a.err))
		}
		e.endTxn(&a)
		p.ticket.answer(a.result, a.err)
	}
}

// answerAll ends the transactions that a step decided, after it is published, and then
// answers all who wait: once the first is answered, the outcomes of all can be found.
func (e *Engine) answerAll(answers []answer) {
	for i := range answers {
		e.endTxn(&answers[i])
	}
	e.mu.Lock()
	for i := range answers {
		e.decidedLocked(answers[i].p)
	}
	for i := range answers {
		a := &answers[i]
		if a.err == nil || a.err == errGivenUp || lasting(a.err) {
			continue
		}
		// A copy is queued, or was in the same step, and may succeed.
		if len(e.undecided[a.p.id]) > 0 || slices.ContainsFunc(answers, func(b answer) bool { return b.err == nil && b.p.id == a.p.id }) {
			a.err = inDoubt(a.err)
		}
	}
	e.mu.Unlock()
	for i := range answers {
		a := &answers[i]
		a.p.ticket.answer(a.result, a.err)
	}
}
