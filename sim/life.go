package sim

import (
	"errors"
	"fmt"
	"strings"

	"statehouse.dev/statehouse/engine"
	"statehouse.dev/statehouse/sim/simdisk"
)

func (w *World) doLife(s *Step) error {
	if s.Verb == Crash && w.daemon == nil && w.pristine == nil {
		w.disk, w.powerLost = w.disk.Crash(s.Crash), true // the machine goes on without the daemon, until now
		w.attach()
		w.note("disk", "power cut", "")
		w.stats.Faults["power cut"]++
		return nil
	}
	if (s.Verb == Start) == (w.daemon != nil) {
		return skip("the daemon runs, or runs not, already")
	}
	switch s.Verb {
	case Start:
		w.start()
	case Stop:
		w.stop()
	case Kill:
		w.die(w.disk.Kill(), "kill -9")
	case Crash:
		if w.inflight {
			w.probe("power cut while a sync is in flight")
		}
		w.die(w.disk.Crash(s.Crash), "power cut")
	}
	return nil
}

func (w *World) die(image *simdisk.Disk, how string) {
	w.daemon.image, w.daemon.how = image, how
}

// start starts the daemon. It may refuse, halt, or lose power on the way.
func (w *World) start() {
	d := w.newDaemon()
	w.daemon = d
	var err error
	struck := len(w.struck)
	d.act(func() {
		if err = d.assemble(); err == nil {
			d.service.Engine().AwaitCleaning()
		}
	})
	w.unflushed = 0
	faulty := len(w.struck) > struck
	switch {
	case d.image != nil:
		w.probe("process died inside recovery")
		w.recoveries++
	case d.service == nil || err != nil:
		w.daemon = nil
		w.why = fmt.Sprint(err)
		w.disk = w.disk.Kill()
		w.attach()
		w.note("daemon", "refused", w.why)
		w.stats.Refusals++
		w.refusedStarts++
		if !faulty && w.capacity == 0 && !w.hurt && w.pristine == nil {
			w.violate("G1", "does-not-start", 0, "no fault struck and nobody harmed the store, yet it does not open: "+w.why)
		}
		switch {
		case w.pristine != nil:
			w.probe("harm found at start")
		case errors.Is(err, engine.ErrDataLoss):
			w.lossFound++
			w.hurt = true // perhaps by what the daemon did when it read wrong
			w.probe("wrong read found at start")
		}
	default:
		w.why, w.recoveries, w.refusedStarts = "", 0, 0
		if w.pristine != nil {
			w.probe("started in spite of harm")
		}
		w.note("daemon", "start", fmt.Sprintf("published %d", d.service.Engine().Published()))
	}
}

// stop ends the daemon as SIGTERM does: watches end, what is under way may
// finish, then the store is closed.
func (w *World) stop() {
	d := w.daemon
	d.syncs.set(true)
	d.service.Drain()
	w.runHandlers()
	d.act(func() {
		if w.inflight {
			d.service.Engine().Settle()
		}
		for d.image == nil && d.service.Engine().Step() {
		}
	})
	w.inflight = false
	if d.image != nil {
		return // nothing that the dead one still does is an answer
	}
	w.runHandlers()
	d.stuck = true
	d.act(func() {
		if err := d.service.Close(); err != nil {
			w.logged("closing failed", "error", err.Error())
		}
	})
	if d.image == nil {
		w.die(w.disk.Kill(), "stop")
	}
}

// reap buries a daemon that has died: its requests end without an answer, its
// store is closed where nobody sees it, and the disk is what it left.
func (w *World) reap() {
	d := w.daemon
	if d == nil || d.image == nil {
		return
	}
	d.syncs.set(true) // what waits there goes on, on a disk that nobody sees any more
	d.removals.set(true)
	w.note("daemon", "died", d.how)
	w.stats.deaths(d.how)
	for _, c := range w.handlers {
		c.cancel()
		w.kill(c.handler)
	}
	w.handlers = w.handlers[:0]
	w.daemon, w.inflight = nil, false
	if d.service != nil && !closed(d.halted) && !d.stuck {
		d.act(func() { _ = d.service.Close() })
	}
	w.disk, w.powerLost = d.image, strings.HasPrefix(d.how, "power cut")
	w.attach()
	// What was answered is with the network; everything else on its connections is
	// lost, and their clients learn that.
	for _, c := range w.order {
		if !c.done && c.arrived && c.gen == d.generation && !c.answered {
			c.msgs = nil
			w.finish(c, nil, errReset)
		}
	}
}
