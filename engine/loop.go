package engine

import (
	"context"
	"runtime/debug"
	"time"

	"statehouse.dev/statehouse/engine/words"
)

// TickEvery is how often expiry, free space and the queue are checked when nothing
// else happens.
const TickEvery = 100 * time.Millisecond

// Run steps until ctx ends. Production calls it in a goroutine of its own. It is the
// only place that waits for time to pass; the simulator calls Plan, Settle and Tick
// instead.
func (e *Engine) Run(ctx context.Context) {
	e.running.Store(true)
	defer e.running.Store(false)
	timer := time.NewTicker(TickEvery)
	defer timer.Stop()
	for ctx.Err() == nil {
		if e.failed.Load() != nil {
			e.refuseQueued()
		} else if e.stepLocked() {
			select {
			case <-timer.C:
				e.tickLocked()
			default:
			}
			continue
		}
		select {
		case <-e.wake:
		case <-timer.C:
			e.tickLocked()
		case <-ctx.Done():
		}
	}
}

// stepSoon sees to it that the queue is taken. If no goroutine is stepping, the calling
// request steps itself: that spares a lone client two goroutine switches, each as long
// as a third of a sync. Otherwise Run takes everything that has queued up when the
// current step ends.
func (e *Engine) stepSoon() {
	if e.running.Load() && e.stepMu.TryLock() {
		func() {
			defer e.stepMu.Unlock()
			e.guardedStep()
		}()
		if !e.hasQueued() {
			return
		}
	}
	e.wakeWriter()
}

// wakeWriter has Run look at the queue.
func (e *Engine) wakeWriter() {
	select {
	case e.wake <- struct{}{}:
	default:
	}
}

// Wake has something when the queue is to be looked at, for whoever calls Plan in Run's place.
func (e *Engine) Wake() <-chan struct{} { return e.wake }

func (e *Engine) hasQueued() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.queue.len()+len(e.system.queue) > 0
}

func (e *Engine) stepLocked() bool {
	e.stepMu.Lock()
	defer e.stepMu.Unlock()
	return e.guardedStep()
}

// guardedStep halts if a step panics: a broken invariant must end the process, even if
// the step runs in a request, whose panics are recovered.
func (e *Engine) guardedStep() bool {
	defer func() {
		if p := recover(); p != nil {
			e.halt(words.Failf(ErrStorage, "a step broke: %v\n%s", p, debug.Stack()))
		}
	}()
	return e.failed.Load() == nil && e.Step()
}

func (e *Engine) tickLocked() {
	e.stepMu.Lock()
	defer e.stepMu.Unlock()
	e.Tick()
}

// Tick does what depends on time: it aborts expired transactions, has chores done that no commit
// took along, and checks free space and the directory's place.
func (e *Engine) Tick() {
	e.txns.expire(e.now())
	e.chores.eager = e.hasChores() && !e.following.Load()
	e.checkPlace()
	e.checkSpace()
}
