package conns

import (
	"encoding/binary"
	"time"
)

// Write sends what gRPC answers, and follows it.
func (c *conn) Write(p []byte) (int, error) {
	c.writing.Lock()
	defer c.writing.Unlock()
	out := c.send(p)
	c.table.bodies.grant() // of what has ended
	n, err := c.Conn.Write(out)
	if err == nil {
		return len(p), nil
	}
	c.depart() // gRPC stops writing and waits for a read to fail
	return min(n, len(p)), err
}

// send follows bytes to the client and returns what to write in their place.
func (c *conn) send(p []byte) []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.changed = c.changed[:0]
	kept := 0 // bytes of p up to here are in changed, or replaced
	for at := 0; at < len(p); {
		n, body, done := c.out.next(p[at:])
		part := p[at+n-body : at+n]
		at += n
		whole := frameHeaderLen + body
		if c.out.kind == frameSettings && done && !c.out.has(flagAck) && at-kept >= whole && body == int(c.out.length) {
			c.changed = append(c.changed, p[kept:at-body]...)
			c.changed = append(c.changed, firstSettings(part, firstWindow)...)
			kept = at
			continue
		}
		s := c.streams[c.out.stream]
		if s == nil {
			continue
		}
		if c.out.kind == frameData {
			s.answer.take(part)
		}
		if !done {
			continue
		}
		if c.out.kind == frameWindowUpdate && body == 4 {
			if s.converses && at-kept >= whole { // Took widens its window
				c.changed = append(c.changed, p[kept:at-whole]...)
				kept = at
				continue
			}
			s.window += int64(binary.BigEndian.Uint32(part))
		}
		if c.out.kind == frameRST && at-kept >= whole && body == 4 && part[3] == errCancel {
			c.changed = append(c.changed, p[kept:at-whole]...)
			c.changed = c.overdue(c.changed, s)
			kept = at
			continue
		}
		c.sent(s, c.out.frame)
	}
	if kept == 0 && len(c.after) == 0 {
		return p
	}
	c.changed = append(c.changed, p[kept:]...)
	if c.out.between() {
		c.changed = append(c.changed, c.after...)
		c.after = c.after[:0]
	}
	return c.changed
}

// sent takes note of a whole frame to the client.
func (c *conn) sent(s *Stream, f frame) {
	s.replied = s.replied || f.kind == frameHeaders
	if f.kind == frameRST || f.has(flagEndStream) && (f.kind == frameData || f.kind == frameHeaders) {
		c.end(s.id)
	}
}

// overdue ends a request whose deadline has passed. gRPC does so by RST_STREAM with
// CANCEL, which a client whose clock is a little behind, or whose timer is late,
// reports as CANCELLED. Here the client gets the true status; in the middle of a message
// it cannot, and has time to notice by itself.
func (c *conn) overdue(b []byte, s *Stream) []byte {
	if s.answer.between() {
		b = appendStatus(b, s.id, s.replied, s.complete, deadlineExceeded, "the deadline of the request has passed")
		c.end(s.id)
		return b
	}
	s.timer = time.AfterFunc(lingerTime, func() { c.cut(s) })
	return b
}

// cut ends a request whose client has not noticed that its deadline has passed.
func (c *conn) cut(s *Stream) {
	c.writing.Lock()
	defer c.writing.Unlock()
	c.mu.Lock()
	if s.ended || !c.out.between() {
		if !s.ended {
			s.timer.Reset(lingerTime)
		}
		c.mu.Unlock()
		return
	}
	c.end(s.id)
	c.mu.Unlock()
	_, _ = c.Conn.Write(appendFrame(nil, frameRST, 0, s.id, []byte{0, 0, 0, errCancel}))
}
