package conns

import (
	"container/list"
	"encoding/binary"
	"time"
)

// claim is a body that waits for room to be sent on.
type claim struct {
	stream *Stream
	bytes  int64
	ready  chan struct{} // closed when the room is reserved
	queued *list.Element
}

// granted is closed when there is room; nil, for ever, when nothing is claimed.
func (c *claim) granted() <-chan struct{} {
	if c == nil {
		return nil
	}
	return c.ready
}

// need is how many bytes of the message a client holds back until its window grows; 0
// while that is not known. The lock of the connection is held.
func (s *Stream) need() int64 {
	return max(0, int64(s.body.most)+int64(len(s.body.raw))-firstWindow)
}

// claim queues a body for room.
func (b *bodies) claim(s *Stream, bytes int64) *claim {
	c := &claim{stream: s, bytes: bytes, ready: make(chan struct{})}
	b.mu.Lock()
	c.queued = b.queue.PushBack(c)
	b.claims.Add(1)
	b.mu.Unlock()
	b.grant()
	return c
}

// withdraw gives up a claim that has not been granted.
func (b *bodies) withdraw(c *claim) {
	if c == nil {
		return
	}
	b.mu.Lock()
	if c.queued != nil {
		b.dequeue(c)
	}
	b.mu.Unlock()
	b.grant()
}

// grant reserves room for those that have waited longest for it. A quarter of the
// whole is left to what comes unasked. One always has room: what those that wait have
// sent unasked may be all there is, and then none of them would get on.
func (b *bodies) grant() {
	for b.claims.Load() > 0 {
		b.mu.Lock()
		e := b.queue.Front()
		if e == nil {
			b.mu.Unlock()
			return
		}
		c := e.Value.(*claim)
		if given := b.given.Load(); given > 0 && (given+c.bytes > b.most-b.most/4 || b.held.Load()+c.bytes > b.most) {
			b.mu.Unlock()
			return
		}
		b.dequeue(c)
		b.given.Add(c.bytes)
		b.held.Add(c.bytes)
		s := c.stream
		s.due = time.Now().Add(stallTime + time.Duration(c.bytes*int64(time.Second)/b.slowest))
		b.mu.Unlock()
		s.conn.mu.Lock()
		s.reserved, s.given = c.bytes, c.bytes
		if s.ended || s.refused != nil {
			b.takeBack(s)
		}
		s.conn.mu.Unlock()
		close(c.ready)
	}
}

func (b *bodies) dequeue(c *claim) {
	b.queue.Remove(c.queued)
	c.queued = nil
	b.claims.Add(-1)
}

// takeBack ends what was granted to a body. The lock of the connection is held.
func (b *bodies) takeBack(s *Stream) {
	b.held.Add(-s.reserved)
	b.given.Add(-s.given)
	s.reserved, s.given = 0, 0
}

// widen lets the client send n more bytes of a body, and what padding may add.
func (c *conn) widen(s *Stream, n int64) {
	c.writing.Lock()
	defer c.writing.Unlock()
	c.mu.Lock()
	frame := windowUpdate(s.id, uint32(n+n/16))
	if !c.out.between() { // inside a frame of gRPC's: after it
		c.after = append(c.after, frame...)
		frame = nil
	}
	s.window += n + n/16
	if s.ended {
		frame = nil
	}
	c.mu.Unlock()
	if frame != nil {
		_, _ = c.Conn.Write(frame)
	}
}

func windowUpdate(stream, n uint32) []byte {
	return appendFrame(nil, frameWindowUpdate, 0, stream, binary.BigEndian.AppendUint32(nil, n))
}
