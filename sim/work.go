package sim

import (
	"fmt"

	"statehouse.dev/statehouse/engine"
	"statehouse.dev/statehouse/sim/simdisk"
)

// Work is counted in steps, look-ups of a row and moves of an iterator, and is in
// proportion to what was asked and answered (G9): a seek does not walk, a page does not begin
// at the first, a commit looks at each event once. The bounds are in workbounds.go.

// work is what the daemon read, and for what.
type work struct {
	plans []planned
	asked []*Call // commits that may be in the writer's queue
}

// planned is what a step of the writer read.
type planned struct {
	calls     []*Call
	published uint64
	staged    int   // rows of imports whose commits the writer makes
	plan      int64 // steps of reading, until it was written
	settle    int64 // and after that
}

// spend counts what f reads for one purpose.
func (p *process) spend(on *int64, f func()) {
	before := p.service.Engine().Reads().Steps
	f()
	*on += p.service.Engine().Reads().Steps - before
}

// resume lets a handler go on, and counts what it reads.
func (w *World) resume(c *Call) {
	defer w.about(c.node)()
	p := w.process
	if p == nil || p.service == nil {
		w.tasks.Resume(c.handler)
		return
	}
	p.spend(&c.work, func() { w.tasks.Resume(c.handler) })
	c.published = uint64(p.service.Engine().Published())
}

// planStep lets the writer plan, and counts what it reads.
func (w *World) planStep(p *process) {
	t := planned{published: uint64(p.service.Engine().Published()), staged: w.staged()}
	calls := w.work.asked
	for _, c := range w.handlers { // one may have asked again
		if c.commits() {
			calls = append(calls, c)
		}
	}
	p.act(func() { p.spend(&t.plan, func() { p.inflight = planAndApply(p.service.Engine()) }) })
	if p.image == nil && p.inflight {
		t.calls = calls
		w.work.plans = append(w.work.plans, t)
	}
	if p.image != nil || p.service.Held().Commits.Queued == 0 {
		w.work.asked = nil
	}
}

// planAndApply has the writer plan a step and apply it, and reports whether there is one.
func planAndApply(e *engine.Engine) bool {
	if e.Plan() == nil {
		return false
	}
	e.Apply()
	return true
}

// settleStep lets the writer settle, and counts what it reads.
func (w *World) settleStep(p *process) {
	var steps int64
	p.act(func() { p.spend(&steps, p.service.Engine().Settle) })
	if n := len(w.work.plans); n > 0 {
		w.work.plans[n-1].settle += steps
	}
}

// judgeWork compares all that was read with what there was to read.
func (w *World) judgeWork() {
	if w.config.Unsynced || w.machine.pristine != nil || w.faults.lied() {
		return // the log may have lost what was read
	}
	past := newPast(&w.rec.history, w.served.Engine.Tuning.MarkEvery)
	for _, c := range w.network.order {
		bound, known := past.bound(c)
		if known && c.request.recorded() && c.work > bound {
			w.rec.violate("G9", "too-much-work", c.op.ID, fmt.Sprintf("call #%d, a %s, took %d steps of reading, and %d would do", c.op.ID, c.op.Kind, c.work, bound))
		}
	}
	for i := range w.work.plans {
		t := &w.work.plans[i]
		plan, settle := int64(slack)+2*int64(t.staged), int64(slack)
		if past.restores {
			plan += search
		}
		if past.fired {
			plan += duePerHold * int64(w.served.Engine.Tuning.FiredHolds)
		}
		last := 0
		for _, c := range t.calls {
			p, s := past.writes(c.op, t.published)
			plan, settle, last = plan+p, settle+s, c.op.ID
		}
		if t.plan > plan || t.settle > settle {
			w.rec.violate("G9", "too-much-work", last, fmt.Sprintf("a step of the writer for %d commits, of which call #%d, took %d steps of reading to plan and %d to settle, and %d and %d would do", len(t.calls), last, t.plan, t.settle, plan, settle))
		}
	}
}

// lied reports whether a disk has taken for written what it has not.
func (f *faults) lied() bool {
	for i := range f.armed {
		if k := f.armed[i].fault.Kind; k == simdisk.SyncLie || k == simdisk.DirSyncLie {
			return true
		}
	}
	return false
}
