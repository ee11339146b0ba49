package unsent

import (
	"runtime"
	"sync"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

// encoded is a message that has been marshalled and counted.
type encoded struct{ data mem.BufferSlice }

// Encoded returns the bytes of what was marshalled and counted here already: the codec
// hands them on as they are.
func Encoded(v any) (data mem.BufferSlice, ok bool) {
	m, ok := v.(*encoded)
	if !ok {
		return nil, false
	}
	return m.data, true
}

// countedBuffer is what gRPC takes for the pool of a message's buffer: it gives the buffer
// back after the transport has written it, or has dropped it with its stream. That is
// how long the message is counted.
type countedBuffer struct {
	reserved *reservation
	cleanup  runtime.Cleanup
}

// smallBuffer is the size of buffers that are used again, and of those in which a
// stream's small messages share. A buffer of 1 KiB or less gRPC does not give back.
const smallBuffer = 2 << 10

var smallBuffers = sync.Pool{New: func() any { b := make([]byte, 0, smallBuffer); return &b }}

// newBuffer makes room for n bytes. gRPC's own pool would round 33 KiB up to 1 MiB.
func newBuffer(n int) *[]byte {
	if n <= smallBuffer {
		return smallBuffers.Get().(*[]byte)
	}
	b := make([]byte, 0, n)
	return &b
}

// newCountedBuffer ties h to a buffer. A frame for a stream that was reset a moment before is
// dropped without being freed: the collector finds that one. For small answers this
// would cost more than it brings; they are counted until their connection ends.
func newCountedBuffer(h *reservation) *countedBuffer {
	p := &countedBuffer{reserved: h}
	if h.bytes > 2*LeastAnswer {
		p.cleanup = runtime.AddCleanup(p, (*reservation).release, h)
	}
	return p
}

// Get is of the interface; nothing is ever taken from it.
func (p *countedBuffer) Get(int) *[]byte { panic("a counted buffer is no source of buffers") }

// Put takes the buffer back: it has been sent.
func (p *countedBuffer) Put(b *[]byte) {
	p.cleanup.Stop()
	p.reserved.release()
	if cap(*b) == smallBuffer {
		*b = (*b)[:0]
		smallBuffers.Put(b)
	}
}

// encode marshals m, of size bytes by proto.Size just now, into a buffer for which h
// counts.
func encode(m proto.Message, size int, h *reservation) (*encoded, error) {
	buf := newBuffer(size)
	out, err := proto.MarshalOptions{UseCachedSize: true}.MarshalAppend((*buf)[:0], m)
	if err != nil {
		h.release()
		return nil, status.Errorf(codes.Internal, "the answer cannot be marshalled: %v", err)
	}
	*buf = out
	return &encoded{mem.BufferSlice{mem.NewBuffer(buf, newCountedBuffer(h))}}, nil
}
