// Package simtest is what tests share that have no use for the race detector, of simulated worlds
// and of other things that one goroutine does.
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

// Serial says that a test runs on one goroutine: it has nothing for the race detector to see,
// and takes ten times as long under it, where it is skipped. "make race" runs its package
// without the detector as well.
func Serial(t *testing.T) {
	t.Helper()
	if underRace {
		t.Skip("it runs on one goroutine; make race runs it without the detector, too")
	}
}
