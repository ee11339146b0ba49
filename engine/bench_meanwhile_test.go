package engine_test

import (
	"context"
	"fmt"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"statehouse.dev/statehouse/engine"
)

// large skips a benchmark that takes long, unless it was asked for.
func large(b *testing.B) {
	b.Helper()
	if os.Getenv("STATEHOUSE_LARGE") == "" {
		b.Skip("large: STATEHOUSE_LARGE=1 asks for it")
	}
}

// fill gives an agent n keys.
func fill(b *testing.B, e *runningEngine, agent string, n int) {
	b.Helper()
	fillWith(b, e, agent, agent, n, 0)
}

// fillAgain gives the keys of agent a other values.
func fillAgain(b *testing.B, e *runningEngine, name string, n int) {
	b.Helper()
	fillWith(b, e, name, "a", n, 1+len(name))
}

func fillWith(b *testing.B, e *runningEngine, name, agent string, n, add int) {
	b.Helper()
	const each = 4000
	for i := 0; i < n; i += each {
		var ws []engine.Write
		for j := i; j < min(i+each, n); j++ {
			ws = append(ws, put(agent, fmt.Sprintf("k/%07d", j), j+add))
		}
		if _, err := e.Transact(context.Background(), engine.TxnID(fmt.Sprintf("fill-%s-%d", name, i)), ws, engine.Conditions{}); err != nil {
			b.Fatal(err)
		}
	}
}

// others are four clients that commit, each to an agent of its own, one commit after the other. How
// long they wait while something else goes on, beside how long they do otherwise, is what that costs them.
type others struct {
	b    *testing.B
	e    *runningEngine
	runs int
}

// waits are how long commits took, from the shortest to the longest.
type waits []time.Duration

// during returns what the others wait for their commits while meanwhile runs, and d at least.
func (o *others) during(d time.Duration, meanwhile func()) waits {
	var mu sync.Mutex
	var all waits
	var wg sync.WaitGroup
	o.runs++
	until := time.Now().Add(d)
	for client := range 4 {
		wg.Go(func() {
			var took waits
			for i := 0; time.Now().Before(until); i++ {
				t := time.Now()
				if _, err := o.e.Transact(context.Background(), engine.TxnID(fmt.Sprintf("others-%d-%d-%d", o.runs, client, i)),
					[]engine.Write{put(fmt.Sprint("other-", client), "k", i)}, engine.Conditions{}); err != nil {
					o.b.Error(err)
					return
				}
				took = append(took, time.Since(t))
			}
			mu.Lock()
			defer mu.Unlock()
			all = append(all, took...)
		})
	}
	meanwhile()
	wg.Wait()
	slices.Sort(all)
	return all
}

func (w waits) p99() float64   { return ms(w[len(w)*99/100]) }
func (w waits) worst() float64 { return ms(w[len(w)-1]) }

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1e3 }

// median sorts.
func median(of []float64) float64 {
	slices.Sort(of)
	return of[len(of)/2]
}
