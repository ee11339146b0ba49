package session_test

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"statehouse.dev/statehouse/client/session"
	pb "statehouse.dev/statehouse/proto/statehouse/v1"
)

// daemon answers GetState with the key that was asked for, by serve, or by itself.
type daemon struct {
	pb.UnimplementedStatehouseServiceServer
	serve func(stream pb.StatehouseService_SessionServer) error // of a session; nil: it knows none

	mu       sync.Mutex
	unary    int
	sessions int
}

func (d *daemon) GetState(_ context.Context, r *pb.GetStateRequest) (*pb.GetStateResponse, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.unary++
	return &pb.GetStateResponse{ValueJson: []byte(r.GetKey())}, nil
}

func (d *daemon) Session(stream pb.StatehouseService_SessionServer) error {
	d.mu.Lock()
	d.sessions++
	d.mu.Unlock()
	if d.serve == nil {
		return d.UnimplementedStatehouseServiceServer.Session(stream)
	}
	return d.serve(stream)
}

func (d *daemon) counts() (unary, sessions int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.unary, d.sessions
}

// connect starts the daemon, and makes a session to it.
func connect(t *testing.T, d *daemon, o session.Options) (*session.Conn, pb.StatehouseServiceClient) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	g := grpc.NewServer()
	pb.RegisterStatehouseServiceServer(g, d)
	go func() { _ = g.Serve(l) }()
	t.Cleanup(g.Stop)
	conn, err := grpc.NewClient(l.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	c := session.New(conn, o)
	t.Cleanup(c.Close)
	return c, pb.NewStatehouseServiceClient(c)
}

func get(ctx context.Context, c pb.StatehouseServiceClient, key string, opts ...grpc.CallOption) (string, error) {
	resp, err := c.GetState(ctx, &pb.GetStateRequest{Key: key}, opts...)
	return string(resp.GetValueJson()), err
}

// keyOf is the key that a request asks for.
func keyOf(t *testing.T, r *pb.SessionRequest) string {
	var q pb.GetStateRequest
	if err := proto.Unmarshal(r.GetRequest(), &q); err != nil || r.GetMethod() != "GetState" {
		t.Errorf("%s is sent as %v: %v", r.GetMethod(), r, err)
	}
	return q.GetKey()
}

func answerTo(r *pb.SessionRequest, value string) *pb.SessionAnswer {
	raw, _ := proto.Marshal(&pb.GetStateResponse{ValueJson: []byte(value)})
	return &pb.SessionAnswer{Id: r.GetId(), Answer: raw}
}

// echo answers each message of requests from the last to the first, in one.
func echo(t *testing.T) func(pb.StatehouseService_SessionServer) error {
	return func(stream pb.StatehouseService_SessionServer) error {
		for {
			m, err := stream.Recv()
			if err != nil {
				return nil
			}
			var out pb.SessionAnswers
			for _, r := range m.GetRequests() {
				if !r.GetCancel() {
					out.Answers = append([]*pb.SessionAnswer{answerTo(r, keyOf(t, r))}, out.Answers...)
				}
			}
			if err := stream.Send(&out); err != nil {
				return nil
			}
		}
	}
}

// Many callers share one stream, and each gets its own answer.
func TestSharing(t *testing.T) {
	d := &daemon{serve: echo(t)}
	_, c := connect(t, d, session.Options{Requests: 7})
	var wg sync.WaitGroup
	for i := range 40 {
		wg.Go(func() {
			for n := range 50 {
				key := strings.Repeat("k", 1+i) + strings.Repeat("n", n*20)
				if got, err := get(t.Context(), c, key); err != nil || got != key {
					t.Errorf("got %q, %v", got, err)
				}
			}
		})
	}
	wg.Wait()
	if unary, sessions := d.counts(); unary != 0 || sessions != 1 {
		t.Errorf("%d calls and %d sessions", unary, sessions)
	}
}

// A daemon that knows no sessions is asked for one once. Who has headers of his own, and what
// whoever watches over a daemon asks, go in none.
func TestWithout(t *testing.T) {
	d := &daemon{}
	_, c := connect(t, d, session.Options{})
	for range 3 {
		if got, err := get(t.Context(), c, "k"); err != nil || got != "k" {
			t.Fatal(got, err)
		}
	}
	if unary, sessions := d.counts(); unary != 3 || sessions != 1 {
		t.Errorf("%d calls and %d sessions", unary, sessions)
	}

	d = &daemon{serve: echo(t)}
	_, c = connect(t, d, session.Options{})
	if _, err := get(metadata.AppendToOutgoingContext(t.Context(), "trace", "1"), c, "k"); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Health(t.Context(), &pb.HealthRequest{}); status.Code(err) != codes.Unimplemented {
		t.Fatal(err)
	}
	if unary, sessions := d.counts(); unary != 1 || sessions != 0 {
		t.Errorf("%d calls and %d sessions", unary, sessions)
	}
}

// A daemon that has no room for a session is asked again after a while.
func TestNoRoom(t *testing.T) {
	d := &daemon{serve: func(pb.StatehouseService_SessionServer) error {
		return status.Error(codes.ResourceExhausted, "the limit of streams is reached")
	}}
	var mu sync.Mutex
	now := time.Now()
	clock := func() time.Time { mu.Lock(); defer mu.Unlock(); return now }
	_, c := connect(t, d, session.Options{Now: clock})
	for range 3 {
		if got, err := get(t.Context(), c, "k"); err != nil || got != "k" {
			t.Fatal(got, err)
		}
	}
	mu.Lock()
	now = now.Add(time.Minute)
	mu.Unlock()
	_, _ = get(t.Context(), c, "k")
	if unary, sessions := d.counts(); unary != 4 || sessions != 2 {
		t.Errorf("%d calls and %d sessions", unary, sessions)
	}
}

// When a session breaks, what was sent fails as sent, what was not as not, whatever the
// stream's own status says. The next request opens another.
func TestBreak(t *testing.T) {
	for name, end := range map[string]error{
		"ended": nil, "refused late": status.Error(codes.FailedPrecondition, "no"), "unavailable": status.Error(codes.Unavailable, "gone"),
	} {
		t.Run(name, func(t *testing.T) {
			broken, queued := false, make(chan struct{}, 3)
			d := &daemon{}
			d.serve = func(stream pb.StatehouseService_SessionServer) error {
				if broken {
					return echo(t)(stream)
				}
				broken = true
				_, err := stream.Recv()
				<-queued
				<-queued
				return errors.Join(end, err)
			}
			_, c := connect(t, d, session.Options{Requests: 1, Await: func(ctx context.Context, ready <-chan struct{}) error {
				queued <- struct{}{} // a request waits, sent or not
				select {
				case <-ready:
					return nil
				case <-ctx.Done():
					return ctx.Err()
				}
			}})
			sent := make(chan bool, 2)
			for range 2 {
				go func() {
					var p peer.Peer
					_, err := get(t.Context(), c, "k", grpc.Peer(&p))
					if status.Code(err) != codes.Unavailable || len(status.Convert(err).Details()) != 0 {
						t.Errorf("got %v", err)
					}
					sent <- p.Addr != nil
				}()
			}
			if a, b := <-sent, <-sent; a == b {
				t.Errorf("both requests, or neither, were sent: %v", a)
			}
			if got, err := get(t.Context(), c, "k"); err != nil || got != "k" {
				t.Error(got, err)
			}
		})
	}
}

// A caller whose context ends is not held up, has its request cancelled, and does not get in
// the way of others: neither does the answer that comes all the same.
func TestCancel(t *testing.T) {
	got := make(chan *pb.SessionRequest, 8)
	d := &daemon{serve: func(stream pb.StatehouseService_SessionServer) error {
		var first *pb.SessionRequest
		for {
			m, err := stream.Recv()
			if err != nil {
				return nil
			}
			for _, r := range m.GetRequests() {
				got <- r
				switch {
				case first == nil:
					first = r
				case r.GetCancel():
					_ = stream.Send(&pb.SessionAnswers{Answers: []*pb.SessionAnswer{answerTo(first, "late"), answerTo(first, "and again")}})
				default:
					_ = stream.Send(&pb.SessionAnswers{Answers: []*pb.SessionAnswer{answerTo(r, keyOf(t, r))}})
				}
			}
		}
	}}
	_, c := connect(t, d, session.Options{Requests: 1})
	ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
	ended := make(chan error, 1)
	var p peer.Peer
	go func() {
		_, err := get(ctx, c, "first", grpc.Peer(&p))
		ended <- err
	}()
	first := <-got
	if us := first.GetTimeoutUs(); us < 3_500_000_000 || us > 3_600_000_000 {
		t.Errorf("its timeout is %d µs", us)
	}
	waiting, leave := context.WithCancel(t.Context())
	leave()
	if _, err := get(waiting, c, "no room"); status.Code(err) != codes.Canceled {
		t.Errorf("got %v", err)
	}
	cancel()
	if err := <-ended; status.Code(err) != codes.Canceled || p.Addr == nil {
		t.Errorf("got %v, peer %v", err, p)
	}
	if r := <-got; !r.GetCancel() || r.GetId() != first.GetId() {
		t.Errorf("got %v, want the cancel of %d", r, first.GetId())
	}
	if answer, err := get(t.Context(), c, "second"); err != nil || answer != "second" {
		t.Errorf("got %q, %v", answer, err)
	}
}

// An error comes with its details.
func TestStatus(t *testing.T) {
	d := &daemon{serve: func(stream pb.StatehouseService_SessionServer) error {
		for {
			m, err := stream.Recv()
			if err != nil {
				return nil
			}
			s, _ := status.New(codes.Aborted, "no").WithDetails(&pb.StatehouseError{Code: pb.ErrorCode_CONFLICT})
			raw, _ := proto.Marshal(s.Proto())
			_ = stream.Send(&pb.SessionAnswers{Answers: []*pb.SessionAnswer{{Id: m.GetRequests()[0].GetId(), Status: raw}}})
		}
	}}
	_, c := connect(t, d, session.Options{})
	_, err := get(t.Context(), c, "k")
	s := status.Convert(err)
	if s.Code() != codes.Aborted || s.Message() != "no" || len(s.Details()) != 1 {
		t.Errorf("got %v with %v", err, s.Details())
	}
}

// A daemon that does not read stops callers, who leave when their contexts end, and no
// goroutine of theirs stays behind in the stream.
func TestNotRead(t *testing.T) {
	release := make(chan struct{})
	d := &daemon{serve: func(stream pb.StatehouseService_SessionServer) error {
		<-release
		return io.ErrUnexpectedEOF
	}}
	_, c := connect(t, d, session.Options{})
	defer close(release)
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	var wg sync.WaitGroup
	began := time.Now()
	for range 20 {
		wg.Go(func() {
			if _, err := get(ctx, c, strings.Repeat("x", 100<<10)); status.Code(err) != codes.DeadlineExceeded {
				t.Errorf("got %v", err)
			}
		})
	}
	wg.Wait()
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("callers were held up for %v", took)
	}
}

// Close ends the session, and calls go on without.
func TestClose(t *testing.T) {
	d := &daemon{serve: echo(t)}
	conn, c := connect(t, d, session.Options{})
	if _, err := get(t.Context(), c, "k"); err != nil {
		t.Fatal(err)
	}
	conn.Close()
	if _, err := get(t.Context(), c, "k"); err != nil {
		t.Fatal(err)
	}
	if unary, _ := d.counts(); unary != 1 {
		t.Errorf("%d calls", unary)
	}
}
