package sim

import (
	"slices"

	"statehouse.dev/statehouse/sim/sched"
	"statehouse.dev/statehouse/sim/simdisk"
)

// This file is about what Pebble does on goroutines of its own. A process has two barriers
// that hold it back until the world says that it happens: neither before nor by chance.
//
// One holds the syncs of the log while a step is in flight. What is to be synced has been
// written by then, so a crash in between finds it unsynced.
//
// The other always holds the removals of files that Pebble needs no more. They happen when
// everything else is quiescent, one at a time: else a flush or a compaction may or may not
// have come further when the power fails inside of one.

// quiesce is for the goroutine that does the steps: what the others did to the world
// before they became quiescent, it sees from then on.
func (w *World) quiesce() bool {
	done := sched.Quiesce()
	w.mu.Lock() // the scheduler knows that they are, the memory model does not
	defer w.mu.Unlock()
	return done
}

// hold makes what a goroutine of Pebble is about to do wait at its barrier.
func (p *process) hold(op *simdisk.Op) {
	switch {
	case op.Kind == simdisk.OpSync && op.Class == simdisk.ClassWAL:
		p.syncs.Pass()
	case op.Kind == simdisk.OpRemove && slices.Contains(cleaned, op.Class):
		p.removals.Pass()
	}
}

// cleaned are the classes of the files that Pebble removes in the background.
var cleaned = []simdisk.Class{simdisk.ClassSSTable, simdisk.ClassWAL, simdisk.ClassManifest, simdisk.ClassOptions}

// release lets one pass that waits at a barrier, now that nothing else moves. It reports
// whether there was one.
func (p *process) release() bool {
	for _, b := range []*sched.Barrier{p.syncs, p.removals} {
		if b.Reached() {
			b.LetOne()
			return true
		}
	}
	return false
}

// clean lets Pebble remove what it is about to: when a request has closed the last
// iterator on a table, no request waits for that.
func (p *process) clean() {
	for p.w.quiesce() && p.removals.Reached() {
		p.removals.LetOne()
	}
}
