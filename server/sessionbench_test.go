package server

import (
	"context"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/proto"

	pb "statehouse.dev/statehouse/proto/statehouse/v1"
)

// BenchmarkSession compares a request in a session, a unary call, and a unary call of a
// server that does nothing, in messages of the same size: 64 callers on one connection, each
// with one request at a time. What counts is cpu-ns/op, of client and server together: as
// ratios to no-op, from runs in turn.
//
//	go test ./server -run '^$' -bench BenchmarkSession -count 5
func BenchmarkSession(b *testing.B) {
	c := benchClient(b)
	value := fmt.Sprintf(`{"note":%q}`, strings.Repeat("x", 245))
	for i := range 1000 {
		op := set("bench", "agent", fmt.Sprint("key-", i), value)
		if _, err := c.Transact(b.Context(), &pb.TransactRequest{TxnId: fmt.Sprint("seed-", i), Operations: []*pb.TransactOperation{op}}); err != nil {
			b.Fatal(err)
		}
	}
	var n atomic.Uint64
	read := func() proto.Message {
		return &pb.GetStateRequest{Namespace: "bench", AgentId: "agent", Key: fmt.Sprint("key-", n.Add(1)%1000), Encoding: asJSON}
	}
	prefix := fmt.Sprint(b.N, "-")
	commit := func() proto.Message {
		i := n.Add(1)
		op := set("bench", fmt.Sprint("agent-", i%64), fmt.Sprint("key-", i), value)
		return &pb.TransactRequest{TxnId: fmt.Sprint("bench-", prefix, i), Operations: []*pb.TransactOperation{op}}
	}
	noop := noopClient(b)
	b.Run("noop/read", func(b *testing.B) { benchUnary(b, noop, "GetState", read) })
	b.Run("unary/read", func(b *testing.B) { benchUnary(b, c, "GetState", read) })
	b.Run("session/read", func(b *testing.B) { benchSession(b, c, "GetState", read) })
	b.Run("noopsession/read", func(b *testing.B) { benchSession(b, noop, "GetState", read) })
	b.Run("noop/commit", func(b *testing.B) { benchUnary(b, noop, "Transact", commit) })
	b.Run("unary/commit", func(b *testing.B) { benchUnary(b, c, "Transact", commit) })
	b.Run("session/commit", func(b *testing.B) { benchSession(b, c, "Transact", commit) })
}

const benchCallers = 64

// inTurn runs op b.N times on benchCallers goroutines, and measures.
func inTurn(b *testing.B, op func() error) {
	b.ReportAllocs()
	b.ResetTimer()
	before := processorTime(b)
	var left atomic.Int64
	left.Store(int64(b.N))
	var callers sync.WaitGroup
	for range benchCallers {
		callers.Go(func() {
			for left.Add(-1) >= 0 {
				if err := op(); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	callers.Wait()
	b.ReportMetric(float64(processorTime(b)-before)/float64(b.N), "cpu-ns/op")
}

func benchUnary(b *testing.B, c pb.StatehouseServiceClient, method string, request func() proto.Message) {
	inTurn(b, func() error {
		var err error
		if m := request(); method == "GetState" {
			_, err = c.GetState(context.Background(), m.(*pb.GetStateRequest))
		} else {
			_, err = c.Transact(context.Background(), m.(*pb.TransactRequest))
		}
		return err
	})
}

// benchSession is a client that does what it must: callers queue requests, one goroutine
// sends what is there, one reads.
func benchSession(b *testing.B, c pb.StatehouseServiceClient, method string, request func() proto.Message) {
	k := silentOn(b, c)
	defer k.cancel()
	var mu sync.Mutex
	var queue []*pb.SessionRequest
	var slots [benchCallers]chan []byte
	free := make(chan int, benchCallers)
	for i := range slots {
		slots[i] = make(chan []byte, 1)
		free <- i
	}
	more := make(chan struct{}, 1)
	stop := make(chan struct{})
	defer close(stop)
	go func() {
		for {
			select {
			case <-more:
			case <-stop:
				return
			}
			mu.Lock()
			batch := queue
			queue = nil
			mu.Unlock()
			if err := k.stream.Send(&pb.SessionRequests{Requests: batch}); err != nil {
				return
			}
		}
	}()
	go func() {
		for {
			m, err := k.stream.Recv()
			if err != nil {
				return
			}
			for _, a := range m.Answers {
				if a.Status != nil {
					slots[a.Id-1] <- nil
				} else {
					slots[a.Id-1] <- a.Answer
				}
			}
		}
	}()
	inTurn(b, func() error {
		i := <-free
		raw, err := proto.Marshal(request())
		if err != nil {
			return err
		}
		mu.Lock()
		queue = append(queue, &pb.SessionRequest{Id: uint64(i + 1), Method: method, Request: raw})
		mu.Unlock()
		select {
		case more <- struct{}{}:
		default:
		}
		raw = <-slots[i]
		free <- i
		if raw == nil {
			return fmt.Errorf("%s was refused", method)
		}
		if method == "GetState" {
			return proto.Unmarshal(raw, &pb.GetStateResponse{})
		}
		return proto.Unmarshal(raw, &pb.TransactResponse{})
	})
}

// noop answers with as many bytes as the service does, and does nothing.
type noop struct {
	pb.UnimplementedStatehouseServiceServer
	state pb.GetStateResponse
	done  pb.TransactResponse
}

func (n *noop) GetState(context.Context, *pb.GetStateRequest) (*pb.GetStateResponse, error) {
	return &n.state, nil
}

func (n *noop) Transact(context.Context, *pb.TransactRequest) (*pb.TransactResponse, error) {
	return &n.done, nil
}

// Session is the least that a server of sessions can do.
func (n *noop) Session(stream pb.StatehouseService_SessionServer) error {
	raw, err := proto.Marshal(&n.state)
	if err != nil {
		return err
	}
	for {
		m, err := stream.Recv()
		if err != nil {
			return err
		}
		out := &pb.SessionAnswers{Answers: make([]*pb.SessionAnswer, len(m.Requests))}
		for i, r := range m.Requests {
			out.Answers[i] = &pb.SessionAnswer{Id: r.Id, Answer: raw}
		}
		if err := stream.Send(out); err != nil {
			return err
		}
	}
}

func noopClient(b *testing.B) pb.StatehouseServiceClient {
	b.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	g := grpc.NewServer(grpc.NumStreamWorkers(streamWorkers))
	n := &noop{}
	n.state.ValueJson = []byte(strings.Repeat("x", 256))
	n.done.Versions = []uint64{1}
	pb.RegisterStatehouseServiceServer(g, n)
	go func() { _ = g.Serve(l) }()
	conn, err := grpc.NewClient("passthrough:///"+l.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		_ = conn.Close()
		g.Stop()
	})
	return pb.NewStatehouseServiceClient(conn)
}
