// Package simtest is what tests that run simulated worlds share.
package simtest

import (
	"runtime"
	"testing"
)

// Single gives a test the one thread that worlds are made for. Under the race detector it
// skips the test: what Pebble's goroutines tell a world through the hooks of its disk is
// not synchronised in a way that the detector could see.
func Single(t *testing.T) {
	t.Helper()
	if underRace {
		t.Skip("worlds are single-threaded; make sim runs this")
	}
	before := runtime.GOMAXPROCS(1)
	t.Cleanup(func() { runtime.GOMAXPROCS(before) })
}
