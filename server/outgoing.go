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

// rankOf is when a method is refused for want of room for its answer, of bytes as far
// as that is known.
func rankOf(method string, bytes int64) rank {
	switch {
	case method == pb.StatehouseService_Health_FullMethodName, method == pb.StatehouseService_GetStatus_FullMethodName,
		method == pb.StatehouseService_Version_FullMethodName, !strings.HasPrefix(method, ownMethods):
		return rankState
	case bytes > 0 && costs[method] == 0:
		return rankDone
	case bytes > largeAnswer, costs[method] >= pageCost && bytes == 0:
		return rankPage
	}
	return rankSmall
}

// exchange is a unary request on its way: what making its answer takes, and what
// counts the answer. The outermost interceptor makes it, the context of what it calls.
type exchange struct {
	context.Context
	line   *line
	making int64
	hold   *hold
	size   int
}

type exchangeKey struct{}

// Value is the exchange itself to those who look for it.
func (x *exchange) Value(key any) any {
	if _, ok := key.(exchangeKey); ok {
		return x
	}
	return x.Context.Value(key)
}

// admit lets a request in that has passed access and the gates, or refuses it while
// nothing has been done for it.
func (s *Service) admitAnswer(ctx context.Context, method string) error {
	x, _ := ctx.Value(exchangeKey{}).(*exchange)
	if x == nil {
		return nil // no connection: nothing waits to be sent
	}
	err := s.outbox.full(rankOf(method, 0))
	if cost := costs[method]; err == nil && cost > 0 {
		x.making, err = s.making.enter(ctx, cost)
	}
	return err
}

// countAnswer counts an answer. A read's is refused where there is no room. What has been
// done cannot be refused any more: a small answer has room whatever there is, and of a
// large one that has none the client knows as much as if it were lost.
func (s *Service) countAnswer(ctx context.Context, method string, resp any) error {
	x, _ := ctx.Value(exchangeKey{}).(*exchange)
	m, isProto := resp.(proto.Message)
	if x == nil || !isProto {
		return nil
	}
	x.size = proto.Size(m)
	bytes := int64(max(x.size, smallBuffer)) + answerOverhead
	r := rankOf(method, bytes)
	done := r == rankDone
	if done && bytes > largeAnswer {
		r = rankState
	}
	var err error
	if x.hold, err = s.outbox.take(x.line, nil, bytes, r); err != nil && done {
		return fail(engine.ErrOutcomeUnknown, "the request was carried out or refused, but its answer has no room: "+err.Error()+"; or ask for the outcome")
	}
	return err
}

// sealAnswers is the outermost interceptor: what passes it goes to the transport, as
// bytes that are counted.
func (s *Service) sealAnswers(ctx context.Context, req any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	x := &exchange{Context: ctx, line: s.lineOf(ctx)}
	defer func() { s.making.leave(x.making) }()
	resp, err := handler(x, req)
	m, isProto := resp.(proto.Message)
	switch {
	case x.hold == nil:
		return resp, err
	case err != nil || !isProto:
		x.hold.release()
		return resp, err
	}
	return seal(m, x.size, x.hold)
}

// lineOf is the connection of a request.
func (s *Service) lineOf(ctx context.Context) *line {
	if p, ok := peer.FromContext(ctx); ok {
		if l, ok := p.Addr.(*line); ok {
			return l
		}
	}
	return &line{box: s.outbox} // of another transport: counted all the same
}

// outgoing is a stream whose messages are counted. Its handler asks for room before it
// reads what it sends next, so that a client that does not read costs a cursor.
type outgoing struct {
	grpc.ServerStream
	ctx  context.Context
	s    *Service
	line *line

	large      *hold      // taken for a message that is still to be made
	small      mem.Buffer // shared by small messages; nil: there is none
	smallBytes []byte     // its bytes
	used       int        // of them
	making     int64

	// Under line.mu.
	unsent int64
	room   chan struct{} // closed when there is room again; nil: nobody waits
}

type outgoingKey struct{}

// countStream is the outermost interceptor of streams.
func (s *Service) countStream(srv any, ss grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
	o := &outgoing{ServerStream: ss, s: s, line: s.lineOf(ss.Context())}
	o.ctx = context.WithValue(ss.Context(), outgoingKey{}, o)
	defer o.end()
	return handler(srv, o)
}

// outgoingOf is the stream of a handler's context; nil where nothing is counted, as in
// the simulator, whose streams have windows of their own.
func outgoingOf(ctx context.Context) *outgoing {
	o, _ := ctx.Value(outgoingKey{}).(*outgoing)
	return o
}

func (o *outgoing) Context() context.Context { return o.ctx }

// share is how many bytes of the stream may be on their way.
func (o *outgoing) share() int {
	if o == nil {
		return maxShare
	}
	return int(o.s.outbox.share)
}

// ready waits until the client has taken enough of what was sent. The handler holds
// nothing but its cursor meanwhile.
func (o *outgoing) ready(ctx context.Context) error {
	if o == nil {
		return nil
	}
	o.end()
	for {
		o.line.mu.Lock()
		if o.unsent <= o.s.outbox.share/2 {
			o.line.mu.Unlock()
			return nil
		}
		if o.room == nil {
			o.room = make(chan struct{})
		}
		room := o.room
		o.line.mu.Unlock()
		if err := o.s.env.Await(ctx, room); err != nil {
			return err
		}
	}
}

// wakeLocked is called when something has been sent.
func (o *outgoing) wakeLocked() {
	if o.room != nil && o.unsent <= o.line.box.share/2 {
		close(o.room)
		o.room = nil
	}
}

// admit asks for room for values of n bytes that are about to be read, which take
// growth times as many as a message, and as many again while they are made one. A chunk
// of more than a share is one event.
func (o *outgoing) admit(n, growth int64) error {
	if o == nil || n <= o.s.outbox.share {
		return nil
	}
	var err error
	if o.large, err = o.s.outbox.take(o.line, o, n, rankPage); err != nil {
		return err
	}
	o.making, err = o.s.making.enter(o.ctx, n*(1+2*growth))
	return err
}

// end lets go of what the last message took while it was made.
func (o *outgoing) end() {
	o.s.making.leave(o.making)
	o.making = 0
	if o.large != nil { // it was never made
		o.large.release()
		o.large = nil
	}
	o.endSmall()
}

func (o *outgoing) SendMsg(m any) error {
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
		h = o.hold(bytes)
	}
	out, err := seal(msg, size, h)
	if err != nil {
		return err
	}
	return o.ServerStream.SendMsg(out)
}

// hold counts bytes for which the stream has room.
func (o *outgoing) hold(bytes int64) *hold {
	h, _ := o.s.outbox.tryTake(o.line, o, bytes, rankDone)
	return h
}

// sendSmall puts small messages into one buffer: each for itself, they would take many
// times their bytes.
func (o *outgoing) sendSmall(m proto.Message, size int) error {
	if o.small == nil || o.used+size > smallBuffer {
		o.endSmall()
		buf := newBuffer(smallBuffer)
		*buf = (*buf)[:smallBuffer]
		o.small = mem.NewBuffer(buf, newParcel(o.hold(smallBuffer+2*messageOverhead)))
		o.smallBytes, o.used = *buf, 0
	}
	from, to := o.used, o.used+size
	if _, err := (proto.MarshalOptions{UseCachedSize: true}).MarshalAppend(o.smallBytes[from:from:to], m); err != nil {
		return status.Errorf(codes.Internal, "the message cannot be marshalled: %v", err)
	}
	o.used = to
	return o.ServerStream.SendMsg(&sealed{mem.BufferSlice{o.small.Slice(from, to)}})
}

// endSmall closes the buffer of small messages: when they are sent, it is free.
func (o *outgoing) endSmall() {
	if o.small != nil {
		o.small.Free()
		o.small, o.smallBytes = nil, nil
	}
}
