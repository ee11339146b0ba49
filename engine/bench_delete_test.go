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

// BenchmarkDeleteVeryMany deletes an agent of 1,000,000 keys, while others write: how long it takes, and
// what the others' p99 is, by the second from then on, beside that of before. It is large: ask for it
// with STATEHOUSE_LARGE=1.
func BenchmarkDeleteVeryMany(b *testing.B) {
	if os.Getenv("STATEHOUSE_LARGE") == "" {
		b.Skip("large: STATEHOUSE_LARGE=1 asks for it")
	}
	const keys = 1_000_000
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
	for i := 0; i < keys; i += 4000 {
		var ws []engine.Write
		for j := range 4000 {
			ws = append(ws, put("a", fmt.Sprintf("k/%07d", i+j), j))
		}
		if _, err := e.Transact(ctx, engine.TxnID(fmt.Sprint("fill-", i)), ws, engine.Conditions{}); err != nil {
			b.Fatal(err)
		}
	}
	n := 0
	others := func(d time.Duration) (p99 time.Duration) {
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
		wg.Wait()
		slices.Sort(took)
		return took[len(took)*99/100]
	}
	before := max(others(2*time.Second), others(2*time.Second)).Seconds()
	var deleted time.Duration
	var asked sync.WaitGroup
	asked.Go(func() {
		t0 := time.Now()
		r, err := e.Transact(ctx, "delete", []engine.Write{onRange("a", "", engine.DeletePrefix{})}, engine.Conditions{})
		if deleted = time.Since(t0); err != nil || r.Results[0].Keys != keys {
			b.Errorf("%+v, %v", r, err)
		}
	})
	var during []float64
	for range 10 {
		during = append(during, others(time.Second).Seconds())
	}
	asked.Wait()
	b.Logf("p99 by the second: %.4v s", during)
	slices.Sort(during)
	b.ReportMetric(1000*deleted.Seconds(), "ms/answer")
	b.ReportMetric(1000*before, "ms-p99-before")
	b.ReportMetric(during[len(during)-1]/before, "worst-p99-ratio")
	b.ReportMetric(during[len(during)/2]/before, "median-p99-ratio")
}
