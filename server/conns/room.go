package conns

import (
	"container/list"
	"encoding/binary"
	"time"
)

// waiter is a body that waits for room to be sent on.
type waiter struct {
	stream *Stream
	bytes  int64
	ready  chan struct{} // closed when the room is reserved
	queued *list.Element
}

// granted is closed when there is room; nil, for ever, when nothing waits for it.
func (w *waiter) granted() <-chan struct{} {
	if w == nil {
		return nil
	}
	return w.ready
}

// need is how many bytes of the message a client holds back until its window grows; 0
// while that is not known. The lock of the connection is held.
func (s *Stream) need() int64 {
	unasked := int64(firstWindow)
	if s.converses {
		unasked = wideEnough
	}
	return max(0, int64(s.body.most)+int64(len(s.body.raw))-unasked)
}

// enqueue has a body wait for room.
func (b *bodies) enqueue(s *Stream, bytes int64) *waiter {
	w := &waiter{stream: s, bytes: bytes, ready: make(chan struct{})}
	b.mu.Lock()
	w.queued = b.queue.PushBack(w)
	b.waiters.Add(1)
	b.mu.Unlock()
	b.grant()
	return w
}

// withdraw ends the wait of a body that has not been granted room.
func (b *bodies) withdraw(w *waiter) {
	if w == nil {
		return
	}
	b.mu.Lock()
	if w.queued != nil {
		b.dequeue(w)
	}
	b.mu.Unlock()
	b.grant()
}

// grant reserves room for the bodies that have waited longest. A quarter of the whole is
// left to what clients send unasked. One body always has room: what the waiting ones have
// sent unasked may fill it all, and then none of them would get on.
func (b *bodies) grant() {
	for b.waiters.Load() > 0 {
		b.mu.Lock()
		e := b.queue.Front()
		if e == nil {
			b.mu.Unlock()
			return
		}
		w := e.Value.(*waiter)
		if given := b.given.Load(); given > 0 && (given+w.bytes > b.most-b.most/4 || b.held.Load()+w.bytes > b.most) {
			b.mu.Unlock()
			return
		}
		b.dequeue(w)
		b.given.Add(w.bytes)
		b.held.Add(w.bytes)
		s := w.stream
		s.due = time.Now().Add(stallTime + time.Duration(w.bytes*int64(time.Second)/b.slowest))
		b.mu.Unlock()
		s.conn.mu.Lock()
		s.reserved, s.given = w.bytes, w.bytes
		if s.ended || s.refused != nil || s.converses && !s.large {
			b.takeBack(s)
		}
		s.conn.mu.Unlock()
		close(w.ready)
	}
}

func (b *bodies) dequeue(w *waiter) {
	b.queue.Remove(w.queued)
	w.queued = nil
	b.waiters.Add(-1)
}

// takeBack ends what was granted to a body. The lock of the connection is held.
func (b *bodies) takeBack(s *Stream) {
	b.held.Add(-s.reserved)
	b.given.Add(-s.given)
	s.reserved, s.given = 0, 0
}

// widen lets the client send n more bytes of a body, and what padding may add.
func (c *conn) widen(s *Stream, n int64) { c.widenBy(s, n+n/16) }

func (c *conn) widenBy(s *Stream, n int64) {
	c.writing.Lock()
	defer c.writing.Unlock()
	c.mu.Lock()
	frame := windowUpdate(s.id, uint32(n))
	if !c.out.between() { // inside a frame of gRPC's: after it
		c.after = append(c.after, frame...)
		frame = nil
	}
	s.window += n
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
