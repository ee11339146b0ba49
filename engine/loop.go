package engine

import (
	"context"
	"runtime/debug"
	"time"
)

// tickEvery is how often expiry, free space and the queue are looked at when
// nothing else happens.
const tickEvery = 100 * time.Millisecond

// Run steps until ctx ends: the loop that production calls in a goroutine of its
// own. It is the only place that waits for time to pass; the simulator calls
// Step and Tick instead.
func (e *Engine) Run(ctx context.Context) {
	e.running.Store(true)
	defer e.running.Store(false)
	timer := time.NewTicker(tickEvery)
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

// stepSoon makes the queue be looked at. When nobody is stepping the request that
// calls does it itself: a lone client is spared two changes of goroutine, each
// as long as a third of a sync. When somebody is, Run takes over after them with
// all that has queued up meanwhile.
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
	select {
	case e.wake <- struct{}{}:
	default:
	}
}

func (e *Engine) hasQueued() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.queue) > 0
}

func (e *Engine) stepLocked() bool {
	e.stepMu.Lock()
	defer e.stepMu.Unlock()
	return e.guardedStep()
}

// guardedStep halts when a step panics: a broken invariant must end the process,
// also where the step runs under a request whose panics are caught.
func (e *Engine) guardedStep() bool {
	defer func() {
		if p := recover(); p != nil {
			e.halt(failf(ErrStorage, "a step broke: %v\n%s", p, debug.Stack()))
		}
	}()
	return e.failed.Load() == nil && e.Step()
}

func (e *Engine) tickLocked() {
	e.stepMu.Lock()
	defer e.stepMu.Unlock()
	e.Tick()
}

// Tick does what time brings: it aborts what has expired and looks at the disk and at
// where the store is.
func (e *Engine) Tick() {
	e.txns.expire(e.now())
	e.checkPlace()
	e.checkSpace()
}
