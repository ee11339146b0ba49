package turns

import (
	"reflect"
	"strings"
	"testing"
)

// explore runs seeds until one fails.
func explore(t *testing.T, seeds uint64, main func()) (*Finding, uint64) {
	t.Helper()
	for seed := range seeds {
		if f, _ := Run(main, Policy{Seed: seed, Points: 20}, false); f != nil {
			return f, seed
		}
	}
	return nil, 0
}

// lostUpdate adds up in two threads: correctly, or in two moves.
func lostUpdate(correct bool) func() {
	return func() {
		var n Int64
		var all WaitGroup
		for range 2 {
			all.Go(func() {
				if correct {
					n.Add(1)
				} else {
					n.Store(n.Load() + 1)
				}
			})
		}
		all.Wait()
		if got := n.Load(); got != 2 {
			Fail("two were added, and there are %d", got)
		}
	}
}

// crossed takes two locks in two orders.
func crossed() {
	var a, b Mutex
	both := func(first, second *Mutex) {
		first.Lock()
		defer first.Unlock()
		second.Lock()
		defer second.Unlock()
	}
	Go(func() { both(&a, &b) })
	both(&b, &a)
}

// lostWakeUp looks before it registers, and is not woken in between.
func lostWakeUp() {
	var ready, registered Bool
	wake := make(chan struct{}, 1)
	Go(func() {
		if ready.Store(true); registered.Load() {
			Send(wake, struct{}{})
		}
	})
	if !ready.Load() {
		registered.Store(true)
		Recv(wake)
	}
}

func TestFindings(t *testing.T) {
	if f, seed := explore(t, 500, lostUpdate(true)); f != nil {
		t.Errorf("seed %d: a correct program: %+v", seed, f)
	}
	for what, c := range map[string]struct { // each by itself: order cannot matter
		main func()
		kind string
	}{
		"a lost update":  {lostUpdate(false), "broken"},
		"crossed locks":  {crossed, "deadlock"},
		"a lost wake-up": {lostWakeUp, "deadlock"},
		"a panic":        {func() { Go(func() { panic("no") }) }, "panic"},
		"an endless loop": {func() {
			var b Bool
			for !b.Load() {
				Point()
			}
		}, "endless"},
		"a lone receive":   {func() { Recv(make(chan int)) }, "deadlock"},
		"a send unmatched": {func() { Send(make(chan int), 1) }, "panic"},
	} {
		f, _ := explore(t, 200, c.main)
		if f == nil || f.Kind != c.kind {
			t.Errorf("%s: %+v", what, f)
		}
	}
}

// TestSameSeedSameSchedule: a schedule happens again, and its trace names the places.
func TestSameSeedSameSchedule(t *testing.T) {
	_, seed := explore(t, 200, crossed)
	a, _ := Run(crossed, Policy{Seed: seed, Points: 20}, true)
	b, _ := Run(crossed, Policy{Seed: seed, Points: 20}, true)
	if a == nil || !reflect.DeepEqual(a, b) {
		t.Errorf("%+v\n%+v", a, b)
	}
	if text := strings.Join(a.Threads, "\n"); strings.Count(text, "waits at Lock") != 2 {
		t.Errorf("the threads: %s", text)
	}
}

// TestTicks: a ticker fires when a program says so, and at no other time.
func TestTicks(t *testing.T) {
	f, _ := explore(t, 100, func() {
		tick := NewTicker(1)
		n := 0
		Go(func() {
			for range 2 {
				Recv(tick.C)
				n++
			}
		})
		Tick()
		Until(func() bool { return n == 1 })
		Tick()
		Until(func() bool { return n == 2 })
		tick.Stop()
		Tick()
		if len(tick.C) > 0 {
			Fail("a ticker that was stopped fires")
		}
	})
	if f != nil {
		t.Errorf("%+v", f)
	}
}
