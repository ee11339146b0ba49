package sim

import (
	"errors"
	"fmt"

	cluster "statehouse.dev/statehouse/cluster/node"
	"statehouse.dev/statehouse/engine"
	"statehouse.dev/statehouse/sim/deserved"
	"statehouse.dev/statehouse/sim/simdisk"
	"statehouse.dev/statehouse/sim/step"
)

// A daemon may refuse to start, but not without a cause, and not for longer than that lasts.

// startFacts is what was so before a start.
type startFacts struct {
	errors, misreads int
	disk             *simdisk.Disk // nil: nothing can be misread, or an earlier one is kept
	room             deserved.Disk
}

// roomToStart is what a start needs at most: tables made of what the logs hold, a new log, a
// manifest. With a disk that has so much free it must start.
const roomToStart = DiskReserve

// undeservedRefusal returns why the daemon must have started that refused to; empty if it need
// not.
func (w *World) undeservedRefusal(err error, before *startFacts) string {
	lost := errors.Is(err, engine.ErrDataLoss)
	switch {
	case errors.Is(err, cluster.ErrRemoved):
		if !w.toLeave {
			return "nobody has asked for it to be removed"
		}
		return ""
	case w.machine.pristine != nil:
		if !lost && !errors.Is(err, engine.ErrFormat) {
			return "a file was corrupted, which it does not say"
		}
		return ""
	case w.reasons.Errors > before.errors, w.reasons.Misreads > before.misreads:
		return "" // by a fault of the disk
	case before.room.Limited && before.room.Free < roomToStart:
		return ""
	case lost && w.starts.sound != nil:
		return "" // what it read wrong before, it may have written
	case before.room.Limited:
		return fmt.Sprintf("no fault struck, no file was corrupted and %d bytes are free", before.room.Free)
	}
	return "no fault struck and no file was corrupted"
}

// misreadsArmed reports whether a fault is armed that falsifies what is read.
func (w *World) misreadsArmed() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	for i := range w.faults.armed {
		if a := &w.faults.armed[i]; a.able && (a.fault.Kind == simdisk.BitFlip || a.fault.Kind == simdisk.Misread) {
			return true
		}
	}
	return false
}

// startForGood starts the daemon when every fault is healed. What a wrong read has spoilt stays
// spoilt: then the disk is put back that was before it.
func (w *World) startForGood() {
	if _ = w.Apply(step.Step{Verb: step.Start}); w.process == nil && w.starts.sound != nil {
		w.rec.probe("store spoilt by a wrong read")
		w.starts.detected = true
		w.starts.sound.Heal()
		w.starts.sound.SetCapacity(0)
		w.use(w.starts.sound)
		_ = w.Apply(step.Step{Verb: step.Start})
	}
	if w.process == nil {
		w.rec.violate("G9", "does-not-start", 0, "every fault is healed, yet the daemon does not start: "+w.starts.why)
	}
}
