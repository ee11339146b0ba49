package unsent

import (
	"context"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
)

// sessionOverhead is what the answer of a session holds beside its bytes.
const sessionOverhead = 256

// Later is an answer that is counted, and marshalled when its session sends it.
type Later struct {
	message  proto.Message
	size     int
	reserved *reservation
}

// Size is how many bytes Append appends.
func (l *Later) Size() int { return l.size }

// Append marshals the message.
func (l *Later) Append(b []byte) ([]byte, error) {
	return proto.MarshalOptions{UseCachedSize: true}.MarshalAppend(b, l.message)
}

// Refused reports that it is no refusal.
func (l *Later) Refused() bool { return false }

// Release ends what is counted for it.
func (l *Later) Release() { l.reserved.release() }

// Session is Unary for the requests of a session, which is a stream with a context. They
// are answered with a Later.
func (b *Budget) Session(stream context.Context) grpc.UnaryServerInterceptor {
	conn := b.connOf(stream)
	return func(ctx context.Context, req any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
		c := &Call{Context: ctx, conn: conn, inSession: true}
		defer func() { b.making.Release(c.making) }()
		resp, err := handler(c, req)
		if err != nil {
			if c.reserved != nil {
				c.reserved.release()
			}
			return nil, err
		}
		return &Later{resp.(proto.Message), c.size, c.reserved}, nil
	}
}
