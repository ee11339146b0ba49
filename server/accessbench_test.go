package server

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc/metadata"

	pb "statehouse.dev/statehouse/proto/statehouse/v1"
	"statehouse.dev/statehouse/server/access"
)

// BenchmarkAccess compares what a read and a commit cost, in processor time of client and daemon,
// with 100 keys and without any: in turns, so that what else the machine does hits both. It
// reports the median of the ratios in percent.
func BenchmarkAccess(b *testing.B) {
	type side struct {
		pb.StatehouseServiceClient
		ctx context.Context
	}
	open := side{benchClient(b), b.Context()}
	service, client := benchService(b, Config{Token: secret})
	var last string
	ctx := access.WithCaller(b.Context(), access.Local())
	for i := range 100 {
		_, s, err := service.access.Create(ctx, access.Key{Name: fmt.Sprint("key-", i), Scopes: []access.Scope{{Namespace: "default", Permission: access.Write}}})
		if err != nil {
			b.Fatal(err)
		}
		last = s
	}
	// The token of one goes with every request, as a client's does: what its header costs is not
	// what access costs.
	authorised := func(s string) context.Context {
		return metadata.AppendToOutgoingContext(b.Context(), "authorization", "Bearer "+s)
	}
	open.ctx = authorised(last)
	keyed := side{client, authorised(last)}
	n := 0
	for _, c := range []struct {
		what string
		do   func(side) error
	}{
		{"read", func(s side) error {
			_, err := s.GetState(s.ctx, &pb.GetStateRequest{AgentId: "a", Key: "k", Encoding: asJSON})
			return err
		}},
		{"commit", func(s side) error {
			n++
			_, err := s.Transact(s.ctx, &pb.TransactRequest{TxnId: fmt.Sprint("bench-", n), Operations: []*pb.TransactOperation{set("", "a", "k", `{"n":1}`)}})
			return err
		}},
	} {
		b.Run(c.what, func(b *testing.B) {
			burst := func(s side) time.Duration {
				runtime.GC()
				before := cpuTime(b)
				for range 2000 {
					if err := c.do(s); err != nil {
						b.Fatal(err)
					}
				}
				return cpuTime(b) - before
			}
			var ratios []float64
			for b.Loop() {
				one, other := burst(open), burst(keyed)
				if len(ratios)%2 == 1 { // now the other way round
					other, one = burst(keyed), burst(open)
				}
				ratios = append(ratios, float64(other)/float64(one))
			}
			slices.Sort(ratios)
			b.ReportMetric(100*ratios[len(ratios)/2], "%of-open")
		})
	}
}

func cpuTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
