package server

import (
	"context"
	"fmt"
	"net"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"

	"statehouse.dev/statehouse/engine"
	pb "statehouse.dev/statehouse/proto/statehouse/v1"
)

// BenchmarkGetState is one small read through gRPC and all that a request passes, client
// included.
func BenchmarkGetState(b *testing.B) {
	c := benchClient(b)
	req := &pb.GetStateRequest{AgentId: "a", Key: "k", Encoding: asJSON}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.GetState(b.Context(), req); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkReplay is a stream of 1,000 small messages.
func BenchmarkReplay(b *testing.B) {
	c := benchClient(b)
	for i := range 999 {
		if _, err := c.Transact(b.Context(), &pb.TransactRequest{TxnId: fmt.Sprint("t", i), Operations: []*pb.TransactOperation{set("", "a", "k", `{"n":1}`)}}); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportAllocs()
	for b.Loop() {
		stream, err := c.Replay(b.Context(), &pb.ReplayRequest{AgentId: "a", Encoding: asJSON})
		if err != nil {
			b.Fatal(err)
		}
		for range 1000 {
			if _, err := stream.Recv(); err != nil {
				b.Fatal(err)
			}
		}
	}
}

func benchClient(b *testing.B) pb.StatehouseServiceClient {
	b.Helper()
	_, c := benchService(b, Config{})
	return c
}

func benchService(b *testing.B, config Config) (*Service, pb.StatehouseServiceClient) {
	b.Helper()
	config.Engine.Dir = "/data"
	service, err := Assemble(engine.MemoryEnv(func(err error) { b.Error(err) }, nil), config)
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
	conn, err := grpc.NewClient("passthrough:///"+l.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		_ = conn.Close()
		stop()
		<-served
		_ = service.Close()
	})
	c := pb.NewStatehouseServiceClient(conn)
	first := metadata.AppendToOutgoingContext(context.Background(), "authorization", "Bearer "+config.Token)
	if _, err := c.Transact(first, &pb.TransactRequest{TxnId: "first", Operations: []*pb.TransactOperation{set("", "a", "k", `{"n":1}`)}}); err != nil {
		b.Fatal(err)
	}
	return service, c
}
