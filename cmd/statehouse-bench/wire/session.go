package wire

import (
	"context"
	"path"
	"runtime"
	"sync"

	spb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	pb "statehouse.dev/statehouse/proto/statehouse/v1"
)

// Session is a connection whose unary calls go over one session stream. It does no more
// than the contract needs: that of the Go client also bounds, cancels and breaks well.
type Session struct {
	grpc.ClientConnInterface // streams go over the connection itself
	stream                   grpc.BidiStreamingClient[pb.SessionRequests, pb.SessionAnswers]
	end                      context.CancelFunc

	mu      sync.Mutex
	id      uint64
	sending bool
	pending []*pb.SessionRequest
	waiting map[uint64]chan *pb.SessionAnswer
	broken  error
}

// NewSession opens a session over a connection. A server that knows of none says so to
// the first call. Close ends it.
func NewSession(ctx context.Context, conn grpc.ClientConnInterface) (*Session, error) {
	ctx, cancel := context.WithCancel(ctx)
	stream, err := pb.NewStatehouseServiceClient(conn).Session(ctx)
	if err != nil {
		cancel()
		return nil, err
	}
	s := &Session{ClientConnInterface: conn, stream: stream, end: cancel, waiting: make(map[uint64]chan *pb.SessionAnswer)}
	go s.receive()
	return s, nil
}

// Close ends the session.
func (s *Session) Close() { s.end() }

// Invoke makes a call of the session.
func (s *Session) Invoke(ctx context.Context, method string, args, reply any, _ ...grpc.CallOption) error {
	text, err := proto.Marshal(args.(proto.Message))
	if err != nil {
		return err
	}
	answered := make(chan *pb.SessionAnswer, 1)
	if err := s.send(&pb.SessionRequest{Method: path.Base(method), Request: text}, answered); err != nil {
		return err
	}
	select {
	case a := <-answered:
		return s.decode(a, reply.(proto.Message))
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *Session) decode(a *pb.SessionAnswer, reply proto.Message) error {
	if a == nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.broken
	}
	if len(a.GetStatus()) == 0 {
		return proto.Unmarshal(a.GetAnswer(), reply)
	}
	var st spb.Status
	if err := proto.Unmarshal(a.GetStatus(), &st); err != nil {
		return err
	}
	return status.ErrorProto(&st)
}

// send has the request sent, with all that callers have by then: by this caller, or by
// one that is sending already.
func (s *Session) send(req *pb.SessionRequest, answered chan *pb.SessionAnswer) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.broken != nil {
		return s.broken
	}
	s.id++
	req.Id = s.id
	s.waiting[req.Id] = answered
	s.pending = append(s.pending, req)
	if s.sending {
		return nil
	}
	s.sending = true
	for len(s.pending) > 0 && s.broken == nil {
		s.mu.Unlock()
		runtime.Gosched() // callers who can go on now come along
		s.mu.Lock()
		frame := &pb.SessionRequests{Requests: s.pending}
		s.pending = nil
		s.mu.Unlock()
		err := s.stream.Send(frame)
		s.mu.Lock()
		if err != nil {
			break // receive hears why
		}
	}
	s.sending = false
	return nil
}

func (s *Session) receive() {
	for {
		frame, err := s.stream.Recv()
		s.mu.Lock()
		if err != nil {
			s.broken = err
			for _, answered := range s.waiting { // all alike: order cannot matter
				answered <- nil
			}
			s.waiting = nil
			s.mu.Unlock()
			return
		}
		for _, a := range frame.GetAnswers() {
			if answered := s.waiting[a.GetId()]; answered != nil {
				delete(s.waiting, a.GetId())
				answered <- a
			}
		}
		s.mu.Unlock()
	}
}
