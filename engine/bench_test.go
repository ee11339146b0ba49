package engine

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2"
)

// benchValue is a JSON object of 256 bytes that does not compress away.
func benchValue(r *rand.Rand) []byte {
	b := make([]byte, 0, 256)
	b = append(b, `{"note":"`...)
	const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
	for len(b) < 254 {
		b = append(b, letters[r.IntN(len(letters))])
	}
	return append(b, `"}`...)
}

func openBench(b *testing.B) *Engine {
	b.Helper()
	env, closeEnv := OSEnv(func(err error) { panic(err) }, func(string, ...any) {})
	e, err := Open(env, Options{Dir: b.TempDir()})
	if err != nil {
		b.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { e.Run(ctx) })
	b.Cleanup(func() {
		stop()
		wg.Wait()
		if err := e.Close(); err != nil {
			b.Error(err)
		}
		closeEnv()
	})
	return e
}

// inParallel splits b.N over clients.
func inParallel(b *testing.B, clients int, do func(client, i int)) {
	var wg sync.WaitGroup
	b.ResetTimer()
	for c := range clients {
		wg.Go(func() {
			for i := c; i < b.N; i += clients {
				do(c, i)
			}
		})
	}
	wg.Wait()
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "ops/s")
}

func BenchmarkCommit(b *testing.B) {
	for _, clients := range []int{1, 8, 64, 256} {
		b.Run(fmt.Sprintf("clients=%d", clients), func(b *testing.B) {
			e := openBench(b)
			v := benchValue(rand.New(rand.NewPCG(1, 1)))
			inParallel(b, clients, func(c, i int) {
				id := newTxnID(e.now(), e.env.Rand)
				_, err := e.Transact(context.Background(), id, []Write{{
					Name:  RecordName{"", fmt.Sprint("agent-", c), fmt.Sprint("key-", i%1000)},
					Value: v}}, Conditions{})
				if err != nil {
					b.Error(err)
				}
			})
		})
	}
}

// BenchmarkPebble is the ceiling of BenchmarkCommit: the same bytes through bare
// Pebble with one writer that groups.
func BenchmarkPebble(b *testing.B) {
	for _, clients := range []int{1, 64} {
		b.Run(fmt.Sprintf("clients=%d", clients), func(b *testing.B) {
			db, err := pebble.Open(b.TempDir(), &pebble.Options{FormatMajorVersion: pebbleFormat, Logger: pebbleLog{log: func(string, ...any) {}}})
			if err != nil {
				b.Fatal(err)
			}
			defer db.Close()
			type req struct {
				k, v []byte
				done chan struct{}
			}
			ch := make(chan req, 4096)
			var wg sync.WaitGroup
			wg.Go(func() {
				for r := range ch {
					batch := db.NewBatch()
					waiting := []req{r}
					for len(ch) > 0 {
						waiting = append(waiting, <-ch)
					}
					for _, w := range waiting {
						batch.Set(w.k, w.v, nil)
					}
					if err := batch.Commit(pebble.Sync); err != nil {
						b.Error(err)
					}
					for _, w := range waiting {
						close(w.done)
					}
				}
			})
			v := benchValue(rand.New(rand.NewPCG(1, 1)))
			inParallel(b, clients, func(c, i int) {
				r := req{[]byte(fmt.Sprintf("agent-%d/key-%d/%d", c, i%1000, i)), v, make(chan struct{})}
				ch <- r
				<-r.done
			})
			close(ch)
			wg.Wait()
		})
	}
}

func BenchmarkGet(b *testing.B) {
	e := openBench(b)
	v := benchValue(rand.New(rand.NewPCG(1, 1)))
	for i := range 10 {
		var ws []Write
		for j := range 1000 {
			ws = append(ws, Write{Name: RecordName{"", "a", fmt.Sprint("key-", i*1000+j)}, Value: v})
		}
		if _, err := e.Transact(context.Background(), TxnID(fmt.Sprint("t", i)), ws, Conditions{}); err != nil {
			b.Fatal(err)
		}
	}
	inParallel(b, 8, func(_, i int) {
		s, _ := e.Snapshot(At{})
		if r, err := s.Get(RecordName{"", "a", fmt.Sprint("key-", i%10000)}); err != nil || !r.Exists {
			b.Error(r, err)
		}
	})
}

func BenchmarkReplay(b *testing.B) {
	e := openBench(b)
	v := benchValue(rand.New(rand.NewPCG(1, 1)))
	var wg sync.WaitGroup
	for c := range 64 {
		wg.Go(func() {
			for i := c; i < 100_000; i += 64 {
				id := newTxnID(e.now(), e.env.Rand)
				_, err := e.Transact(context.Background(), id, []Write{{Name: RecordName{"", "a", fmt.Sprint("key-", i%1000)}, Value: v}}, Conditions{})
				if err != nil {
					b.Error(err)
				}
			}
		})
	}
	wg.Wait()
	b.ResetTimer()
	n := 0
	for n < b.N {
		for cursor := CommitTS(0); cursor < 100_000 && n < b.N; {
			evs, c, err := e.Replay(Filter{Agent: "a"}, cursor, 100_000, 0)
			if err != nil {
				b.Fatal(err)
			}
			n += len(evs)
			cursor = c
		}
	}
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "events/s")
}
