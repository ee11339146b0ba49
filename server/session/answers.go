package session

import (
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protowire"
)

// Answers is a message of answers that is encoded already.
type Answers struct{ Data mem.BufferSlice }

// answer waits to be sent.
type answer struct {
	request *Request
	body    mem.BufferSlice
	status  []byte
	bytes   int
}

// answered queues the answer of a request, and sends it unless someone is sending, or more
// are to follow.
func (s *Session) answered(r *Request, body mem.BufferSlice, status []byte, more bool) {
	if r.frame != nil {
		r.frame.Free()
	}
	a := answer{r, body, status, body.Len() + len(status)}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.running--
	r.pending = false
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
		batch, size := s.queue, 0
		for i := range batch {
			if size += batch[i].bytes; size > s.limits.Frame && i > 0 {
				batch = batch[:i]
				break
			}
		}
		s.queue = s.queue[len(batch):]
		over := s.over
		s.mu.Unlock()
		frame := encode(batch)
		var err error
		if over {
			frame.Free()
		} else {
			err = s.stream.SendMsg(Answers{frame})
		}
		s.mu.Lock()
		s.sent(batch)
		if err != nil && !s.over {
			s.err = err
			s.finish()
		}
	}
	s.queue = nil
	s.sending = false
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

// mostHead is the longest that stands before an answer's bytes.
const mostHead = 32

// encode makes a frame of answers. Their bytes are not copied.
func encode(batch []answer) mem.BufferSlice {
	heads := make([]byte, 0, mostHead*len(batch))
	out := make(mem.BufferSlice, 0, 2*len(batch))
	for i := range batch {
		a := &batch[i]
		field, payload := protowire.Number(answerBody), a.bytes
		if a.status != nil {
			field = answerStatus
		}
		inner := protowire.SizeTag(answerID) + protowire.SizeVarint(a.request.id) + protowire.SizeTag(field) + protowire.SizeBytes(payload)
		from := len(heads)
		heads = protowire.AppendTag(heads, frameEntry, protowire.BytesType)
		heads = protowire.AppendVarint(heads, uint64(inner))
		heads = protowire.AppendTag(heads, answerID, protowire.VarintType)
		heads = protowire.AppendVarint(heads, a.request.id)
		heads = protowire.AppendTag(heads, field, protowire.BytesType)
		heads = protowire.AppendVarint(heads, uint64(payload))
		out = append(out, mem.SliceBuffer(heads[from:]))
		if a.status != nil {
			out = append(out, mem.SliceBuffer(a.status))
		}
		out = append(out, a.body...)
	}
	return out
}
