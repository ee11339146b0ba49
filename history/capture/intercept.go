package capture

import (
	"context"
	"encoding/binary"
	"math/bits"
	"sync"
	"sync/atomic"

	"google.golang.org/grpc"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"statehouse.dev/statehouse/history/record"
)

// buffers are for the bodies of frames.
var buffers = sync.Pool{New: func() any { b := make([]byte, 0, 2048); return &b }}

func putBuffer(b *[]byte) {
	if cap(*b) < 1<<20 {
		buffers.Put(b)
	}
}

// Unary is the interceptor for unary requests.
func (r *Recorder) Unary(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	number, known := record.Number(info.FullMethod)
	if !known {
		return handler(ctx, req)
	}
	// The time is taken although nothing may be recorded now: a capture that begins
	// while requests are under way has them whole.
	id, called := r.calls.Add(1), r.now()
	lane := r.lanes.take()
	resp, err := handler(ctx, req)
	if r.on.Load() {
		r.operations.Add(1)
		b := buffers.Get().(*[]byte)
		*b = appendFixed((*b)[:0], id, called, number, lane)
		*b = appendText(*b, r.clients.of(ctx))
		*b = appendMessage(*b, req)
		*b = appendAnswer(*b, resp, err)
		r.pending.operation(kindCall, *b)
		putBuffer(b)
	}
	r.lanes.leave(lane)
	return resp, err
}

// Stream is the interceptor for streams.
func (r *Recorder) Stream(srv any, ss grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
	number, known := record.Number(info.FullMethod)
	if !known || !r.on.Load() {
		return handler(srv, ss)
	}
	r.operations.Add(1)
	s := &stream{ServerStream: ss, r: r, id: r.calls.Add(1), called: r.now(), number: number}
	err := handler(srv, s)
	if s.opened && r.on.Load() {
		s.frame(kindEnd, func(b []byte) []byte { return appendAnswer(b, nil, err) })
	}
	return err
}

// stream is recorded message by message.
type stream struct {
	grpc.ServerStream
	r      *Recorder
	id     uint64
	called int64
	number byte
	opened bool
	frames uint16
}

func (s *stream) frame(k kind, body func([]byte) []byte) {
	b := buffers.Get().(*[]byte)
	*b = body(appendFixed((*b)[:0], s.id, s.called, s.number, s.frames))
	s.r.pending.operation(k, *b)
	s.frames++ // one that is lost is missed
	putBuffer(b)
}

// RecvMsg receives the request.
func (s *stream) RecvMsg(m any) error {
	err := s.ServerStream.RecvMsg(m)
	if err == nil && !s.opened {
		s.opened = true
		s.frame(kindOpen, func(b []byte) []byte { return appendMessage(appendText(b, s.r.clients.of(s.Context())), m) })
	}
	return err
}

// SendMsg sends a message, which is recorded before: what it says was true by then.
func (s *stream) SendMsg(m any) error {
	if s.opened && s.r.on.Load() {
		s.frame(kindBatch, func(b []byte) []byte { return appendMessage(b, m) })
	}
	return s.ServerStream.SendMsg(m)
}

func appendFixed(b []byte, id uint64, called int64, number byte, lane uint16) []byte {
	b = binary.LittleEndian.AppendUint64(b, id)
	b = binary.LittleEndian.AppendUint64(b, uint64(called))
	b = binary.LittleEndian.AppendUint64(b, 0) // when it ended: see pending.operation
	return binary.LittleEndian.AppendUint16(append(b, number), lane)
}

// appendMessage appends a message as a field. Its length is not known before, so
// room for the longest is left and the rest of it is zeros that count for nothing.
func appendMessage(b []byte, m any) []byte {
	msg, ok := m.(proto.Message)
	if !ok {
		return appendField(b, nil)
	}
	const room = 5
	start := len(b)
	b = append(b, 0x80, 0x80, 0x80, 0x80, 0)
	out, err := proto.MarshalOptions{}.MarshalAppend(b, msg)
	if err != nil {
		return appendField(b[:start], nil)
	}
	n := len(out) - start - room
	for i := range room - 1 {
		out[start+i] = 0x80 | byte(n>>(7*i))
	}
	out[start+room-1] = byte(n >> 28)
	return out
}

// appendAnswer appends whether there is an error, and it or the answer.
func appendAnswer(b []byte, resp any, err error) []byte {
	if err != nil {
		return appendMessage(append(b, 1), status.Convert(err).Proto())
	}
	return appendMessage(append(b, 0), resp)
}

// maxClients is how many connections' names are kept: those that are gone are
// forgotten with the rest.
const maxClients = 4096

// clientNames names connections by their address objects, of which each has one
// for as long as it lives: to format it each time would cost more than the frame.
type clientNames struct {
	names sync.Map // by net.Addr
	known atomic.Int64
}

func (c *clientNames) of(ctx context.Context) string {
	p, ok := peer.FromContext(ctx)
	if !ok || p.Addr == nil {
		return "local"
	}
	if name, known := c.names.Load(p.Addr); known {
		return name.(string)
	}
	name := p.Addr.String()
	if c.known.Add(1) > maxClients {
		c.names.Clear()
		c.known.Store(1)
	}
	c.names.Store(p.Addr, name)
	return name
}

// lanes number requests under way, the smallest free number first: what a history
// calls a client does one thing at a time. They are as many as words have bits;
// requests beyond share the last.
type lanes struct {
	taken  [32]atomic.Uint64
	active atomic.Int64
}

func (l *lanes) take() uint16 {
	l.active.Add(1)
	for i := range l.taken {
		for w := l.taken[i].Load(); ^w != 0; w = l.taken[i].Load() {
			bit := bits.TrailingZeros64(^w)
			if l.taken[i].CompareAndSwap(w, w|1<<bit) {
				return uint16(i*64 + bit)
			}
		}
	}
	return uint16(len(l.taken) * 64)
}

func (l *lanes) leave(lane uint16) {
	if i := int(lane / 64); i < len(l.taken) {
		l.taken[i].And(^(uint64(1) << (lane % 64)))
	}
	l.active.Add(-1)
}
