package sim

import (
	"fmt"
	"time"

	"statehouse.dev/statehouse/history/record"
	"statehouse.dev/statehouse/server"
	"statehouse.dev/statehouse/sim/sched"
	"statehouse.dev/statehouse/sim/step"
)

// drain is how a process ends that was asked to (SIGTERM). The order of things is
// production's, server.Shutdown, which runs as a coroutine between the steps of the world:
// they go on while it waits, and more may go wrong.
type drain struct {
	w       *World
	p       *process
	task    *sched.Task
	began   int64         // in the history's time
	within  bool          // it waits for what is under way
	ends    time.Duration // what is under way then is cut off
	cut     bool          // it was
	stopped bool          // the engine's loop has ended
}

var _ server.Host = (*drain)(nil)

// beginDrain asks the process to stop. One that stands still hears of it when it goes on, which it does here.
func (w *World) beginDrain() {
	w.paused = false
	d := &drain{w: w, p: w.process, began: w.rec.events}
	d.task = sched.Spawn(func(*sched.Task) { d.p.service.Shutdown(d) })
	w.process.drain = d
	w.reasons.Draining = true
	if len(w.handlers) > 0 {
		w.rec.probe("drain with requests under way")
	}
	w.rec.note(w.lane("daemon"), "drain", "")
	w.goOnDraining()
}

// Draining reports whether a daemon runs that was asked to stop.
func (w *World) Draining() bool { return w.process != nil && w.process.drain != nil }

// Unhealthy implements server.Host: a world has no one who asks for health.
func (d *drain) Unhealthy() {}

// StopServing implements server.Host as gRPC's server does: see refuses for what it takes
// in no more.
func (d *drain) StopServing(within time.Duration) {
	w := d.w
	served := func() bool { return len(w.handlers) == 0 }
	d.within, d.ends = true, w.clock.elapsed+within
	if !d.task.Park(func() bool { return served() || w.clock.elapsed >= d.ends }) || served() {
		return
	}
	d.cut = true
	w.checkCutOff()
	w.rec.probe("drain cuts off what is under way")
	for _, c := range w.handlers {
		c.cancel()
		c.msgs = nil
		w.finish(c, nil, errReset)
	}
	d.task.Park(served)
}

// StopEngine implements server.Host: from here on no step is the writer's.
func (d *drain) StopEngine() { d.stopped = true }

// refuses reports whether a request is too late: a client that has heard of the drain
// sends none, and gRPC takes what was sent before.
func (d *drain) refuses(c *Call) bool { return d != nil && c.op.Call > d.began }

// goOnDraining lets a drain come as far as it can, and ends the process when it is done.
func (w *World) goOnDraining() {
	for w.Draining() && w.process.image == nil {
		p := w.process
		d := p.drain
		if d.within && !d.cut && w.clock.elapsed >= d.ends {
			w.writeAll(p) // which has had the time
		}
		if p.image != nil || !d.task.Runnable() {
			break
		}
		w.tasks.Resume(d.task)
		w.quiesce() // the contexts that it ended tell others on goroutines
		if d.stopped && p.inflight {
			w.writeAll(p) // the loop ends with its step
		}
		w.runHandlers()
		switch {
		case p.image != nil:
		case d.task.Ended():
			w.close(p)
		case d.cut && len(w.handlers) > 0 && !d.task.Runnable():
			for _, c := range w.handlers {
				w.rec.violate("G9", "drain-hangs", c.op.ID, fmt.Sprintf("call #%d was cut off by a drain, and its handler does not end", c.op.ID))
			}
			p.die(w.machine.disk.Kill(), "hang")
		}
	}
}

// mostSteps is ten times as many steps of the writer as what is there at one moment ever comes to.
const mostSteps = 2_000

// writeAll lets the writer do all there is for it, as its loop does in no time. A writer that is never
// done, or has work that it never takes up, has hung.
func (w *World) writeAll(p *process) {
	if p.member != nil { // it depends on others
		w.goRound(p)
		w.runHandlers()
		return
	}
	p.syncs.Set(true)
	steps := 0
	for more := true; more && p.image == nil; steps++ {
		p.act(func() {
			if p.inflight {
				p.service.Engine().Settle()
			}
			for p.image == nil && !p.loopEnded() && steps < mostSteps && p.service.Engine().Step() {
				steps++
			}
		})
		p.inflight = false
		if steps >= mostSteps && p.image == nil {
			w.rec.violate("G9", "writer-never-done", 0, fmt.Sprintf("after %d steps at one moment the writer still has something to do", steps))
			p.die(w.machine.disk.Kill(), "hang")
			return
		}
		w.reasons.judge.Settled(p.service.Held().Commits.Queued)
		if p.image == nil {
			w.runHandlers()
			more = !p.loopEnded() && p.image == nil && p.service.Held().Commits.Queued > 0
		}
	}
}

// loopEnded reports whether the engine's loop has ended, though the process has not.
func (p *process) loopEnded() bool { return p.drain != nil && p.drain.stopped }

// checkCutOff holds a drain to its duty when its time is over: the daemon has had it to do
// whatever it could, so all that may be left is streams whose clients do not read (G9).
func (w *World) checkCutOff() {
	if w.peers != nil {
		return // a majority may not be reached
	}
	for _, c := range w.handlers {
		if c.request.method != jobMethod && !c.heldUp() && (!c.Stream() || len(c.msgs) < streamWindow) {
			w.rec.violate("G9", "drain-unanswered", c.op.ID, fmt.Sprintf("call #%d was under way when the daemon was asked to stop, and nothing held it up: it is cut off without an answer", c.op.ID))
		}
	}
}

// stop ends the daemon as SIGTERM does, with nothing else happening meanwhile.
func (w *World) stop() {
	p := w.process
	if p.drain == nil {
		w.beginDrain()
	} else {
		w.rec.probe("asked to stop twice")
	}
	if p.image == nil {
		w.writeAll(p)
		w.goOnDraining()
	}
	if p.image == nil { // someone does not read
		w.clock.elapsed = max(w.clock.elapsed, p.drain.ends)
		w.goOnDraining()
	}
}

// close closes the store of a daemon that has answered everything, and ends its process.
func (w *World) close(p *process) {
	p.syncs.Set(true)
	p.stuck = true
	var err error
	p.act(func() { err = p.closeAll() })
	if p.image == nil {
		w.checkClosed(p, err)
		p.die(w.machine.disk.Kill(), "stop")
	}
}

// checkWatchEnded holds the daemon to its word that a watch goes on until its client ends
// it, and that a drain says where to go on.
func (w *World) checkWatchEnded(c *Call) {
	if !c.watches() || c.done || w.process == nil || w.process.image != nil {
		return
	}
	_, refusal := record.Outcome(c.err)
	switch {
	case refusal == nil || refusal.Code == "canceled" || refusal.Code == "deadlineexceeded":
		w.rec.violate("G9", "watch-ends", c.op.ID, fmt.Sprintf("watch #%d, whose client still listens, ends with %v", c.op.ID, c.err))
	case w.process.drain == nil && refusal.Code == "UNAVAILABLE":
		w.rec.violate("G9", "watch-ends", c.op.ID, fmt.Sprintf("watch #%d ends as in a drain, and there is none: %s", c.op.ID, step.FirstLine(refusal.Message)))
	}
}
