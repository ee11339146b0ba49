package server

import (
	"runtime"
	"sync"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

// sealed is a message that has been marshalled and counted. The codec hands its
// buffers on as they are.
type sealed struct{ data mem.BufferSlice }

// parcel is what gRPC takes for the pool of a message's buffer: it gives the buffer
// back after the transport has written it, or has dropped it with its stream. That is
// how long the message is counted.
type parcel struct {
	hold    *hold
	cleanup runtime.Cleanup
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

// newParcel ties h to a buffer. A frame for a stream that was reset a moment before is
// dropped without being freed: the collector tells of that one. For small answers this
// would cost more than it brings; they are counted until their connection ends.
func newParcel(h *hold) *parcel {
	p := &parcel{hold: h}
	if h.bytes > 2*leastAnswer {
		p.cleanup = runtime.AddCleanup(p, (*hold).release, h)
	}
	return p
}

// Get is of the interface; nothing is ever taken from a parcel.
func (p *parcel) Get(int) *[]byte { panic("a parcel is no source of buffers") }

// Put takes the buffer back: it has been sent.
func (p *parcel) Put(b *[]byte) {
	p.cleanup.Stop()
	p.hold.release()
	if cap(*b) == smallBuffer {
		*b = (*b)[:0]
		smallBuffers.Put(b)
	}
}

// seal marshals m, of size bytes by proto.Size just now, into a buffer for which h
// counts.
func seal(m proto.Message, size int, h *hold) (*sealed, error) {
	buf := newBuffer(size)
	out, err := proto.MarshalOptions{UseCachedSize: true}.MarshalAppend((*buf)[:0], m)
	if err != nil {
		h.release()
		return nil, status.Errorf(codes.Internal, "the answer cannot be marshalled: %v", err)
	}
	*buf = out
	return &sealed{mem.BufferSlice{mem.NewBuffer(buf, newParcel(h))}}, nil
}
