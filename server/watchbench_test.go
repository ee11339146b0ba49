package server

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	pb "statehouse.dev/statehouse/proto/statehouse/v1"
)

// BenchmarkCommitWatched is a commit by 64 clients, with watches of agents to which nothing
// happens, and with watches of the agent that all commits are of. Client and server share
// the processor.
func BenchmarkCommitWatched(b *testing.B) {
	for _, watched := range []struct {
		name    string
		watches int
		agent   func(watch int) string
		writers int
	}{
		{"none", 0, nil, 64},
		{"quiet-1000", 1000, func(i int) string { return fmt.Sprint("quiet-", i) }, 64},
		{"busy-1000", 1000, func(int) string { return "busy" }, 8},
		{"busy-none", 0, nil, 8},
	} {
		b.Run(watched.name, func(b *testing.B) {
			c := benchClient(b)
			var delivered atomic.Int64
			for i := range watched.watches {
				stream, err := c.Watch(b.Context(), &pb.WatchRequest{AgentId: watched.agent(i), AfterTs: new(uint64(0)), Encoding: asJSON})
				if err != nil {
					b.Fatal(err)
				}
				if _, err := stream.Recv(); err != nil {
					b.Fatal(err)
				}
				go func() {
					for {
						batch, err := stream.Recv()
						if err != nil {
							return
						}
						delivered.Add(int64(len(batch.GetEvents())))
					}
				}()
			}
			took := make([][]time.Duration, watched.writers)
			var next atomic.Int64
			before := processorTime(b)
			b.ResetTimer()
			var clients sync.WaitGroup
			for w := range took {
				clients.Go(func() {
					for i := next.Add(1); i <= int64(b.N); i = next.Add(1) {
						began := time.Now()
						op := set("", "busy", fmt.Sprint("key-", i%1000), `{"n":1}`)
						if _, err := c.Transact(b.Context(), &pb.TransactRequest{TxnId: fmt.Sprint("t", i), Operations: []*pb.TransactOperation{op}}); err != nil {
							b.Error(err)
							return
						}
						took[w] = append(took[w], time.Since(began))
					}
				})
			}
			clients.Wait()
			cpu := processorTime(b) - before
			all := slices.Concat(took...)
			slices.Sort(all)
			b.ReportMetric(float64(cpu)/float64(b.N), "cpu-ns/op")
			b.ReportMetric(float64(all[len(all)/2].Microseconds()), "p50-µs")
			if n := delivered.Load(); n > 0 {
				b.ReportMetric(float64(cpu)/float64(n), "cpu-ns/delivery")
				b.ReportMetric(float64(n)/float64(b.N), "deliveries/op")
			}
		})
	}
}
