package unsent

import (
	"context"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

// Stream is a stream whose messages are counted. Its handler asks for room before it
// reads what it sends next, so that a client that does not read costs a cursor. A nil one
// counts nothing and has any room: it is of a transport that keeps nothing, as the
// simulator's, whose streams have windows of their own.
type Stream struct {
	grpc.ServerStream
	ctx    context.Context
	budget *Budget
	conn   *conn

	ahead      *reservation // what is read ahead; nil: nothing
	large      *reservation // taken for a message that is still to be made
	small      mem.Buffer   // shared by small messages; nil: there is none
	smallBytes []byte       // its bytes
	used       int          // of them
	making     int64

	// Under conn.mu.
	unsent int64
	room   chan struct{} // closed when there is room again; nil: none waits
}

type streamKey struct{}

// Stream is the outermost interceptor of streams.
func (b *Budget) Stream(srv any, ss grpc.ServerStream, _ *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
	s := &Stream{ServerStream: ss, budget: b, conn: b.connOf(ss.Context())}
	s.ctx = context.WithValue(ss.Context(), streamKey{}, s)
	defer s.end()
	return handler(srv, s)
}

// StreamOf is the stream of a handler's context.
func StreamOf(ctx context.Context) *Stream {
	s, _ := ctx.Value(streamKey{}).(*Stream)
	return s
}

// Context has the stream, for StreamOf.
func (s *Stream) Context() context.Context { return s.ctx }

// Share is how many bytes of the stream may be on their way.
func (s *Stream) Share() int {
	if s == nil {
		return MaxShare
	}
	return int(s.budget.share)
}

// Ready waits until the client has taken enough of what was sent. The handler holds
// nothing but its cursor meanwhile.
func (s *Stream) Ready(ctx context.Context) error {
	if s == nil {
		return nil
	}
	s.end()
	for {
		s.conn.mu.Lock()
		if s.unsent <= s.budget.share/2 {
			s.conn.mu.Unlock()
			return nil
		}
		if s.room == nil {
			s.room = make(chan struct{})
		}
		room := s.room
		s.conn.mu.Unlock()
		if err := s.budget.await(ctx, room); err != nil {
			return err
		}
	}
}

// wakeLocked wakes the handler, if it waits, after something has been sent.
func (s *Stream) wakeLocked() {
	if s.room != nil && s.unsent <= s.conn.budget.share/2 {
		close(s.room)
		s.room = nil
	}
}

// Ahead asks for room to read n bytes at a time, more than the share: rows that lie beside
// each other are read for less together. It is for streams whose client takes what it is
// sent, and is refused as soon as others hold much. If the client stops, the handler waits in
// the transport, with what it has read; the room is taken until the stream is Ready again.
func (s *Stream) Ahead(n int64) bool {
	if s == nil {
		return true
	}
	s.ahead, _ = s.budget.tryTake(s.conn, s, aheadFactor*n, priorityAhead)
	return s.ahead != nil
}

// Admit asks for room for values of n bytes that are about to be read, which take
// growth times as many as a message, and as many again while they are made one. A chunk
// of more than a share is one event.
func (s *Stream) Admit(ctx context.Context, n, growth int64) error {
	if s == nil || n <= s.budget.share || s.ahead != nil && n <= s.ahead.bytes/aheadFactor {
		return nil
	}
	var err error
	if s.large, err = s.budget.take(s.conn, s, n, priorityPage); err != nil {
		return err
	}
	s.making, err = s.budget.turn(ctx, s.conn, n*(1+2*growth))
	return err
}

// made lets go of what the last message took while it was made: a watch may have nothing
// more to send for days.
func (s *Stream) made() {
	s.budget.making.Release(s.making)
	s.making = 0
}

// end lets go of all that was taken for the last message.
func (s *Stream) end() {
	s.made()
	if s.ahead != nil {
		s.ahead.release()
		s.ahead = nil
	}
	if s.large != nil { // it was never made
		s.large.release()
		s.large = nil
	}
	s.endSmall()
}

// SendMsg sends a message, counted.
func (s *Stream) SendMsg(m any) error {
	msg, ok := m.(proto.Message)
	if !ok {
		return s.ServerStream.SendMsg(m)
	}
	size := proto.Size(msg)
	h := s.large
	switch bytes := int64(max(size, smallBuffer)) + messageOverhead; {
	case size <= smallBuffer/2:
		return s.sendSmall(msg, size)
	case h != nil:
		h.resize(bytes)
		s.large = nil
	default:
		h = s.reserve(bytes)
	}
	out, err := encode(msg, size, h)
	s.made()
	if err != nil {
		return err
	}
	return s.ServerStream.SendMsg(out)
}

// reserve counts bytes for which the stream has room.
func (s *Stream) reserve(bytes int64) *reservation {
	h, _ := s.budget.tryTake(s.conn, s, bytes, priorityDone)
	return h
}

// sendSmall puts small messages into one buffer: each for itself, they would take many
// times their bytes.
func (s *Stream) sendSmall(m proto.Message, size int) error {
	if s.small == nil || s.used+size > smallBuffer {
		s.endSmall()
		buf := newBuffer(smallBuffer)
		*buf = (*buf)[:smallBuffer]
		s.small = mem.NewBuffer(buf, newCountedBuffer(s.reserve(smallBuffer+2*messageOverhead)))
		s.smallBytes, s.used = *buf, 0
	}
	from, to := s.used, s.used+size
	if _, err := (proto.MarshalOptions{UseCachedSize: true}).MarshalAppend(s.smallBytes[from:from:to], m); err != nil {
		return status.Errorf(codes.Internal, "the message cannot be marshalled: %v", err)
	}
	s.used = to
	return s.ServerStream.SendMsg(&encoded{mem.BufferSlice{s.small.Slice(from, to)}})
}

// endSmall closes the buffer of small messages: when they are sent, it is free.
func (s *Stream) endSmall() {
	if s.small != nil {
		s.small.Free()
		s.small, s.smallBytes = nil, nil
	}
}
