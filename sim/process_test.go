package sim

import (
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"statehouse.dev/statehouse/sim/simtest"
)

// TestHangIsFound: a daemon that waits for what never comes, and one that goes round and round,
// each end the run; one that has naps in it does not.
func TestHangIsFound(t *testing.T) {
	simtest.Single(t)
	never := make(chan struct{})
	defer close(never)
	var stop atomic.Bool
	defer stop.Store(true)
	for _, act := range []struct {
		what  string
		does  func()
		hangs bool
	}{
		{"sleeps", func() { time.Sleep(100 * time.Millisecond) }, false},
		{"waits", func() { <-never }, true},
		{"busy", func() {
			for !stop.Load() {
				runtime.Gosched()
			}
		}, true},
	} {
		w := NewWorld(1, Config{}, Options{})
		p := w.newProcess()
		w.process = p
		p.act(act.does)
		if w.Broken() != act.hangs || act.hangs && w.rec.violations[0].Check != "hang" {
			t.Errorf("%s: %v", act.what, w.rec.violations)
		}
	}
}
