package sched

import (
	"math/rand/v2"
	"runtime"
	"runtime/metrics"
	"sync"
)

// maxYields is how often the others get the processor before a world waits for them no
// longer: when Pebble hangs, it mostly does so in a loop.
const maxYields = 200

// Quiesce lets the other goroutines run to their end, to a barrier, or to where they wait
// for each other, and reports whether they did. With one processor, and only simulated
// disks to wait for, what there is then is the same in every run, however often the runtime
// took the processor from one of them on the way.
func Quiesce() bool {
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

// Disturbance takes the processor from goroutines that use the disk, as the runtime does
// on a busy machine. Nothing may follow from it.
type Disturbance struct {
	mu   sync.Mutex
	rand *rand.Rand
}

// NewDisturbance makes one whose moments are drawn from r.
func NewDisturbance(r *rand.Rand) *Disturbance { return &Disturbance{rand: r} }

// Strike takes the processor from its caller, or not. That of nil never does.
func (d *Disturbance) Strike() {
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
