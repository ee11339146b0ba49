package server

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	pb "statehouse.dev/statehouse/proto/statehouse/v1"
)

// BenchmarkReplayBatches is the history of a namespace with 64 agents, and of one of
// them, in batches, through gRPC and all that a request passes, client included.
func BenchmarkReplayBatches(b *testing.B) {
	const agents, events = 64, 32_000
	c := benchClient(b)
	value := fmt.Appendf(nil, `{"note":%q}`, strings.Repeat("x", 60))
	var clients sync.WaitGroup
	for a := range agents {
		clients.Go(func() {
			for i := range events / agents {
				op := set("bench", fmt.Sprint("agent-", a), fmt.Sprint("key-", i), string(value))
				if _, err := c.Transact(b.Context(), &pb.TransactRequest{TxnId: fmt.Sprint(a, "-", i), Operations: []*pb.TransactOperation{op}}); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	clients.Wait()
	if b.Failed() {
		return
	}
	for name, req := range map[string]*pb.ReplayRequest{
		"namespace": {Namespace: "bench", AllAgents: true, Encoding: asJSON},
		"agent":     {Namespace: "bench", AgentId: "agent-7", Encoding: asJSON},
	} {
		b.Run(name, func(b *testing.B) {
			n := 0
			b.ReportAllocs()
			before := processorTime(b)
			for n < b.N {
				stream, err := c.ReplayBatches(b.Context(), req)
				if err != nil {
					b.Fatal(err)
				}
				for {
					batch, err := stream.Recv()
					if err == io.EOF {
						break
					}
					if err != nil {
						b.Fatal(err)
					}
					n += len(batch.GetEvents())
				}
			}
			b.ReportMetric(float64(processorTime(b)-before)/float64(n), "cpu-ns/event")
			b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "events/s")
		})
	}
}

// processorTime is what this process has used so far: what counts on a noisy machine.
func processorTime(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
