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

// BenchmarkFork forks an agent of 100,000 keys, while others write: how long it takes, and what their
// p99 is beside that of the same time before. It is large: ask for it with STATEHOUSE_LARGE=1.
func BenchmarkFork(b *testing.B) {
	if os.Getenv("STATEHOUSE_LARGE") == "" {
		b.Skip("large: STATEHOUSE_LARGE=1 asks for it")
	}
	const keys = 100_000
	env, closeEnv := engine.OSEnv(func(err error) { b.Error(err) }, func(string, ...any) {})
	defer closeEnv()
	e, err := engine.Open(env, engine.Options{Dir: b.TempDir()})
	if err != nil {
		b.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { e.Run(ctx) })
	defer func() { stop(); running.Wait(); _ = e.Close() }()
	for i := 0; i < keys; i += 2000 {
		var ws []engine.Write
		for j := range 2000 {
			ws = append(ws, put("parent", fmt.Sprintf("k/%06d", i+j), j))
		}
		if _, err := e.Transact(ctx, engine.TxnID(fmt.Sprint("fill-", i)), ws, engine.Conditions{}); err != nil {
			b.Fatal(err)
		}
	}
	n := 0
	others := func(d time.Duration, meanwhile func()) (p99 time.Duration) {
		var took []time.Duration
		var mu sync.Mutex
		var wg sync.WaitGroup
		until := time.Now().Add(d)
		for w := range 4 {
			n++
			id := n
			wg.Go(func() {
				for i := 0; time.Now().Before(until); i++ {
					t0 := time.Now()
					if _, err := e.Transact(ctx, engine.TxnID(fmt.Sprintf("o-%d-%d", id, i)), []engine.Write{put(fmt.Sprint("other-", w), "k", i)}, engine.Conditions{}); err != nil {
						b.Error(err)
					}
					mu.Lock()
					took = append(took, time.Since(t0))
					mu.Unlock()
				}
			})
		}
		meanwhile()
		wg.Wait()
		slices.Sort(took)
		return took[len(took)*99/100]
	}
	var forks, before, during []float64
	for i := range b.N {
		before = append(before, others(time.Second, func() {}).Seconds())
		during = append(during, others(time.Second, func() {
			for j := range 20 {
				t0 := time.Now()
				if _, err := e.Transact(ctx, engine.TxnID(fmt.Sprintf("f-%d-%d", i, j)), []engine.Write{forkOf(fmt.Sprintf("fork-%d-%d", i, j), "parent", engine.At{})}, engine.Conditions{}); err != nil {
					b.Error(err)
				}
				forks = append(forks, time.Since(t0).Seconds())
				time.Sleep(20 * time.Millisecond)
			}
		}).Seconds())
	}
	slices.Sort(forks)
	slices.Sort(before)
	slices.Sort(during)
	b.ReportMetric(1000*forks[len(forks)-1], "ms/fork-max")
	b.ReportMetric(1000*before[len(before)/2], "ms-p99-before")
	b.ReportMetric(during[len(during)/2]/before[len(before)/2], "p99-ratio")
}
