package unsent

import (
	"context"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

// sessionOverhead is what an answer of a session holds beside its bytes: the request it is
// of, and the message.
const sessionOverhead = 192

// Later is an answer that is counted, and sent when its session comes to it.
type Later struct {
	message  proto.Message
	bytes    []byte // of a message that is marshalled already
	size     int
	reserved *reservation
	refused  bool
}

// smallMessage is how long an answer may be to wait as a message. Others are marshalled at
// once: one that waits may take many times its bytes.
const smallMessage = 1 << 10

// Size is how many bytes Append appends.
func (l *Later) Size() int { return l.size }

// Append appends the answer, once: it does not keep what it was made of.
func (l *Later) Append(b []byte) ([]byte, error) {
	bytes, m := l.bytes, l.message
	l.bytes, l.message = nil, nil
	if m == nil {
		return append(b, bytes...), nil
	}
	return proto.MarshalOptions{UseCachedSize: true}.MarshalAppend(b, m)
}

// Refused reports whether it is a refusal.
func (l *Later) Refused() bool { return l.refused }

// Release ends what is counted for it.
func (l *Later) Release() {
	if l.reserved != nil {
		l.reserved.release()
	}
}

// Refusal is a google.rpc.Status as an answer of a session, counted in the share of its
// stream. There is always room for it: its client gets no more to be refused while it reads
// nothing.
func (s *Stream) Refusal(status []byte) *Later {
	l := &Later{bytes: status, size: len(status), refused: true}
	if s != nil {
		l.reserved = s.reserve(int64(len(status)) + sessionOverhead)
	}
	return l
}

// ofShare counts n bytes of an answer in the share of its session, where they fit. The
// others are counted as those of calls.
func (s *Stream) ofShare(n int64) *reservation {
	if s == nil {
		return nil
	}
	s.conn.mu.Lock()
	fits := s.unsent+n <= s.budget.share // or nearly: others of the session may count now
	s.conn.mu.Unlock()
	if !fits {
		return nil
	}
	return s.reserve(n)
}

// Roomy reports whether Ready would not wait.
func (s *Stream) Roomy() bool {
	if s == nil {
		return true
	}
	s.conn.mu.Lock()
	defer s.conn.mu.Unlock()
	return s.unsent <= s.budget.share/2
}

// Session is Unary for the requests of a session, which is a stream with a context. They
// are answered with a Later, and counted in the share of the stream first.
func (b *Budget) Session(stream context.Context) grpc.UnaryServerInterceptor {
	conn, of := b.connOf(stream), StreamOf(stream)
	return func(ctx context.Context, req any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
		c := &Call{Context: ctx, conn: conn, session: of}
		defer func() { b.making.Release(c.making) }()
		resp, err := handler(c, req)
		if err != nil {
			if c.reserved != nil {
				c.reserved.release()
			}
			return nil, err
		}
		l := &Later{message: resp.(proto.Message), size: c.size, reserved: c.reserved}
		if l.size > smallMessage {
			if l.bytes, err = l.Append(make([]byte, 0, l.size)); err != nil {
				l.Release()
				return nil, status.Errorf(codes.Internal, "the answer cannot be marshalled: %v", err)
			}
		}
		return l, nil
	}
}
