package capture

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"sync"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/peer"

	pb "statehouse.dev/statehouse/proto/statehouse/v1"
)

// BenchmarkTransact is what recording one commit of 256 bytes costs its request.
func BenchmarkTransact(b *testing.B) {
	for _, on := range []bool{false, true} {
		b.Run(fmt.Sprintf("on=%v", on), func(b *testing.B) {
			r := New(OSEnv(), Config{Dir: b.TempDir(), MaxBytes: 64 << 20, Published: func() uint64 { return 1 }, Log: func(string, ...any) {}})
			ctx, stop := context.WithCancel(context.Background())
			var running sync.WaitGroup
			running.Go(func() { r.Run(ctx) })
			defer func() {
				stop()
				running.Wait()
				_ = r.Close()
			}()
			if on {
				if err := r.Start(); err != nil {
					b.Fatal(err)
				}
			}
			ctx = peer.NewContext(ctx, &peer.Peer{Addr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1}})
			req := &pb.TransactRequest{TxnId: "01a209c5-c0ee-7d23-adbf-c449f112a0bd", Operations: []*pb.TransactOperation{{
				Namespace: "bench", AgentId: "agent", Key: "memory/00000001", ValueJson: bytes.Repeat([]byte("x"), 256),
			}}}
			info := &grpc.UnaryServerInfo{FullMethod: pb.StatehouseService_Transact_FullMethodName}
			handler := func(context.Context, any) (any, error) {
				return &pb.TransactResponse{CommitTs: 1, Versions: []uint64{1}}, nil
			}
			b.ReportAllocs()
			for b.Loop() {
				if _, err := r.Unary(ctx, req, info, handler); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(r.pending.lostEver.Load())/float64(b.N), "lost/op")
		})
	}
}
