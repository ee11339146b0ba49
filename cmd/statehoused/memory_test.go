package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"

	pb "statehouse.dev/statehouse/proto/statehouse/v1"
)

// crowd is everybody who does what a limit is for, at once, until it is stopped.
type crowd struct {
	t       *testing.T
	d       *daemon
	ctx     context.Context
	all     sync.WaitGroup
	mu      sync.Mutex
	conns   []*grpc.ClientConn
	refused map[string]int // by what was refused
	other   []error        // any other error
	served  atomic.Int64
}

// note counts how a call ended. A refusal must say which limit it is about.
func (c *crowd) note(what string, err error) (more bool) {
	if c.ctx.Err() != nil {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case err == nil:
		c.served.Add(1)
	case status.Code(err) == codes.ResourceExhausted && detail(err) == pb.ErrorCode_LIMIT_EXCEEDED && strings.Contains(err.Error(), "limit"):
		c.refused[what]++
	case detail(err) == pb.ErrorCode_OVERLOADED: // it has waited too long for its turn
		c.refused["overload"]++
	case detail(err) == pb.ErrorCode_TXN_EXPIRED: // on a machine that has much else to do
	case gone(err): // a connection that did not read, closed for those who do
	default:
		c.other = append(c.other, fmt.Errorf("%s: %w", what, err))
	}
	return len(c.other) < 10
}

// wasRefused reports whether any of some kinds met its limit.
func (c *crowd) wasRefused(kinds ...string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.ContainsFunc(kinds, func(what string) bool { return c.refused[what] > 0 })
}

func (c *crowd) dial() *grpc.ClientConn {
	// Windows that do not grow, so that what is not read is not taken either.
	conn := c.d.dial(grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithStaticStreamWindowSize(64<<10), grpc.WithStaticConnWindowSize(1<<20))
	c.mu.Lock()
	defer c.mu.Unlock()
	c.conns = append(c.conns, conn)
	return conn
}

// leave opens n streams of a method, 20 on each connection, and never reads them.
func (c *crowd) leave(n int, method string, req proto.Message) {
	const perConn = 20
	for range n / perConn {
		conn := c.dial()
		c.all.Go(func() {
			for range perConn {
				if !c.note("unread "+method, c.open(conn, method, req)) {
					return
				}
			}
		})
	}
}

// open begins a call and waits until its answer has begun, or is an error.
func (c *crowd) open(conn *grpc.ClientConn, method string, req proto.Message) error {
	s, err := conn.NewStream(c.ctx, &grpc.StreamDesc{ServerStreams: true}, "/statehouse.v1.StatehouseService/"+method)
	if err == nil {
		err = errors.Join(s.SendMsg(req), s.CloseSend())
	}
	if err == nil {
		if md, _ := s.Header(); len(md) == 0 { // a refusal comes without headers
			err = s.RecvMsg(&pb.EventBatch{})
		}
	}
	return err
}

// again does something over and over, n times at once.
func (c *crowd) again(n int, what string, do func(s pb.StatehouseServiceClient, i int) error) {
	for i := range n {
		s := pb.NewStatehouseServiceClient(c.dial())
		c.all.Go(func() {
			for j := 0; c.ctx.Err() == nil; j++ {
				if !c.note(what, do(s, i*1_000_000+j)) {
					return
				}
			}
		})
	}
}

// readMuch reads 10,000 absent keys of 1,000 bytes in a transaction, and leaves it open.
func (c *crowd) readMuch(s pb.StatehouseServiceClient, i int) error {
	begun, err := s.BeginTransaction(c.ctx, &pb.BeginTransactionRequest{})
	if err != nil {
		return err
	}
	for j := range 10 {
		req := &pb.BatchGetStateRequest{TxnId: begun.TxnId}
		for k := range 1000 {
			req.Names = append(req.Names, &pb.RecordName{AgentId: "a", Key: fmt.Sprintf("%d/%d/%d/%s", i, j, k, strings.Repeat("k", 990))})
		}
		if _, err := s.BatchGetState(c.ctx, req); err != nil {
			return err
		}
	}
	return nil
}

func (c *crowd) stageMuch(s pb.StatehouseServiceClient, _ int) error {
	begun, err := s.BeginTransaction(c.ctx, &pb.BeginTransactionRequest{})
	for i := 0; err == nil && i < 3; i++ {
		_, err = s.Write(c.ctx, &pb.WriteRequest{TxnId: begun.TxnId, AgentId: "staged", Key: fmt.Sprint(i), ValueJson: sized(1 << 20)})
	}
	return err
}

func sized(n int) []byte { return fmt.Appendf(nil, `{"v":%q}`, strings.Repeat("x", n-8)) }

// fillForMemory writes what is read and replayed: 36 MB, some of it in large events.
func (d *daemon) fillForMemory() {
	d.t.Helper()
	for i := range 60 {
		ops := []*pb.TransactOperation{put("large", fmt.Sprint(i%5), string(sized(600_000)))}
		for j := range 20 {
			ops = append(ops, put("small", fmt.Sprint(j), string(sized(300))))
		}
		if _, err := d.Transact(call(d.t), &pb.TransactRequest{TxnId: fmt.Sprint("setup-", i), Operations: ops}); err != nil {
			d.t.Fatal(err)
		}
	}
}

// start begins everything that there are limits for.
func (c *crowd) start() {
	json := pb.ValueEncoding_VALUE_ENCODING_JSON
	c.leave(200, "ScanPrefix", &pb.ScanPrefixRequest{AgentId: "large", Encoding: json})
	c.leave(200, "Replay", &pb.ReplayRequest{AgentId: "small"})
	c.leave(200, "Replay", &pb.ReplayRequest{AgentId: "large", Encoding: json})
	c.leave(200, "ReplayBatches", &pb.ReplayRequest{AllAgents: true, Encoding: json})
	c.leave(200, "Watch", &pb.WatchRequest{AgentId: "small", AfterTs: new(uint64)})
	c.leave(200, "Watch", &pb.WatchRequest{AllAgents: true, Encoding: json})
	c.sessions(256)
	c.again(4, "reads of transactions", c.readMuch)
	c.again(4, "staged", c.stageMuch)
	c.again(64, "commits", func(s pb.StatehouseServiceClient, i int) error {
		_, err := s.Transact(c.ctx, &pb.TransactRequest{TxnId: fmt.Sprint("load-", i), Operations: []*pb.TransactOperation{put("load", fmt.Sprint(i%50), string(sized(500_000)))}})
		return err
	})
	c.again(32, "scans", func(s pb.StatehouseServiceClient, _ int) error {
		_, err := s.ScanPrefix(c.ctx, &pb.ScanPrefixRequest{AgentId: "large"})
		return err
	})
	c.again(32, "large Structs", func(s pb.StatehouseServiceClient, i int) error {
		list := make([]*structpb.Value, 50_000)
		for j := range list {
			list[j] = structpb.NewNumberValue(1)
		}
		v := &structpb.Struct{Fields: map[string]*structpb.Value{"n": structpb.NewListValue(&structpb.ListValue{Values: list})}}
		_, err := s.Transact(c.ctx, &pb.TransactRequest{TxnId: fmt.Sprint("struct-", i), Operations: []*pb.TransactOperation{{AgentId: "load", Key: "struct", Value: v}}})
		if err == nil {
			_, err = s.GetState(c.ctx, &pb.GetStateRequest{AgentId: "load", Key: "struct"})
		}
		return err
	})
}

// TestMemoryIsBounded does at once, and more of it than is allowed, all that a daemon's
// limits at their defaults are for: answers, replays and watches that nobody reads,
// transactions that read or stage as much as they may, commits that queue up, large
// values in both encodings. Its memory stays within --memory-limit-mb, refusals name
// their limit, and others are served (G9).
func TestMemoryIsBounded(t *testing.T) {
	const limitMB = 512
	d := start(t, t.TempDir()+"/data", fmt.Sprint("--memory-limit-mb=", limitMB), "--disk-reserve-mb=1", "--fsync-on-commit=false")
	d.fillForMemory()
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	c := &crowd{t: t, d: d, ctx: ctx, refused: map[string]int{}}
	c.start()
	// Somebody else, who does nothing of the kind, until the limits are reached, and a while.
	begin, slowest := time.Now(), time.Duration(0)
	for reached := false; !reached || time.Since(begin) < 6*time.Second; time.Sleep(20 * time.Millisecond) {
		if _, err := d.Health(call(t), &pb.HealthRequest{}); err != nil {
			t.Errorf("health in the crowd: %v", err)
		}
		asked := time.Now()
		if _, err := d.GetState(call(t), &pb.GetStateRequest{AgentId: "small", Key: "1"}); err != nil {
			t.Errorf("a small read in the crowd: %v", err)
		}
		slowest = max(slowest, time.Since(asked))
		reached = c.wasRefused("unread ScanPrefix", "unread Replay", "unread ReplayBatches") && c.wasRefused("reads of transactions", "staged")
		if time.Since(begin) > 3*patience { // other tests have the processors, too
			t.Fatal("no refusals of what is not read, or of what transactions hold: this is not about their limits")
		}
	}
	peak := d.memory("VmHWM")
	stop()
	for _, conn := range c.conns {
		_ = conn.Close()
	}
	c.all.Wait()
	t.Logf("peak %d MiB, now %d MiB, %d served, a small read after %v at most, refused: %v", peak>>20, d.memory("VmRSS")>>20, c.served.Load(), slowest, c.refused)
	for _, err := range c.other {
		t.Error(err)
	}
	if peak > limitMB<<20*12/10 && !raceEnabled {
		t.Errorf("the peak is %d MiB, the limit %d", peak>>20, limitMB)
	}
	if _, err := d.Transact(call(t), &pb.TransactRequest{TxnId: "after", Operations: []*pb.TransactOperation{put("a", "k", `{}`)}}); err != nil {
		t.Errorf("afterwards: %v", err)
	}
	d.terminate()
}
