package sim

import (
	"runtime"
	"sync"
)

// gate holds back the syncs of the log while it is shut. Pebble syncs on a
// goroutine of its own, as soon as that gets to run; behind the gate the sync of a
// step happens when the world says settle, neither before nor by chance. What is
// to be synced has been written by then, so a crash in between finds it unsynced.
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

// letOne lets one sync pass, now or when it comes.
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

// Goroutines of Pebble get to run this many times before the world goes on: with
// one processor, and nothing to wait for but each other, they are done by then.
const (
	settleDown  = 8
	awaitWriter = 200
)

// pause lets the goroutines of Pebble come to rest.
func pause() {
	for range settleDown {
		runtime.Gosched()
	}
}

// awaitSync lets the log be written until its sync stands at the gate. A step that
// asks for no sync is given time to write all the same.
func (d *daemon) awaitSync() {
	for i := 0; i < awaitWriter && !d.gate.reached() && !closed(d.halted); i++ {
		runtime.Gosched()
	}
}
