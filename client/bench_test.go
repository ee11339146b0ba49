//go:build unix

package client_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"statehouse.dev/statehouse/client"
	"statehouse.dev/statehouse/server"
)

// BenchmarkCalls compares sessions and calls of their own: CPU is of the client and the daemon,
// which are in one process, and p50 of one caller.
func BenchmarkCalls(b *testing.B) {
	d := startDaemon(b, server.Config{}, nil)
	value := []byte(fmt.Sprintf(`{"v":%q}`, strings.Repeat("v", 248)))
	for _, callers := range []int{1, 16, 64} {
		for _, way := range []string{"unary", "session"} {
			c := d.dial(client.Config{Unary: way == "unary"})
			ctx := b.Context()
			calls := map[string]func(n int) error{
				"get": func(int) error { _, err := c.Get(ctx, "a", "k"); return err },
				"put": func(n int) error {
					_, err := c.Transact(ctx, client.Batch{Writes: []client.Write{client.Put("a", fmt.Sprint("k", n), value)}})
					return err
				},
			}
			for _, name := range []string{"get", "put"} {
				b.Run(fmt.Sprintf("%s/%d/%s", name, callers, way), func(b *testing.B) { measure(b, callers, calls[name]) })
			}
		}
	}
}

func measure(b *testing.B, callers int, call func(n int) error) {
	if err := call(0); err != nil {
		b.Fatal(err)
	}
	took := make([][]time.Duration, callers)
	before := processorTime()
	b.ResetTimer()
	var wg sync.WaitGroup
	for i := range callers {
		wg.Go(func() {
			for range b.N/callers + 1 {
				began := time.Now()
				if err := call(i); err != nil {
					b.Error(err)
				}
				took[i] = append(took[i], time.Since(began))
			}
		})
	}
	wg.Wait()
	b.StopTimer()
	all := slices.Sorted(slices.Values(slices.Concat(took...)))
	b.ReportMetric(float64((processorTime()-before).Nanoseconds())/1e3/float64(len(all)), "cpu-µs/op")
	b.ReportMetric(float64(all[len(all)/2].Nanoseconds())/1e3, "p50-µs")
}

func processorTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
