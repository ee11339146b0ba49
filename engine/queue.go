package engine

import (
	"errors"
	"slices"
)

// The queue before the writer. A refusal speaks of one try only: when another try of
// the same id waits for the writer or for the disk, or was committed, nothing refuses
// in its place (G6).

// submit queues a proposal for the writer and sees to it that it is taken.
func (e *Engine) submit(p *proposal) error {
	if err := e.enqueue(p); err != nil {
		return err
	}
	e.stepSoon()
	return nil
}

func (e *Engine) enqueue(p *proposal) error {
	size := p.bytes()
	e.mu.Lock()
	defer e.mu.Unlock()
	if err := e.refusalLocked(p, size); err != nil {
		if len(e.undecided[p.id]) > 0 {
			return inDoubt(err)
		}
		return err
	}
	e.queue = append(e.queue, p)
	e.queuedBytes += size
	if !p.interactive { // of those the transaction table knows
		e.undecided[p.id] = append(e.undecided[p.id], p)
	}
	return nil
}

// refusalLocked is why p cannot be queued, or nil.
func (e *Engine) refusalLocked(p *proposal, size int) error {
	if len(p.agents) > 0 {
		if err := e.refusal(); err != nil {
			return err
		}
	}
	if e.stopped {
		return failf(ErrStopped, "the daemon is stopping; nothing was applied: retry when it is back")
	}
	if len(e.queue) >= e.opts.Limits.QueuedCommits {
		return limitErr("commits waiting for the writer", len(e.queue)+1, e.opts.Limits.QueuedCommits)
	}
	// One that fits its own limits has room in an empty queue, whatever it comes to.
	if limit := e.opts.Limits.queuedBytes(); len(e.queue) > 0 && e.queuedBytes+size > limit {
		return limitErr("bytes waiting for the writer", e.queuedBytes+size, limit)
	}
	return nil
}

// takeQueued takes what one step may hold from the queue's front.
func (e *Engine) takeQueued() []*proposal {
	e.mu.Lock()
	defer e.mu.Unlock()
	n, size, lookups := 0, 0, 0
	for n < len(e.queue) && (n == 0 || size < maxStepBytes && lookups < maxStepLookups) {
		size += e.queue[n].bytes()
		lookups += e.queue[n].lookups(e.planner.head.ts, lookups)
		n++
	}
	taken := e.queue[:n:n]
	if n == len(e.queue) {
		e.queue, e.queuedBytes = nil, 0
	} else {
		e.queue = e.queue[n:]
		e.queuedBytes -= size
	}
	return taken
}

// requeue puts a proposal that is not decided behind those that wait: they are not held
// up by what is left to do for it. It was queued before, so no limit applies.
func (e *Engine) requeue(p *proposal) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.queue = append(e.queue, p)
	e.queuedBytes += p.bytes()
}

// waiting is the ticket of a commit under that id that is undecided: queued, or in a
// step that is not durable yet. Nil: there is none.
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

// decidedLocked forgets that p was undecided.
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

// Refused is what a client is told whose commit under id is refused with err before
// anything of it was looked at: when a copy of it is undecided or was committed, err
// is in doubt, for it says nothing of that one.
func (e *Engine) Refused(id TxnID, err error) error {
	if checkTxnID(id) != nil {
		return err
	}
	var f *Failure
	if errors.As(err, &f) && f.Kind == ErrInvalid && f.Details[limitDetail] == "" {
		return err // it breaks a rule that no limit moves, so no copy of it was taken
	}
	if e.waiting(id) != nil {
		return inDoubt(err)
	}
	if _, found, lookErr := e.outcomeOf(id); found || lookErr != nil {
		return inDoubt(err)
	}
	return err
}

// unlessCommitted answers a one-shot that the writer does not take: with what was
// answered when it was committed, should this be a copy, else with err.
func (e *Engine) unlessCommitted(p *proposal, err error) (CommitResult, error) {
	o, found, lookErr := e.outcomeOf(p.id)
	switch {
	case lookErr != nil:
		return CommitResult{}, inDoubt(err)
	case !found:
		return CommitResult{}, err
	case !p.repeats(o.fingerprint):
		return CommitResult{}, reusedAt(p.id, o.commitTS)
	}
	r, lookErr := e.loadResult(o.commitTS)
	if e.noted(lookErr) != nil {
		return CommitResult{}, inDoubt(lookErr)
	}
	return r, nil
}

// refuseQueued answers what the writer will never take.
func (e *Engine) refuseQueued() {
	e.mu.Lock()
	left := e.queue
	e.queue, e.queuedBytes = nil, 0
	for _, p := range left {
		e.decidedLocked(p)
	}
	e.mu.Unlock()
	for _, p := range left {
		a := answer{p: p, err: failf(ErrStopped, "the daemon stopped before this commit was taken; nothing was applied")}
		if !p.interactive {
			// What is undecided still was in a step that failed, and may be on disk.
			a.result, a.err = e.unlessCommitted(p, e.Refused(p.id, a.err))
		}
		e.endTxn(&a)
		p.ticket.answer(a.result, a.err)
	}
}

// answerAll ends what a step decided, after it is published, and then tells everybody
// who waits for it: who asks for an outcome once the first was told finds all of them.
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
		if a.err == nil || lasting(a.err) {
			continue
		}
		// A copy is queued, or was in the same step, and may find what this one did not.
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
