package sim

import (
	"math/rand/v2"
	"runtime"
	"runtime/metrics"
	"sync"

	"statehouse.dev/statehouse/sim/simdisk"
)

// most is how often the others get the processor before a world waits for them no
// longer: when Pebble hangs, it mostly does so in a loop.
const most = 200

// rest is for the goroutine that does the steps: what the others did to the world before
// they came to rest, it sees from then on.
func (w *World) rest() bool {
	done := rest()
	w.mu.Lock() // the scheduler knows that they have, the memory model does not
	defer w.mu.Unlock()
	return done
}

// rest lets the goroutines of Pebble come to rest: to their end, to a gate, or to where
// they wait for each other. It tells whether they did. With one processor, and only
// simulated disks to wait for, what there is then is the same in every run, however
// often the runtime took the processor from one of them on the way.
func rest() bool {
	busy := []metrics.Sample{{Name: "/sched/goroutines/runnable:goroutines"}, {Name: "/sched/goroutines/running:goroutines"}}
	for range most {
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
