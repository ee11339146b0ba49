package engine

import (
	"slices"
	"time"

	"statehouse.dev/statehouse/engine/words"
)

// Several machines may keep one store. One of them leads: it plans. The others follow: they apply what it
// planned (adopt.go), and answer what needs no plan. Who leads is decided elsewhere, and so is which steps
// are applied; the engine is told. On its own it leads from Open on.
//
// Nothing that was planned outlives leading. What a leader remembers ahead of the store, which no one can
// take back, is thrown away by Follow and made anew by Lead from what was applied.

// Follow ends leading. What waits for the writer is answered ErrNotLeader, and transactions that are open
// are aborted. A step in flight that is not applied stays until it is known what became of it: Apply and
// Settle if it is to be applied here like everywhere, Drop if it never will be. The rule of Plan applies.
func (e *Engine) Follow() {
	e.mu.Lock()
	e.following.Store(true)
	e.mu.Unlock()
	e.chores.eager = false
	e.refuseWaiting(ErrNotLeader, deposed)
	e.txns.abortOpen()
}

// deposed is why a request is refused.
const deposed = "another machine leads since"

// Drop ends the step in flight, of which it is known that it is applied nowhere. The rule of Plan applies.
func (e *Engine) Drop() {
	fl := e.inflight
	assertf(fl != nil && !fl.applied && e.following.Load(), "no step is in flight that can be dropped")
	e.inflight = nil
	if fl.batch != nil {
		_ = fl.batch.Close()
	}
	fl.system.answer(words.Failf(ErrNotLeader, "%s, and the change was not made", deposed))
	left := make([]*proposal, len(fl.answers))
	for i := range fl.answers {
		left[i] = fl.answers[i].p
	}
	e.refuseAll(left, ErrNotLeader, deposed)
	e.txns.abortOpen()
}

// Lead begins leading, with a planner that knows nothing but what was applied. All that was planned before
// must be: whoever calls it has seen to that. The rule of Plan applies.
func (e *Engine) Lead() error {
	assertf(e.inflight == nil && e.following.Load(), "a step is in flight, or this machine leads already")
	head, lastTime, err := readHead(e.db)
	if err != nil {
		return e.noted(err)
	}
	assertf(head == e.head, "the log ends at commit %d, applied was %d", head.ts, e.head.ts)
	m, err := readMeta(e.db, e.identity.format)
	if err != nil {
		return e.noted(err)
	}
	if err := e.begin(&m, lastTime); err != nil {
		return e.noted(err)
	}
	e.mu.Lock()
	e.following.Store(false)
	e.mu.Unlock()
	e.wakeWriter()
	return nil
}

// begin makes what the writer has in memory of a store whose last commit is at lastTime.
func (e *Engine) begin(m *meta, lastTime time.Time) error {
	e.rows.used, e.rows.holds = m.used, false
	e.planner = newPlanner(e.state, e.head, lastTime, &e.opts, &e.reached)
	e.wakes.Store(slices.Contains(m.used, featureWakes))
	e.planner.wakes = &e.wakes
	if e.pruned = (pruner{floor: m.floor}); e.pruned.floor > 0 {
		row, err := readLogRow(e.db, e.pruned.floor)
		if err != nil {
			return err
		}
		e.prunedTime.Store(row.CommitTime.UnixNano())
	}
	e.chores = chores{}
	if err := e.chores.load(systemReader{e.db.DB}); err != nil {
		return err
	}
	e.planner.reserved, e.planner.busy, e.planner.gone = e.chores.reserved, e.busy, e.valuesMayBeGone
	if err := e.resumeImport(); err != nil {
		return err
	}
	if err := e.loadTimers(); err != nil {
		return err
	}
	e.publishFloors()
	return nil
}

// Head is the last commit that was applied, and the hash chain's value there. The rule of Plan applies.
func (e *Engine) Head() (CommitTS, [32]byte) { return e.head.ts, e.head.hash }
