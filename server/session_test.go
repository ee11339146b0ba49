package server

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	spb "google.golang.org/genproto/googleapis/rpc/status"

	pb "statehouse.dev/statehouse/proto/statehouse/v1"
)

// talk is a session as a client has it: a goroutine reads answers and hands each to who
// asked.
type talk struct {
	t      testing.TB
	stream pb.StatehouseService_SessionClient
	cancel context.CancelFunc

	sending sync.Mutex // gRPC lets one send at a time

	mu      sync.Mutex
	last    uint64
	waiting map[uint64]chan *pb.SessionAnswer
	err     error // with which it ended
	ended   chan struct{}
}

// talk opens a session.
func (r *rig) talk() *talk { return talkOn(r.t, r.StatehouseServiceClient) }

func talkOn(t testing.TB, c pb.StatehouseServiceClient) *talk {
	t.Helper()
	k := silentOn(t, c)
	go k.read()
	return k
}

// silentOn opens a session whose answers are not read.
func silentOn(t testing.TB, c pb.StatehouseServiceClient) *talk {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	stream, err := c.Session(ctx, grpc.MaxCallRecvMsgSize(maxRequestBytes+frameSlack), grpc.MaxCallSendMsgSize(maxRequestBytes+frameSlack))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cancel)
	return newTalk(t, stream, cancel)
}

func newTalk(t testing.TB, stream pb.StatehouseService_SessionClient, cancel context.CancelFunc) *talk {
	return &talk{t: t, stream: stream, cancel: cancel, waiting: make(map[uint64]chan *pb.SessionAnswer), ended: make(chan struct{})}
}

func (k *talk) read() {
	defer close(k.ended)
	for {
		m, err := k.stream.Recv()
		k.mu.Lock()
		if err != nil {
			k.err = err
			for _, w := range k.waiting {
				close(w)
			}
			k.mu.Unlock()
			return
		}
		for _, a := range m.Answers {
			if w := k.waiting[a.Id]; w != nil {
				delete(k.waiting, a.Id)
				w <- a
			} else {
				k.t.Errorf("an answer to %d, which does not wait", a.Id)
			}
		}
		k.mu.Unlock()
	}
}

// request is a request with an id of its own, of which wait waits for the answer.
func (k *talk) request(method string, m proto.Message) *pb.SessionRequest {
	k.t.Helper()
	raw, err := proto.Marshal(m)
	if err != nil {
		k.t.Fatal(err)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.last++
	k.waiting[k.last] = make(chan *pb.SessionAnswer, 1)
	return &pb.SessionRequest{Id: k.last, Method: method, Request: raw}
}

func (k *talk) send(requests ...*pb.SessionRequest) {
	k.t.Helper()
	k.sending.Lock()
	defer k.sending.Unlock()
	if err := k.stream.Send(&pb.SessionRequests{Requests: requests}); err != nil {
		k.t.Errorf("a frame: %v", err)
	}
}

// answer waits for the answer to a request, and says what a call would.
func (k *talk) answerTo(waiting <-chan *pb.SessionAnswer, into proto.Message) error {
	k.t.Helper()
	select {
	case a := <-waiting:
		switch {
		case a == nil:
			return k.err
		case len(a.Status) > 0:
			s := &spb.Status{}
			if err := proto.Unmarshal(a.Status, s); err != nil {
				return err
			}
			return status.FromProto(s).Err()
		}
		return proto.Unmarshal(a.Answer, into)
	case <-time.After(patience):
		return fmt.Errorf("no answer within %v", patience)
	}
}

func (k *talk) waits(r *pb.SessionRequest) <-chan *pb.SessionAnswer {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.waiting[r.Id]
}

// call is one request in a frame of its own.
func (k *talk) call(method string, m, into proto.Message) error {
	k.t.Helper()
	r := k.request(method, m)
	w := k.waits(r)
	k.send(r)
	return k.answerTo(w, into)
}

// end waits for the end of the session, and says which.
func (k *talk) end() error {
	k.t.Helper()
	select {
	case <-k.ended:
		return k.err
	case <-time.After(patience):
		return fmt.Errorf("the session does not end within %v", patience)
	}
}

func TestSession(t *testing.T) {
	r := newRig(t)
	k := r.talk()
	defer k.cancel()
	var done pb.TransactResponse
	if err := k.call("Transact", &pb.TransactRequest{TxnId: "one", Operations: []*pb.TransactOperation{set("", "a", "k", `{"n":1}`)}}, &done); err != nil || done.CommitTs != 1 {
		t.Fatalf("%v %v", &done, err)
	}
	var got pb.GetStateResponse
	if err := k.call("GetState", &pb.GetStateRequest{AgentId: "a", Key: "k", Encoding: asJSON}, &got); err != nil || string(got.ValueJson) != `{"n":1}` {
		t.Fatalf("%v %v", &got, err)
	}
	var st pb.GetStatusResponse
	if err := k.call("GetStatus", &pb.GetStatusRequest{}, &st); err != nil || st.Sessions != 1 || st.SessionRequests != 1 {
		t.Errorf("status: %v %v", &st, err)
	}
	if err := k.call("Watch", &pb.WatchRequest{}, &got); status.Code(err) != codes.Unimplemented {
		t.Errorf("a stream: %v", err)
	}
	if err := k.call("None", &pb.WatchRequest{}, &got); status.Code(err) != codes.Unimplemented {
		t.Errorf("an unknown method: %v", err)
	}
	if err := k.stream.CloseSend(); err != nil {
		t.Fatal(err)
	}
	if err := k.end(); err.Error() != "EOF" {
		t.Errorf("the end: %v", err)
	}
}
