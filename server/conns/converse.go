package conns

import (
	"context"
	"time"
)

// A request whose client sends message after message has no body that could arrive in full.
// Here its window is one of the messages that are not read yet: it is wide again when they
// have been read, so that a handler which reads no further stalls its client. gRPC's own
// updates do not reach that client (see send): for them a window is as long as the longest
// message. One that is longer than the window waits for room as the body of a unary request
// does, and has as long to arrive.

// Converse says that the request is read message by message, with Took after each.
func (s *Stream) Converse() {
	if s == nil {
		return
	}
	s.conn.mu.Lock()
	defer s.conn.mu.Unlock()
	s.converses, s.large = true, false
	s.conn.followMessages(s)
}

// wideEnough is what the window of a client is not less than, once all has been read: it is
// widened in steps, since each is a frame.
const wideEnough = firstWindow - firstWindow/4

// Took says that a message of n bytes has been read. What is held of it counts no longer:
// see Hold.
func (s *Stream) Took(n int) {
	if s == nil {
		return
	}
	c, b := s.conn, s.conn.table.bodies
	c.mu.Lock()
	length := int64(n + len(s.body.raw))
	held := s.held
	if s.unread > length {
		held = held * length / s.unread
	}
	s.unread = max(0, s.unread-length)
	if s.refused == nil && !s.ended {
		s.held -= held
		b.held.Add(-held)
	}
	if s.read++; s.read == s.long {
		b.takeBack(s)
	}
	c.followMessages(s)
	padded := s.padded
	more := firstWindow - s.unread - s.window
	c.mu.Unlock()
	if padded { // which cannot be followed
		b.refuse(s, "the messages of a session are padded: send them as they are")
	}
	if more >= firstWindow-wideEnough {
		c.widenBy(s, more)
	}
}

// Hold counts n more bytes of what has been read, or fewer, for as long as the service needs
// them.
func (s *Stream) Hold(n int) {
	if s != nil {
		s.conn.table.bodies.held.Add(int64(n))
	}
}

// Longest is the length of the longest message so far.
func (s *Stream) Longest() int {
	if s == nil {
		return 0
	}
	s.conn.mu.Lock()
	defer s.conn.mu.Unlock()
	return int(s.body.most)
}

// followMessages looks whether the message that is arriving is longer than the window. The
// lock of the connection is held.
func (c *conn) followMessages(s *Stream) {
	if s.large && (!s.body.inside() || s.body.count != s.long) {
		s.large, s.complete = false, true
		s.settle()
	}
	// Room for it is not asked for before those ahead of it are read: gRPC would hold both.
	long := s.body.inside() && int64(s.body.length)+int64(len(s.body.raw)) > wideEnough && s.body.length <= c.table.limits.Message
	if s.large || !long || s.read < s.body.count-1 {
		return
	}
	s.large, s.long, s.body.most = true, s.body.count, s.body.length
	if !s.awaited { // else arrive goes on with it
		s.awaited, s.complete = true, false
		go c.table.bodies.arrive(s)
	}
}

// arrive has long messages arrive, one at a time.
func (b *bodies) arrive(s *Stream) {
	c := s.conn
	for {
		err := s.Await(context.Background())
		b.mu.Lock()
		s.due = time.Time{}
		b.mu.Unlock()
		c.mu.Lock()
		s.served = false                       // what comes next may be refused again
		if err == nil && s.large && !s.ended { // the next long one has begun
			s.complete = false
			c.mu.Unlock()
			continue
		}
		if s.awaited = false; s.ended {
			b.release(s)
		}
		c.mu.Unlock()
		return
	}
}
