package session

import (
	"context"
	"net"
	"strings"
	"sync"
	"time"

	spb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	pb "statehouse.dev/statehouse/proto/statehouse/v1"
)

const (
	// MaxMessage is the largest message of a session: what the contract allows a call, and
	// what is round it.
	MaxMessage = 4<<20 + 64<<10
	// largest is the largest request that goes in a session. The daemon is to refuse one
	// past the contract's limit as it refuses a call.
	largest = 4 << 20
	// refusedFor is how long requests are calls of their own after the daemon had no room
	// for a session.
	refusedFor = 2 * time.Second
)

// Conn is a connection whose unary calls go in a session. Streams, and what a session does
// not carry, are the connection's own.
type Conn struct {
	grpc.ClientConnInterface
	o      Options
	ctx    context.Context // of its streams
	cancel context.CancelFunc

	mu      sync.Mutex
	link    *link     // the stream in use; nil: none is, the next request opens one
	unknown bool      // the other side does not know sessions
	refused time.Time // when it last had no room for one
}

var _ grpc.ClientConnInterface = (*Conn)(nil)

// New makes a Conn on a connection that its caller keeps. It opens its stream with the first
// request.
func New(under grpc.ClientConnInterface, o Options) *Conn {
	o.setDefaults()
	c := &Conn{ClientConnInterface: under, o: o}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	return c
}

// Close ends the session. What is under way in it fails, and requests after that are calls of their
// own.
func (c *Conn) Close() {
	c.mu.Lock()
	c.unknown = true
	c.mu.Unlock()
	c.cancel()
}

// request is one that goes in a session. The connection's mu guards it until done says
// that its end is known.
type request struct {
	id       uint64
	method   string
	body     []byte
	deadline time.Time // zero: none
	since    time.Time // when it joined the line, if there is a deadline
	done     chan struct{}

	link         *link
	older, newer *request // in the line
	state        state
	sent         bool  // it was handed to the stream
	end          int64 // how much of the stream has arrived when all of it has

	// How it ended: with an answer, or else an error; or it is to be a call of its own.
	answer answer
	failed error
	alone  bool
}

type state uint8

const (
	queued   state = iota // it waits to be sent
	underWay              // it was sent, and waits for its answer
	over
)

// requests are used again: each has a channel.
var requests = sync.Pool{New: func() any { return &request{done: make(chan struct{}, 1)} }}

// release gives a request back to which nothing refers any more.
func release(r *request) {
	*r = request{done: r.done}
	requests.Put(r)
}

// Invoke makes a unary call, in the session if that can carry it.
func (c *Conn) Invoke(ctx context.Context, method string, args, reply any, opts ...grpc.CallOption) error {
	r := c.request(ctx, method, args, opts)
	if r == nil || !c.begin(r) {
		return c.ClientConnInterface.Invoke(ctx, method, args, reply, opts...)
	}
	defer release(r)
	if err := c.o.Await(ctx, r.done); err != nil {
		if r.link.abandon(r) {
			tellSent(opts, r.sent)
			return status.FromContextError(err).Err()
		}
		<-r.done // its end has just come, and is about to be told
	}
	tellSent(opts, r.sent)
	switch {
	case r.alone:
		return c.ClientConnInterface.Invoke(ctx, method, args, reply, opts...)
	case r.failed != nil:
		return r.failed
	case r.answer.status != nil:
		return statusOf(r.answer.status)
	}
	if err := proto.Unmarshal(r.answer.answer, reply.(proto.Message)); err != nil {
		return status.Errorf(codes.Internal, "the answer cannot be read: %v", err)
	}
	return nil
}

// carried is the prefix of the methods that a session carries, and alone are those that
// whoever watches over a daemon asks, which are to depend on nothing.
var (
	carried = "/" + pb.StatehouseService_ServiceDesc.ServiceName + "/"
	alone   = map[string]bool{
		pb.StatehouseService_Health_FullMethodName:  true,
		pb.StatehouseService_Version_FullMethodName: true,
	}
)

// request is a call as a request of a session; nil: it cannot be one.
func (c *Conn) request(ctx context.Context, method string, args any, opts []grpc.CallOption) *request {
	name, ours := strings.CutPrefix(method, carried)
	message, ok := args.(proto.Message)
	if !ours || !ok || alone[method] {
		return nil
	}
	if md, _ := metadata.FromOutgoingContext(ctx); len(md) > 0 {
		return nil // a session has headers once
	}
	for _, o := range opts {
		switch o.(type) {
		case grpc.PeerCallOption, grpc.StaticMethodCallOption: // what stubs and this package's user give
		default:
			return nil
		}
	}
	body, err := proto.Marshal(message)
	if err != nil || len(body) > largest {
		return nil
	}
	r := requests.Get().(*request)
	r.method, r.body = name, body
	r.deadline, _ = ctx.Deadline()
	return r
}

// begin puts a request on its way. It reports whether there is a session to carry it.
func (c *Conn) begin(r *request) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.unknown || !c.refused.IsZero() && c.o.Now().Sub(c.refused) < refusedFor {
		return false
	}
	if c.link == nil {
		c.link = newLink(c)
		c.o.Go(c.link.run)
	}
	c.link.add(r)
	return true
}

// statusOf is the error that a call has with this status.
func statusOf(encoded []byte) error {
	var s spb.Status
	if err := proto.Unmarshal(encoded, &s); err != nil {
		return status.Errorf(codes.Internal, "the status of the answer cannot be read: %v", err)
	}
	if s.GetCode() == int32(codes.OK) {
		return status.Error(codes.Internal, "the answer is an error without a code")
	}
	return status.FromProto(&s).Err()
}

// tellSent tells a caller that asks for its peer whether the request was sent, as gRPC
// does: there is a peer if it was.
func tellSent(opts []grpc.CallOption, sent bool) {
	for _, o := range opts {
		if p, ok := o.(grpc.PeerCallOption); ok && sent {
			p.PeerAddr.Addr = peerOf{}
		}
	}
}

// peerOf is the daemon at the other end of a session.
type peerOf struct{}

var _ net.Addr = peerOf{}

func (peerOf) Network() string { return "session" }
func (peerOf) String() string  { return "session" }
