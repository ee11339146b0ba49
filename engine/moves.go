package engine

import (
	"cmp"
	"context"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"statehouse.dev/statehouse/engine/layout"
)

// The deadlines of holds move: leases are renewed, and records that expire are kept for longer
// when they were used. That is no commit: there may be thousands a second, and nobody replays
// them. The writer decides them like changes of system rows, in the step's batch, and answers
// when it is durable. Until then a reader has the deadline as it was.

// move is a deadline to be moved.
type move struct {
	prefix  string
	kind    Cause
	version Version       // that the record must be at; 0: whichever it is at
	ttl     time.Duration // from now; 0: that of the hold

	now *layout.Hold // the answer; nil: there is no such record any more
}

// moveHolds moves deadlines, each by itself: of some there may be no record any more.
func (e *Engine) moveHolds(ctx context.Context, moves []move, permit func() error) error {
	if err := e.refusal(); err != nil {
		return err
	}
	a, err := e.askWriter(&systemAsk{moves: moves, permit: permit})
	if err != nil {
		return err
	}
	return e.awaitSystem(ctx, a)
}

// planMoves decides moves, and adds their rows to batch. A deadline never moves back: what was
// granted until a moment lasts until then, whatever the clock says since.
func (e *Engine) planMoves(a *systemAsk, now time.Time, batch *pebble.Batch) error {
	pl := e.planner
	now = pl.stamp(now)
	if err := e.refusal(); err != nil {
		return err
	}
	if a.permit != nil {
		if err := a.permit(); err != nil {
			return err
		}
	}
	for i := range a.moves {
		m := &a.moves[i]
		head, err := pl.keyHead(m.prefix)
		if err != nil {
			return err
		}
		if head.held != m.kind || m.version != 0 && head.version != m.version {
			continue
		}
		before, err := pl.hold(m.prefix, head)
		if err != nil {
			return err
		}
		after := *before
		if after.Deadline = layout.DeadlineAfter(now, cmp.Or(m.ttl, before.TTL)); after.Deadline.Before(before.Deadline) {
			after.Deadline = before.Deadline
		}
		if m.now = before; after == *before {
			continue
		}
		after.Moved = pl.head.ts
		m.now = &after
		pl.keep(m.prefix, m.now)
		e.rows.appendHold(batch, m.prefix, before, m.now)
	}
	return nil
}

// expiry fills in when a record expires.
func (e *Engine) expiry(rec *Record) error {
	if rec.hold.Kind == 0 {
		return nil
	}
	rec.ExpiresAt = layout.DeadlineAfter(rec.CommitTime, rec.hold.TTL)
	e.system.mu.RLock()
	defer e.system.mu.RUnlock()
	key := layout.AppendHoldKey(nil, string(layout.RecordPrefix(rec.Name)))
	body, err := e.durableSystem().row(key)
	if body == nil || err != nil {
		return e.noted(err)
	}
	h, ok := layout.ParseHold(body)
	if !ok {
		return e.noted(layout.CorruptRow(key, "malformed"))
	}
	if h.Version == rec.Version {
		rec.ExpiresAt = h.Deadline
	}
	return nil
}
