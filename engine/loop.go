package engine

import (
	"context"
	"time"
)

// tickEvery is how often expiry, free space and the queue are looked at when
// nothing else happens.
const tickEvery = 100 * time.Millisecond

// Run steps until ctx ends: the loop that production calls in a goroutine of its
// own. It is the only place that waits for time to pass; the simulator calls
// Step and Tick instead.
func (e *Engine) Run(ctx context.Context) {
	timer := time.NewTicker(tickEvery)
	defer timer.Stop()
	for ctx.Err() == nil {
		if e.failed.Load() != nil {
			e.refuseQueued()
		} else if e.Step() {
			select {
			case <-timer.C:
				e.Tick()
			default:
			}
			continue
		}
		select {
		case <-e.wake:
		case <-timer.C:
			e.Tick()
		case <-ctx.Done():
		}
	}
}

// Tick does what time brings: it aborts what has expired and looks at the disk.
func (e *Engine) Tick() {
	e.txns.expire(e.now())
	e.checkSpace()
}
