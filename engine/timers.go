package engine

import (
	"cmp"
	"slices"
	"time"

	"statehouse.dev/statehouse/engine/layout"
)

// The daemon's own commits. When the time that the next commit will be stamped with has reached
// a deadline, the step first makes commits of its own of what is due: so a record that expires
// and a request that meets it in the same step have one order. Only these commits end a hold. A
// clock that is set back delays them; one that is set forward makes them all due, and each step
// makes some.

// timers know when the next hold is due.
type timers struct {
	// next is not after any deadline that there is; zero: there is none.
	// Invariant: no timer row is before it.
	next time.Time
}

// note tells of a deadline that there is from now on.
func (t *timers) note(deadline time.Time) {
	if t.next.IsZero() || deadline.Before(t.next) {
		t.next = deadline
	}
}

// due reports whether a hold may be due at a time.
func (t *timers) due(now time.Time) bool { return !t.next.IsZero() && !now.Before(t.next) }

// loadTimers finds the first deadline.
func (e *Engine) loadTimers() error {
	_, err := e.dueHolds(time.Time{}, 0)
	return err
}

// fired is a hold that is due.
type fired struct {
	layout.Timer
	name RecordName
}

// DueHolds reports whether a step would make commits of the daemon's own. The rule of Plan
// applies.
func (e *Engine) DueHolds() bool {
	pl := e.planner
	return pl.timers.due(pl.stamp(e.now())) && e.refusal() == nil && !e.following.Load()
}

// fire plans the daemon's own commits: one for each cause, of the holds that have been due for
// longest.
func (e *Engine) fire(now time.Time) (err error) {
	pl := e.planner
	now = pl.stamp(now)
	if !pl.timers.due(now) || e.refusal() != nil {
		return nil
	}
	defer func(before timers) {
		if err != nil {
			pl.timers = before // what is due stays due
		}
	}(pl.timers)
	due, err := e.dueHolds(now, e.opts.Tuning.FiredHolds)
	if err != nil {
		return err
	}
	slices.SortStableFunc(due, func(a, b fired) int { return cmp.Compare(a.Kind, b.Kind) })
	for len(due) > 0 {
		n := slices.IndexFunc(due, func(f fired) bool { return f.Kind != due[0].Kind })
		if n < 0 {
			n = len(due)
		}
		if err := e.fireAll(now, due[:n]); err != nil {
			return err
		}
		due = due[n:]
	}
	return nil
}

// fireAll plans a commit that ends holds of one cause: by a tombstone, or a wake-up becomes ready.
func (e *Engine) fireAll(now time.Time, due []fired) error {
	pl := e.planner
	var writes []*Write
	for i := range due {
		f := &due[i]
		prefix := string(layout.RecordPrefix(f.name))
		h, err := pl.keyHead(prefix)
		if err != nil {
			return err
		}
		wake := isWake(f.name.Key)
		if wake && pl.plannedOp(prefix) != nil {
			continue // it ended with its record, which expired in this step
		}
		if h.acted && h.version == f.Version+1 {
			continue // an act on many keys deleted the record, and ends the hold when it comes to it
		}
		if h.version != f.Version || h.held != f.Kind {
			return layout.CorruptRow(layout.AppendHoldKey(nil, prefix), "a timer of another version")
		}
		w := &Write{Name: f.name, Tombstone: !wake}
		if wake {
			is, err := pl.record(prefix)
			if err != nil {
				return err
			}
			w.Value = readyOf(is.value).value
		}
		writes = append(writes, w)
	}
	if len(writes) == 0 {
		return nil
	}
	p := newProposal(layout.NewTxnID(now, e.env.Rand), writes, Conditions{Principal: ownPrincipal})
	p.cause = due[0].Kind
	for i := range p.agents {
		for j := range p.agents[i].ops {
			if op := &p.agents[i].ops[j]; !op.Tombstone {
				op.Held = layout.RecordHold{Kind: layout.CauseReady, TTL: readyTTL}
			}
		}
	}
	_, err := pl.accept(p, now)
	return err
}

// ownPrincipal commits what the daemon commits by itself.
const ownPrincipal = "statehouse"

// dueHolds reads the holds that are due, at most so many of them, those that have been due for
// longest, and notes when the next one is.
func (e *Engine) dueHolds(now time.Time, most int) (due []fired, err error) {
	t := &e.planner.timers
	lower := []byte{layout.TimerTag}
	if !t.next.IsZero() {
		lower = layout.AppendTime(lower, t.next)
	}
	it, err := newRowIter(e.db, lower, []byte{layout.TimerTag + 1})
	if err != nil {
		return nil, err
	}
	var next time.Time
	for ok := it.first(); ok; ok = it.next() {
		deadline, prefix, good := layout.SplitTimerKey(it.key())
		row, good2 := layout.ParseTimer(it.body)
		name, good3 := layout.SplitPrefix(prefix)
		if !good || !good2 || !good3 {
			it.corrupt()
			break
		}
		if deadline.After(now) || len(due) >= most {
			if next = deadline; len(due) >= most && most > 0 {
				e.reached.FiredHolds.Add(1)
			}
			break
		}
		due = append(due, fired{row, name})
	}
	if err := it.close(); err != nil {
		return nil, err
	}
	t.next = next
	return due, nil
}
