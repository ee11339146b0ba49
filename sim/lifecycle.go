package sim

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	cluster "statehouse.dev/statehouse/cluster/node"
	"statehouse.dev/statehouse/engine"
	"statehouse.dev/statehouse/sim/simdisk"
	"statehouse.dev/statehouse/sim/step"
)

// starts is how the starts of the daemon went.
type starts struct {
	count   int    // of all of them
	died    int    // in a row, that the process died in
	refused int    // in a row, that the daemon refused
	why     string // it refused the last one
	// sound is the disk before a start that read what was not there, and may have made of it
	// what it likes; nil since a start went well. None that refuses to start after it has
	// acknowledged anything more, so the history is judged by what is on it.
	sound    *simdisk.Disk
	detected bool // such a start was refused for good
}

func (w *World) doProcess(s *step.Step) error {
	if s.Verb == step.Crash && w.process == nil && w.machine.pristine == nil {
		w.machine.powerLost = true // the machine has gone on without the daemon, until now
		w.use(w.machine.disk.Crash(s.Crash))
		w.rec.note(w.lane("disk"), "power cut", "")
		w.rec.stats.Faults["power cut"]++
		return nil
	}
	if (s.Verb == step.Start) == (w.process != nil) {
		return misfit("the daemon runs already, or does not run")
	}
	if p := w.process; p != nil && p.service == nil && (s.Verb == step.Drain || s.Verb == step.Stop) {
		w.close(p) // nobody asks it anything
		return nil
	}
	switch s.Verb {
	case step.Start:
		if w.diskLost {
			return misfit("the disk of %s is lost, and an empty one is that of no member: another node takes its place", w.name)
		}
		w.start()
	case step.Drain:
		if w.Draining() {
			return misfit("the daemon was asked to stop already")
		}
		w.beginDrain()
	case step.Stop:
		w.stop()
	case step.Kill:
		w.process.die(w.machine.disk.Kill(), "kill -9")
	case step.Crash:
		if w.process.inflight {
			w.rec.probe("power cut while a sync is in flight")
		}
		w.process.die(w.machine.disk.Crash(s.Crash), "power cut")
	}
	return nil
}

// start starts the daemon. It may refuse, halt, or lose power on the way.
func (w *World) start() {
	p := w.newProcess()
	w.process = p
	w.started()
	var err error
	before := startFacts{errors: w.reasons.Errors, misreads: w.reasons.Misreads, room: w.room()}
	if w.starts.sound == nil && w.misreadsArmed() {
		before.disk = w.machine.disk.Clone()
	}
	p.act(func() {
		if err = p.assemble(); err == nil && p.service != nil {
			p.service.Engine().AwaitCleaning()
		}
	})
	if w.starts.sound == nil && w.reasons.Misreads > before.misreads {
		w.starts.sound = before.disk
	}
	switch {
	case p.image != nil:
		w.rec.probe("process died inside recovery")
		w.starts.died++
	case p.service == nil && p.member == nil || err != nil:
		w.process, w.removed = nil, w.removed || errors.Is(err, cluster.ErrRemoved)
		w.starts.why = fmt.Sprint(err)
		w.use(w.machine.disk.Kill())
		w.rec.note(w.lane("daemon"), "refused", w.starts.why)
		w.rec.stats.Refusals++
		w.starts.refused++
		if why := w.undeservedRefusal(err, &before); why != "" {
			w.rec.violate("G1", "does-not-start", 0, why+", yet the store does not open: "+w.starts.why)
		}
		switch {
		case w.machine.pristine != nil:
			w.rec.probe("harm found at start")
		case errors.Is(err, engine.ErrDataLoss):
			w.rec.probe("wrong read found at start")
		}
	default:
		w.starts.why, w.starts.died, w.starts.refused, w.starts.sound, w.again = "", 0, 0, nil, false
		if p.service == nil {
			w.rec.note(w.lane("daemon"), "start", "without a store")
			w.look(p, true)
			return
		}
		if w.machine.pristine != nil {
			w.rec.probe("started in spite of harm")
		}
		published := p.service.Engine().Published()
		w.machine.told = told{start: uint64(published)}
		w.rec.note(w.lane("daemon"), "start", fmt.Sprintf("published %d", published))
		w.makeKeys(p)
		if p.member != nil {
			w.look(p, true)
		}
	}
}

// reap buries a daemon that has died: its requests end without an answer, its
// store is closed without effect, and the disk is what it left.
func (w *World) reap() {
	p := w.process
	if p == nil || p.image == nil {
		return
	}
	if w.paused = false; w.peers != nil {
		w.peers.Gone(w.id)
		w.breakHanded(func(h *handed) bool { return h.to == p.n || h.call.node == p.n })
		w.breakCopies(func(_ *node, from *node) bool { return from == p.n })
	}
	p.syncs.Set(true) // what waits there goes on, on a disk that is out of use
	p.removals.Set(true)
	w.rec.note(w.lane("daemon"), "died", p.how)
	w.rec.stats.died(p.how)
	w.countBounds(p)
	for _, c := range w.handlers {
		c.cancel()
		w.tasks.Kill(c.handler)
	}
	w.handlers = w.handlers[:0]
	if p.drain != nil {
		w.tasks.Kill(p.drain.task)
	}
	w.process = nil
	if (p.service != nil || p.member != nil) && !p.stuck {
		p.act(func() { _ = p.closeAll() })
	}
	w.machine.powerLost = strings.HasPrefix(p.how, "power cut")
	w.use(p.image)
	// What was answered is with the network; everything else on its connections is
	// lost, and their clients learn that.
	for _, s := range slices.Clone(w.network.streams) {
		if s.opened(p) && !s.ended() {
			s.broke(errReset, "")
		}
	}
	for _, c := range w.network.order {
		if !c.done && c.arrived && c.node == p.n && c.gen == p.generation && !c.answered && c.in == nil {
			c.msgs = nil
			w.finish(c, nil, errReset)
		}
	}
}
