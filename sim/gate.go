package sim

import (
	"slices"
	"sync"

	"statehouse.dev/statehouse/sim/simdisk"
)

// gate holds back what Pebble does on a goroutine of its own, as soon as that gets to
// run, until the world says that it happens: neither before nor by chance. A daemon
// has two.
//
// Behind one are the syncs of the log while a step is in flight. What is to be synced
// has been written by then, so a crash in between finds it unsynced.
//
// Behind the other, always, are the removals of files that Pebble needs no more. They
// happen when everything else is at rest, one at a time: else a flush or a compaction
// may or may not have come further when the power fails inside of one.
type gate struct {
	mu      sync.Mutex
	turn    sync.Cond
	open    bool
	passes  int // how many may pass though it is shut
	waiting int
}

func newGate() *gate {
	g := &gate{}
	g.turn.L = &g.mu
	return g
}

// pass waits until the gate is open.
func (g *gate) pass() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.waiting++
	for !g.open && g.passes == 0 {
		g.turn.Wait()
	}
	g.passes = max(g.passes-1, 0)
	g.waiting--
}

// letOne lets one pass, now or when it comes.
func (g *gate) letOne() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.passes++
	g.turn.Signal()
}

func (g *gate) set(open bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.open, g.passes = open, 0
	g.turn.Broadcast()
}

func (g *gate) reached() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.waiting > 0
}

// hold makes what a goroutine of Pebble is about to do wait at its gate.
func (d *daemon) hold(op *simdisk.Op) {
	switch {
	case op.Kind == simdisk.OpSync && op.Class == simdisk.ClassWAL:
		d.syncs.pass()
	case op.Kind == simdisk.OpRemove && slices.Contains(cleaned, op.Class):
		d.removals.pass()
	}
}

// cleaned are the classes of the files that Pebble removes in the background.
var cleaned = []simdisk.Class{simdisk.ClassSSTable, simdisk.ClassWAL, simdisk.ClassManifest, simdisk.ClassOptions}

// release lets go one that waits at a gate, now that nothing else moves. It tells
// whether there was one.
func (d *daemon) release() bool {
	for _, g := range []*gate{d.syncs, d.removals} {
		if g.reached() {
			g.letOne()
			return true
		}
	}
	return false
}

// clean lets Pebble remove what it is about to: when a request has closed the last
// iterator on a table, nobody waits for that.
func (d *daemon) clean() {
	for d.w.rest() && d.removals.reached() {
		d.removals.letOne()
	}
}
