package session

import (
	"runtime"
	"sync"

	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protowire"
)

// Answer is what a request is answered with. It is put into its frame when that is sent.
type Answer interface {
	// Size is how many bytes Append appends.
	Size() int
	// Append appends the message, or the google.rpc.Status of a refusal.
	Append([]byte) ([]byte, error)
	// Refused reports whether it is a refusal.
	Refused() bool
	// Release is called once: when the frame has been sent, or will not be.
	Release()
}

// Answers is a message of answers that is encoded already.
type Answers struct{ Data mem.BufferSlice }

// answer waits to be sent.
type answer struct {
	request *Request
	Answer
	bytes int
}

// answered queues the answer of a request, and sends it unless someone is sending, or more
// are to follow.
func (s *Session) answered(r *Request, given Answer, more bool) {
	if r.frame != nil {
		r.frame.Free()
	}
	r.endTurn()
	a := answer{r, given, given.Size()}
	s.stream.Hold(-r.bytes)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.running--
	r.pending = false
	if !r.begun.IsZero() {
		s.window.adjust(r.begun, s.env.Now(), s.limits.Crowded)
	}
	if r.disarm != nil {
		r.disarm()
	}
	delete(s.under, r.id)
	s.hold(0, a.bytes-r.bytes)
	r.bytes = a.bytes
	s.queue = append(s.queue, a)
	if !more {
		s.flush()
		s.settle()
	}
}

// flush sends what is queued until nothing is, unless someone does. The lock is held, but
// while it sends.
func (s *Session) flush() {
	if s.sending {
		return
	}
	s.sending = true
	for len(s.queue) > 0 {
		batch := s.queue
		s.queue, s.spare = s.spare[:0], nil
		window := s.window.size
		s.mu.Unlock()
		for rest := batch; len(rest) > 0; {
			n, size := s.cut(rest)
			err := s.sendFrame(rest[:n], size, window)
			s.mu.Lock()
			s.sent(rest[:n])
			if err != nil && !s.over {
				s.err = err
				s.finish()
			}
			rest = rest[n:]
			if len(rest) > 0 {
				s.mu.Unlock()
			}
		}
		clear(batch)
		s.spare = batch
	}
	s.sending = false
}

// cut says how many answers share the next frame, and how long it is at most.
func (s *Session) cut(batch []answer) (n, size int) {
	for n < len(batch) && (n == 0 || size+batch[n].bytes+mostHead <= s.limits.Frame) {
		size += batch[n].bytes + mostHead
		n++
	}
	if n < len(batch) {
		s.limits.FrameReached()
	}
	return n, size
}

func (s *Session) sendFrame(batch []answer, size, window int) error {
	if s.ctx.Err() != nil { // nobody reads it
		for i := range batch {
			batch[i].Release()
		}
		return nil
	}
	f, err := encode(batch, size+mostHead, window)
	if err != nil {
		return err
	}
	return s.stream.SendMsg(Answers{mem.BufferSlice{mem.NewBuffer(f.bytes, f)}})
}

// sent makes room for as many requests. The lock is held.
func (s *Session) sent(batch []answer) {
	for i := range batch {
		r := batch[i].request
		s.hold(-1, -r.bytes)
		if !r.late {
			s.early--
		}
	}
	s.wake()
}

// outgoing is a frame of answers on its way, and what gRPC takes for the pool of its
// buffer: it gives the buffer back when it has been written, or dropped with the stream.
type outgoing struct {
	bytes   *[]byte
	answers []Answer
	cleanup runtime.Cleanup
}

// smallFrame is how long a frame is at most of which no one notices that gRPC dropped it
// without giving it back, as it does with a stream that was reset a moment before. Its
// answers count until the connection ends; of a longer one the collector tells.
const smallFrame = 4 << 10

// pooled is the largest buffer that is used again.
const pooled = 64 << 10

var buffers = sync.Pool{New: func() any { return new([]byte) }}

// Get is of the interface; nothing is ever taken from it.
func (o *outgoing) Get(int) *[]byte { panic("a frame is no source of buffers") }

// Put takes the buffer back.
func (o *outgoing) Put(*[]byte) {
	o.cleanup.Stop()
	release(o.answers)
	if cap(*o.bytes) <= pooled {
		buffers.Put(o.bytes)
	}
}

func release(answers []Answer) {
	for _, a := range answers {
		a.Release()
	}
}

const (
	// mostHead is the longest that stands before an answer's bytes.
	mostHead = 32
	// leastBuffer is the least that gRPC gives back.
	leastBuffer = 2 << 10
)

// encode makes a frame of answers, and of how many requests may be under way.
func encode(batch []answer, size, window int) (*outgoing, error) {
	o := &outgoing{bytes: buffers.Get().(*[]byte), answers: make([]Answer, 0, len(batch))}
	if cap(*o.bytes) < size {
		*o.bytes = make([]byte, 0, max(size, leastBuffer))
	}
	b := (*o.bytes)[:0]
	var err error
	for i := range batch {
		a := &batch[i]
		field := protowire.Number(answerBody)
		if a.Refused() {
			field = answerStatus
		}
		inner := protowire.SizeTag(answerID) + protowire.SizeVarint(a.request.id) + protowire.SizeTag(field) + protowire.SizeBytes(a.bytes)
		b = protowire.AppendTag(b, frameEntry, protowire.BytesType)
		b = protowire.AppendVarint(b, uint64(inner))
		b = protowire.AppendTag(b, answerID, protowire.VarintType)
		b = protowire.AppendVarint(b, a.request.id)
		b = protowire.AppendTag(b, field, protowire.BytesType)
		b = protowire.AppendVarint(b, uint64(a.bytes))
		from := len(b)
		var failed error
		if b, failed = a.Append(b); failed == nil && len(b) != from+a.bytes {
			failed = errSize
		}
		if failed != nil {
			err = failed
		}
		o.answers = append(o.answers, a.Answer)
	}
	b = protowire.AppendVarint(protowire.AppendTag(b, frameWindow, protowire.VarintType), uint64(window))
	if *o.bytes = b; err != nil {
		o.Put(nil)
		return nil, err
	}
	if size > smallFrame {
		o.cleanup = runtime.AddCleanup(o, release, o.answers)
	}
	return o, nil
}
