package metrics

import (
	"context"
	"fmt"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"statehouse.dev/statehouse/client"
	"statehouse.dev/statehouse/engine"
	"statehouse.dev/statehouse/server"
	"statehouse.dev/statehouse/server/meter"
)

// BenchmarkCost measures what measuring costs: processor time of an operation, client and server
// together, with a meter divided by without one, at 64 clients. Both services stand in this process and
// take turns of 25 ms, so that whatever else the machine does hits both; the median of all pairs
// counts, and "se-%" is its standard error, about. Run it for long enough:
//
//	go test ./server/metrics -run xxx -bench Cost -benchtime 2000x
func BenchmarkCost(b *testing.B) {
	for _, unary := range []bool{false, true} {
		way := "session"
		if unary {
			way = "call"
		}
		with, without := newSide(b, newLiveMeter(), unary), newSide(b, nil, unary)
		for _, op := range []string{"read", "commit"} {
			b.Run(op+"/"+way, func(b *testing.B) {
				var ratios []float64
				for i := 0; b.Loop(); i++ {
					first, second := with, without
					if i%2 == 1 {
						first, second = without, with
					}
					x, y := first.burst(b, op), second.burst(b, op)
					if i%2 == 1 {
						x, y = y, x
					}
					ratios = append(ratios, x/y)
				}
				slices.Sort(ratios)
				n := len(ratios)
				b.ReportMetric(100*(ratios[n/2]-1), "more-%")
				b.ReportMetric(100*(ratios[n*3/4]-ratios[n/4])/1.35*1.25/sqrt(float64(n)), "se-%")
				b.ReportMetric(0, "ns/op")
			})
		}
	}
}

func sqrt(x float64) float64 {
	r := x
	for range 40 {
		r = (r + x/r) / 2
	}
	return r
}

// newLiveMeter is one as the daemon has it.
func newLiveMeter() *meter.Meter {
	began := time.Now()
	return meter.New(meter.Config{Clock: func() time.Duration { return time.Since(began) }, Slow: time.Second, Log: func(string, ...any) {}})
}

// side is a service and its 64 clients.
type side struct {
	clients []*client.Client
	ids     atomic.Uint64
}

func newSide(b *testing.B, observed *meter.Meter, unary bool) *side {
	b.Helper()
	service, err := server.Assemble(engine.MemoryEnv(func(err error) { b.Error(err) }, nil), server.Config{Engine: engine.Options{Dir: "/data", NoSync: true}, Meter: observed})
	if err != nil {
		b.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- service.Serve(ctx, nil, l) }()
	s := &side{}
	for range 4 {
		c, err := client.Dial(client.Config{Address: l.Addr().String(), Unary: unary})
		if err != nil {
			b.Fatal(err)
		}
		s.clients = append(s.clients, c)
	}
	b.Cleanup(func() {
		for _, c := range s.clients {
			_ = c.Close()
		}
		stop()
		<-served
		_ = service.Close()
	})
	if _, err := s.clients[0].Transact(ctx, client.Batch{Writes: []client.Write{client.Put("a", "k", []byte(`{"n":1}`))}}); err != nil {
		b.Fatal(err)
	}
	s.burst(b, "read")
	s.burst(b, "commit")
	return s
}

// burst has 64 clients do as many operations as they can for 25 ms, and returns the processor
// time of one.
func (s *side) burst(b *testing.B, op string) float64 {
	b.Helper()
	ctx, done := context.Background(), atomic.Uint64{}
	before, end := cpu(), time.Now().Add(25*time.Millisecond)
	var all sync.WaitGroup
	for i := range 64 {
		all.Go(func() {
			c := s.clients[i%len(s.clients)]
			for time.Now().Before(end) {
				var err error
				if op == "read" {
					_, err = c.Get(ctx, "a", "k")
				} else {
					_, err = c.Transact(ctx, client.Batch{TxnID: fmt.Sprint("t", s.ids.Add(1)), Writes: []client.Write{client.Put(fmt.Sprint("agent", i), "k", []byte(`{"n":1}`))}})
				}
				if err != nil {
					b.Error(err)
					return
				}
				done.Add(1)
			}
		})
	}
	all.Wait()
	return float64(cpu()-before) / float64(done.Load())
}

// cpu is the processor time of this process.
func cpu() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
