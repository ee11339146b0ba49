package sim

import (
	"fmt"

	"statehouse.dev/statehouse/history"
	"statehouse.dev/statehouse/sim/step"
)

// doEngine lets the daemon's own loops do something: the writer, the timer, Pebble's
// upkeep.
func (w *World) doEngine(s *step.Step) error {
	p := w.process
	if p == nil || p.service == nil {
		return misfit("no daemon runs that has a store")
	}
	if p.loopEnded() {
		return misfit("the engine's loop has ended")
	}
	var err error
	switch s.Verb {
	case step.Plan:
		err = w.plan(p)
	case step.Settle:
		if !p.inflight {
			return misfit("nothing is in flight")
		}
		p.inflight = false
		p.syncs.Set(true)
		w.settleStep(p)
		w.checkImports(p)
		w.reasons.judge.Settled(p.service.Held().Commits.Queued)
	case step.Tick:
		p.act(func() { p.service.Engine().Tick(); p.service.Tick() })
		w.checkTables(p)
		w.ticked()
	case step.Flush:
		err = w.maintain(p, "flush", p.service.Engine().Flush)
	case step.Compact:
		err = w.maintain(p, "compact", p.service.Engine().Compact)
	}
	if err != nil {
		return err
	}
	text := ""
	if s.Verb == step.Settle && p.image == nil {
		ts := uint64(p.service.Engine().Published())
		w.machine.told.publish(ts)
		text = fmt.Sprintf("published %d", ts)
	}
	w.rec.note(w.lane("daemon"), string(s.Verb), text)
	return nil
}

// plan lets the writer take what waits and write it; the sync waits for settle.
func (w *World) plan(p *process) error {
	switch {
	case p.inflight:
		return misfit("a step is in flight")
	case w.machine.pristine != nil:
		return misfit("a file is corrupt: from here on the store is only read")
	}
	p.syncs.Set(false)
	w.reasons.planned = w.reasons.Causes
	w.reasons.judge.Planned(w.now())
	w.planStep(p)
	if p.inflight {
		w.quiesce() // the log is written until its sync stands at the barrier
	} else {
		p.syncs.Set(true)
	}
	if !p.inflight && p.image == nil {
		w.checkAnswered()
		return misfit("nothing waits for the writer")
	}
	p.unflushed++
	return nil
}

// roomToMaintain is what a flush and a compaction of a run's store need at most.
// With less, Pebble tries its flush again and again until space comes back, which
// no step can give it meanwhile.
const roomToMaintain = 256 << 10

func (w *World) maintain(p *process, what string, f func() error) error {
	if u, err := w.machine.disk.GetDiskUsage("/"); err == nil && u.AvailBytes < roomToMaintain {
		return misfit("a %s needs %d bytes free, the disk has %d", what, roomToMaintain, u.AvailBytes)
	}
	if p.inflight {
		w.rec.probe(what + " while a sync is in flight")
	}
	p.syncs.Set(true)
	p.act(func() {
		if err := f(); err != nil {
			p.log(what, "error", err.Error())
		}
		p.service.Engine().AwaitCleaning()
	})
	p.unflushed = 0
	if p.image != nil {
		w.rec.probe("process died inside " + what)
	}
	return nil
}

// FlushEvery is after how many steps of the writer whoever drives a world flushes. It keeps
// Pebble's memtable, which has 256 KiB, from filling up by itself: when it is full is not the
// same in two runs.
const FlushEvery = 64

// WriterAsked reports whether a request waits for the writer.
func (w *World) WriterAsked() bool {
	for _, c := range w.handlers {
		if c.op.Kind == history.Commit || c.op.Kind == history.Transact || c.op.Kind == history.Abort {
			return true
		}
	}
	return w.process != nil && w.process.image == nil && (w.process.service.Held().Commits.Queued > 0 || w.importsWait())
}

// checkAnswered holds the writer to its duty: when nothing is queued and nothing in
// flight, no commit may be waiting for it (G9). An import whose commits are being made holds others up, after a
// fault until the next tick; what is never answered the end shows.
func (w *World) checkAnswered() {
	if w.importsWait() && w.reasons.Errors+w.reasons.Misreads > 0 {
		return
	}
	for _, c := range w.handlers {
		if c.commits() && !c.handler.Runnable() && !c.unanswered && !c.heldUp() {
			c.unanswered = true
			w.rec.violate("G9", "no-answer", c.op.ID, fmt.Sprintf("call #%d waits for the writer, which has nothing to do: it will never be answered", c.op.ID))
		}
	}
}
