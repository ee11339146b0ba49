package sim

import (
	"math/rand/v2"
	"runtime"
	"runtime/metrics"
	"slices"
	"sync"

	"statehouse.dev/statehouse/sim/simdisk"
)

// maxYields is how often the others get the processor before a world waits for them no
// longer: when Pebble hangs, it mostly does so in a loop.
const maxYields = 200

// quiesce is for the goroutine that does the steps: what the others did to the world
// before they became quiescent, it sees from then on.
func (w *World) quiesce() bool {
	done := quiesce()
	w.mu.Lock() // the scheduler knows that they are, the memory model does not
	defer w.mu.Unlock()
	return done
}

// quiesce lets the goroutines of Pebble run to their end, to a barrier, or to where they
// wait for each other, and reports whether they did. With one processor, and only
// simulated disks to wait for, what there is then is the same in every run, however
// often the runtime took the processor from one of them on the way.
func quiesce() bool {
	busy := []metrics.Sample{{Name: "/sched/goroutines/runnable:goroutines"}, {Name: "/sched/goroutines/running:goroutines"}}
	for range maxYields {
		runtime.Gosched()
		metrics.Read(busy)
		if busy[0].Value.Uint64() == 0 && busy[1].Value.Uint64() <= 1 {
			return true
		}
	}
	return false
}

// disturbance takes the processor from goroutines that use the disk, as the runtime does
// on a busy machine. Nothing may follow from it.
type disturbance struct {
	mu   sync.Mutex
	rand *rand.Rand
}

// newDisturbance makes one whose moments follow from a seed; 0: it never strikes.
func newDisturbance(seed uint64) *disturbance {
	if seed == 0 {
		return nil
	}
	return &disturbance{rand: simdisk.Stream(seed, "disturbance")}
}

func (d *disturbance) strike() {
	if d == nil {
		return
	}
	d.mu.Lock()
	times := d.rand.IntN(1 << d.rand.IntN(6))
	d.mu.Unlock()
	for range times {
		runtime.Gosched()
	}
}

// barrier holds back what Pebble does on a goroutine of its own, as soon as that gets to
// run, until the world says that it happens: neither before nor by chance. A process
// has two.
//
// One holds the syncs of the log while a step is in flight. What is to be synced has been
// written by then, so a crash in between finds it unsynced.
//
// The other always holds the removals of files that Pebble needs no more. They happen when
// everything else is quiescent, one at a time: else a flush or a compaction may or may not
// have come further when the power fails inside of one.
type barrier struct {
	mu      sync.Mutex
	turn    sync.Cond
	open    bool
	passes  int // how many may pass though it is shut
	waiting int
}

func newBarrier() *barrier {
	b := &barrier{}
	b.turn.L = &b.mu
	return b
}

// pass waits until the barrier is open.
func (b *barrier) pass() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.waiting++
	for !b.open && b.passes == 0 {
		b.turn.Wait()
	}
	b.passes = max(b.passes-1, 0)
	b.waiting--
}

// letOne lets one pass, now or when it comes.
func (b *barrier) letOne() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.passes++
	b.turn.Signal()
}

func (b *barrier) set(open bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.open, b.passes = open, 0
	b.turn.Broadcast()
}

func (b *barrier) reached() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.waiting > 0
}

// hold makes what a goroutine of Pebble is about to do wait at its barrier.
func (p *process) hold(op *simdisk.Op) {
	switch {
	case op.Kind == simdisk.OpSync && op.Class == simdisk.ClassWAL:
		p.syncs.pass()
	case op.Kind == simdisk.OpRemove && slices.Contains(cleaned, op.Class):
		p.removals.pass()
	}
}

// cleaned are the classes of the files that Pebble removes in the background.
var cleaned = []simdisk.Class{simdisk.ClassSSTable, simdisk.ClassWAL, simdisk.ClassManifest, simdisk.ClassOptions}

// release lets one pass that waits at a barrier, now that nothing else moves. It reports
// whether there was one.
func (p *process) release() bool {
	for _, b := range []*barrier{p.syncs, p.removals} {
		if b.reached() {
			b.letOne()
			return true
		}
	}
	return false
}

// clean lets Pebble remove what it is about to: when a request has closed the last
// iterator on a table, no request waits for that.
func (p *process) clean() {
	for p.w.quiesce() && p.removals.reached() {
		p.removals.letOne()
	}
}
