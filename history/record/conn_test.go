package record

import (
	"context"
	"errors"
	"io"
	"sync"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"statehouse.dev/statehouse/history"
	pb "statehouse.dev/statehouse/proto/statehouse/v1"
)

// ticks is a clock that moves at each look.
type ticks struct {
	mu  sync.Mutex
	now int64
}

func (c *ticks) read() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now++
	return c.now
}

// script is a connection that answers what it is told to.
type script struct {
	clock  *ticks
	answer func(method string, req any) (proto.Message, error)
	sent   int64 // the time at which the last request was sent
	stream []proto.Message
	end    error
}

func (s *script) Invoke(_ context.Context, method string, req, resp any, _ ...grpc.CallOption) error {
	s.sent = s.clock.read()
	m, err := s.answer(method, req)
	if err == nil {
		proto.Merge(resp.(proto.Message), m)
	}
	return err
}

func (s *script) NewStream(context.Context, *grpc.StreamDesc, string, ...grpc.CallOption) (grpc.ClientStream, error) {
	return &scriptStream{script: s}, nil
}

type scriptStream struct {
	grpc.ClientStream
	script *script
	at     int
}

func (s *scriptStream) SendMsg(any) error { s.script.sent = s.script.clock.read(); return nil }
func (s *scriptStream) CloseSend() error  { return nil }

func (s *scriptStream) RecvMsg(m any) error {
	if s.at == len(s.script.stream) {
		return s.script.end
	}
	proto.Merge(m.(proto.Message), s.script.stream[s.at])
	s.at++
	return nil
}

func rig() (*Recorder, *script, pb.StatehouseServiceClient) {
	clock := &ticks{}
	s := &script{clock: clock, end: io.EOF}
	r := NewRecorder(clock.read)
	return r, s, pb.NewStatehouseServiceClient(r.Conn("c1", s))
}

func refusal(code codes.Code, d *pb.StatehouseError) error {
	s, err := status.New(code, d.GetMessage()).WithDetails(d)
	if err != nil {
		panic(err)
	}
	return s.Err()
}

func TestRecordsAnswersAndRefusals(t *testing.T) {
	r, s, c := rig()
	req := &pb.TransactRequest{TxnId: "t1", Operations: []*pb.TransactOperation{{AgentId: "a", Key: "k", ValueJson: []byte(`{}`)}}}
	answers := []struct {
		err     error
		outcome history.Outcome
		code    string
	}{
		{nil, history.OK, ""},
		{refusal(codes.Aborted, &pb.StatehouseError{Code: pb.ErrorCode_CONFLICT, Message: "no"}), history.Fail, "CONFLICT"},
		{refusal(codes.Unavailable, &pb.StatehouseError{Code: pb.ErrorCode_OUTCOME_UNKNOWN, MaybeApplied: true}), history.Unknown, "OUTCOME_UNKNOWN"},
		{status.Error(codes.Unavailable, "gone"), history.Unknown, "unavailable"},
		{context.DeadlineExceeded, history.Unknown, "unknown"},
	}
	for i, a := range answers {
		s.answer = func(string, any) (proto.Message, error) {
			return &pb.TransactResponse{CommitTs: 7, Versions: []uint64{3}}, a.err
		}
		_, err := c.Transact(t.Context(), req)
		if !errors.Is(err, a.err) && status.Code(err) != status.Code(a.err) {
			t.Errorf("%d: the error becomes %v", i, err)
		}
		ops := r.History().Operations
		op := ops[len(ops)-1]
		if op.ID != i+1 || op.Kind != history.Transact || op.Client != "c1" || op.In.TxnID != "t1" || op.In.Writes[0].Namespace != "default" {
			t.Errorf("%d: recorded as %+v", i, op)
		}
		if op.Outcome != a.outcome || a.code != "" && op.Error.Code != a.code || a.code == "" && op.Error != nil {
			t.Errorf("%d: outcome %s, %+v", i, op.Outcome, op.Error)
		}
		if !(op.Call < s.sent && s.sent < op.Return) {
			t.Errorf("%d: called at %d, sent at %d, returned at %d", i, op.Call, s.sent, op.Return)
		}
		if a.err == nil && (op.Out.CommitTS != 7 || op.Out.Versions[0].Version != 3 || op.Out.Versions[0].Key != "k") {
			t.Errorf("%d: answered %+v", i, op.Out)
		}
	}
	if n, acked := r.Counts(); n != len(answers) || acked != 1 {
		t.Errorf("%d operations, %d acknowledged", n, acked)
	}
}

// A page token leads to the operation of this client that it was last given by.
func TestRecordsPages(t *testing.T) {
	r, s, c := rig()
	s.answer = func(_ string, req any) (proto.Message, error) {
		if req.(*pb.ListKeysRequest).GetPageToken() == "p2" {
			return &pb.ListKeysResponse{Keys: []string{"c"}}, nil
		}
		return &pb.ListKeysResponse{Keys: []string{"a", "b"}, NextPageToken: "p2"}, nil
	}
	list := func(token string) {
		if _, err := c.ListKeys(t.Context(), &pb.ListKeysRequest{AgentId: "a", PageToken: token}); err != nil {
			t.Fatal(err)
		}
	}
	list("")
	list("p2")
	list("")
	list("p2")
	other := pb.NewStatehouseServiceClient(r.Conn("c2", s))
	if _, err := other.ListKeys(t.Context(), &pb.ListKeysRequest{AgentId: "a", PageToken: "p2"}); err != nil {
		t.Fatal(err)
	}
	for i, want := range []int{0, 1, 0, 3, 0} {
		if got := r.History().Operations[i].In.PageOf; got != want {
			t.Errorf("operation %d continues %d, want %d", i+1, got, want)
		}
	}
}

func TestRecordsStreams(t *testing.T) {
	r, s, c := rig()
	event := func(ts uint64) *pb.ReplayEvent {
		return &pb.ReplayEvent{CommitTs: ts, TxnId: "t", Operations: []*pb.Operation{{Namespace: "default", AgentId: "a", Key: "k", Version: ts}}}
	}
	s.stream = []proto.Message{&pb.EventBatch{Events: []*pb.ReplayEvent{event(1), event(2)}, Cursor: 2}, &pb.EventBatch{Cursor: 5}}
	read := func(n int) {
		w, err := c.Watch(t.Context(), &pb.WatchRequest{AllAgents: true, AfterTs: new(uint64)})
		if err != nil {
			t.Fatal(err)
		}
		for range n {
			_, _ = w.Recv() // what it is told is looked at in the history
		}
	}
	read(1) // and leave it
	read(3) // to its end
	s.end = status.Error(codes.Unavailable, "gone")
	read(3)
	ops := r.History().Operations
	for i, want := range []struct {
		batches int
		outcome history.Outcome
		ended   bool
	}{{1, history.Unknown, false}, {2, history.OK, true}, {2, history.Unknown, true}} {
		op := ops[i]
		if op.Kind != history.Watch || len(op.Batches) != want.batches || op.Outcome != want.outcome || (op.Return != 0) != want.ended || op.In.From == nil {
			t.Errorf("stream %d: %+v", i+1, op)
		}
		if b := op.Batches[0]; len(b.Events) != 2 || b.Cursor != 2 || b.Time <= op.Call || b.Events[1].Ops[0].Version != 2 {
			t.Errorf("stream %d: batch %+v", i+1, b)
		}
	}
}

// What is not an operation passes through.
func TestRecordsOnlyOperations(t *testing.T) {
	r, s, c := rig()
	s.answer = func(string, any) (proto.Message, error) { return &pb.HealthResponse{}, nil }
	if _, err := c.Health(t.Context(), &pb.HealthRequest{}); err != nil {
		t.Fatal(err)
	}
	r.Note("daemon", "kill", "now")
	h := r.History()
	if len(h.Operations) != 0 || len(h.Notes) != 1 || h.Notes[0].Time <= s.sent || h.Header.Unit != "ns" {
		t.Errorf("%+v", h)
	}
}

// Ids and times of calls rise together, whoever calls.
func TestRecordsConcurrentCalls(t *testing.T) {
	clock := &ticks{}
	r := NewRecorder(clock.read)
	var clients sync.WaitGroup
	for range 8 {
		clients.Go(func() {
			s := &script{clock: clock, answer: func(string, any) (proto.Message, error) { return &pb.GetStateResponse{ReadTs: 1}, nil }}
			c := pb.NewStatehouseServiceClient(r.Conn("c", s))
			for range 200 {
				_, _ = c.GetState(context.Background(), &pb.GetStateRequest{AgentId: "a", Key: "k"})
				_ = r.History()
			}
		})
	}
	clients.Wait()
	last := int64(0)
	for i, op := range r.History().Operations {
		if op.ID != i+1 || op.Call <= last || op.Return <= op.Call || op.Outcome != history.OK {
			t.Fatalf("operation %d: %+v after a call at %d", i+1, op, last)
		}
		last = op.Call
	}
}

// TestRecordsWhatIsNoText: a value that is not UTF-8 is refused by a daemon, and written down nevertheless: the line
// would have no place in the file of a history, and everything after it would be lost.
func TestRecordsWhatIsNoText(t *testing.T) {
	r, s, c := rig()
	s.answer = func(string, any) (proto.Message, error) {
		return nil, refusal(codes.InvalidArgument, &pb.StatehouseError{Code: pb.ErrorCode_INVALID_REQUEST})
	}
	const bad = "{\"\xa2\":1}"
	_, _ = c.Write(t.Context(), &pb.WriteRequest{TxnId: "t", AgentId: "a", Key: "k", ValueJson: []byte(bad)})
	_, _ = c.Transact(t.Context(), &pb.TransactRequest{TxnId: "u", Operations: []*pb.TransactOperation{
		{AgentId: "a", Key: "k", ValueJson: []byte(bad)},
		{AgentId: "a", Key: "k", MergeJson: []byte(bad)},
		{AgentId: "a", Key: "k", Put: &pb.Put{ValueJson: []byte(bad)}},
	}})
	ops := r.History().Operations
	values := []string{ops[0].In.Value}
	for _, w := range ops[1].In.Writes {
		values = append(values, w.Value)
	}
	for i, v := range values {
		if _, data, ok := history.AsBytes(v); !ok || string(data) != bad {
			t.Errorf("%d: recorded as %q", i, v)
		}
	}
	if err := r.History().Write(io.Discard); err != nil {
		t.Error(err)
	}
}
