package server

import (
	"context"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"statehouse.dev/statehouse/engine"
	pb "statehouse.dev/statehouse/proto/statehouse/v1"
)

// What making an answer may take, by method: what is read, the message, and the
// message as bytes. An estimate from above for values in JSON.
const (
	pageCost  = 9 << 20
	valueCost = 3 << 20
)

var costs = map[string]int64{
	pb.StatehouseService_GetState_FullMethodName:          valueCost,
	pb.StatehouseService_GetStateAtVersion_FullMethodName: valueCost,
	pb.StatehouseService_BatchGetState_FullMethodName:     pageCost,
	pb.StatehouseService_ListKeys_FullMethodName:          pageCost,
	pb.StatehouseService_ScanPrefix_FullMethodName:        pageCost,
	pb.StatehouseService_GetHistory_FullMethodName:        pageCost,
	pb.StatehouseService_GetTransaction_FullMethodName:    valueCost,
	pb.StatehouseService_ListAgents_FullMethodName:        pageCost / 4,
	pb.StatehouseService_ListNamespaces_FullMethodName:    pageCost / 4,
}

// largeAnswer is from where on an answer counts as a page, whatever asked for it.
const largeAnswer = 64 << 10

// priorityOf is when a method is refused for want of room for its answer, of bytes as far
// as that is known.
func priorityOf(method string, bytes int64) priority {
	switch {
	case method == pb.StatehouseService_Health_FullMethodName, method == pb.StatehouseService_GetStatus_FullMethodName,
		method == pb.StatehouseService_Version_FullMethodName, !strings.HasPrefix(method, ownMethods):
		return priorityState
	case bytes > 0 && costs[method] == 0:
		return priorityDone
	case bytes > largeAnswer, costs[method] >= pageCost && bytes == 0:
		return priorityPage
	}
	return prioritySmall
}

// unaryCall is a unary request on its way: what making its answer takes, and what
// counts the answer. The outermost interceptor makes it, the context of what it calls.
type unaryCall struct {
	context.Context
	conn     *connBudget
	making   int64
	reserved *reservation
	size     int
}

type unaryCallKey struct{}

// Value is the call itself to those who look for it.
func (x *unaryCall) Value(key any) any {
	if _, ok := key.(unaryCallKey); ok {
		return x
	}
	return x.Context.Value(key)
}

// admitAnswer lets a request in that has passed access and the gates, or refuses it while
// nothing has been done for it.
func (s *Service) admitAnswer(ctx context.Context, method string) error {
	x, _ := ctx.Value(unaryCallKey{}).(*unaryCall)
	if x == nil {
		return nil // no connection: nothing waits to be sent
	}
	err := s.sendBudget.full(priorityOf(method, 0))
	if cost := costs[method]; err == nil && cost > 0 {
		x.making, err = s.making.acquire(ctx, cost)
	}
	return err
}

// countAnswer counts an answer. A read's is refused where there is no room. What has been
// done cannot be refused any more: a small answer has room whatever there is, and of a
// large one that has none the client knows as much as if it were lost.
func (s *Service) countAnswer(ctx context.Context, method string, resp any) error {
	x, _ := ctx.Value(unaryCallKey{}).(*unaryCall)
	m, isProto := resp.(proto.Message)
	if x == nil || !isProto {
		return nil
	}
	x.size = proto.Size(m)
	bytes := int64(max(x.size, smallBuffer)) + answerOverhead
	r := priorityOf(method, bytes)
	done := r == priorityDone
	if done && bytes > largeAnswer {
		r = priorityState
	}
	var err error
	if x.reserved, err = s.sendBudget.take(x.conn, nil, bytes, r); err != nil && done {
		return fail(engine.ErrOutcomeUnknown, "the request was carried out or refused, but its answer has no room: "+err.Error()+"; or ask for the outcome")
	}
	return err
}

// encodeAnswers is the outermost interceptor: what passes it goes to the transport, as
// bytes that are counted.
func (s *Service) encodeAnswers(ctx context.Context, req any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	x := &unaryCall{Context: ctx, conn: s.connBudgetOf(ctx)}
	defer func() { s.making.release(x.making) }()
	resp, err := handler(x, req)
	m, isProto := resp.(proto.Message)
	switch {
	case x.reserved == nil:
		return resp, err
	case err != nil || !isProto:
		x.reserved.release()
		return resp, err
	}
	return encode(m, x.size, x.reserved)
}

// connBudgetOf is the connection of a request.
func (s *Service) connBudgetOf(ctx context.Context) *connBudget {
	if p, ok := peer.FromContext(ctx); ok {
		if l, ok := p.Addr.(*connBudget); ok {
			return l
		}
	}
	return &connBudget{budget: s.sendBudget} // of another transport: counted all the same
}

// pacedStream is a stream whose messages are counted. Its handler asks for room before it
// reads what it sends next, so that a client that does not read costs a cursor.
type pacedStream struct {
	grpc.ServerStream
	ctx  context.Context
	s    *Service
	conn *connBudget

	large      *reservation // taken for a message that is still to be made
	small      mem.Buffer   // shared by small messages; nil: there is none
	smallBytes []byte       // its bytes
	used       int          // of them
	making     int64

	// Under connBudget.mu.
	unsent int64
	room   chan struct{} // closed when there is room again; nil: nobody waits
}

type pacedStreamKey struct{}

// countStream is the outermost interceptor of streams.
func (s *Service) countStream(srv any, ss grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
	o := &pacedStream{ServerStream: ss, s: s, conn: s.connBudgetOf(ss.Context())}
	o.ctx = context.WithValue(ss.Context(), pacedStreamKey{}, o)
	defer o.end()
	return handler(srv, o)
}

// pacedStreamOf is the stream of a handler's context; nil where nothing is counted, as in
// the simulator, whose streams have windows of their own.
func pacedStreamOf(ctx context.Context) *pacedStream {
	o, _ := ctx.Value(pacedStreamKey{}).(*pacedStream)
	return o
}

func (o *pacedStream) Context() context.Context { return o.ctx }

// share is how many bytes of the stream may be on their way.
func (o *pacedStream) share() int {
	if o == nil {
		return maxShare
	}
	return int(o.s.sendBudget.share)
}

// ready waits until the client has taken enough of what was sent. The handler holds
// nothing but its cursor meanwhile.
func (o *pacedStream) ready(ctx context.Context) error {
	if o == nil {
		return nil
	}
	o.end()
	for {
		o.conn.mu.Lock()
		if o.unsent <= o.s.sendBudget.share/2 {
			o.conn.mu.Unlock()
			return nil
		}
		if o.room == nil {
			o.room = make(chan struct{})
		}
		room := o.room
		o.conn.mu.Unlock()
		if err := o.s.env.Await(ctx, room); err != nil {
			return err
		}
	}
}

// wakeLocked is called when something has been sent.
func (o *pacedStream) wakeLocked() {
	if o.room != nil && o.unsent <= o.conn.budget.share/2 {
		close(o.room)
		o.room = nil
	}
}

// admit asks for room for values of n bytes that are about to be read, which take
// growth times as many as a message, and as many again while they are made one. A chunk
// of more than a share is one event.
func (o *pacedStream) admit(ctx context.Context, n, growth int64) error {
	if o == nil || n <= o.s.sendBudget.share {
		return nil
	}
	var err error
	if o.large, err = o.s.sendBudget.take(o.conn, o, n, priorityPage); err != nil {
		return err
	}
	o.making, err = o.s.making.acquire(ctx, n*(1+2*growth))
	return err
}

// made lets go of what the last message took while it was made: a watch may have nothing
// more to send for days.
func (o *pacedStream) made() {
	o.s.making.release(o.making)
	o.making = 0
}

// end lets go of all that was taken for the last message.
func (o *pacedStream) end() {
	o.made()
	if o.large != nil { // it was never made
		o.large.release()
		o.large = nil
	}
	o.endSmall()
}

func (o *pacedStream) SendMsg(m any) error {
	msg, ok := m.(proto.Message)
	if !ok {
		return o.ServerStream.SendMsg(m)
	}
	size := proto.Size(msg)
	h := o.large
	switch bytes := int64(max(size, smallBuffer)) + messageOverhead; {
	case size <= smallBuffer/2:
		return o.sendSmall(msg, size)
	case h != nil:
		h.resize(bytes)
		o.large = nil
	default:
		h = o.reserve(bytes)
	}
	out, err := encode(msg, size, h)
	o.made()
	if err != nil {
		return err
	}
	return o.ServerStream.SendMsg(out)
}

// reserve counts bytes for which the stream has room.
func (o *pacedStream) reserve(bytes int64) *reservation {
	h, _ := o.s.sendBudget.tryTake(o.conn, o, bytes, priorityDone)
	return h
}

// sendSmall puts small messages into one buffer: each for itself, they would take many
// times their bytes.
func (o *pacedStream) sendSmall(m proto.Message, size int) error {
	if o.small == nil || o.used+size > smallBuffer {
		o.endSmall()
		buf := newBuffer(smallBuffer)
		*buf = (*buf)[:smallBuffer]
		o.small = mem.NewBuffer(buf, newCountedBuffer(o.reserve(smallBuffer+2*messageOverhead)))
		o.smallBytes, o.used = *buf, 0
	}
	from, to := o.used, o.used+size
	if _, err := (proto.MarshalOptions{UseCachedSize: true}).MarshalAppend(o.smallBytes[from:from:to], m); err != nil {
		return status.Errorf(codes.Internal, "the message cannot be marshalled: %v", err)
	}
	o.used = to
	return o.ServerStream.SendMsg(&encoded{mem.BufferSlice{o.small.Slice(from, to)}})
}

// endSmall closes the buffer of small messages: when they are sent, it is free.
func (o *pacedStream) endSmall() {
	if o.small != nil {
		o.small.Free()
		o.small, o.smallBytes = nil, nil
	}
}
