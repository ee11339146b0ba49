package unsent

import "time"

// reservation counts one message, or a few small ones that share a buffer. Its fields are
// under conn.mu.
type reservation struct {
	conn       *conn
	bytes      int64
	large      bool    // of a stream, but past its share
	stream     *Stream // nil: of an answer
	since      time.Time
	held       bool // it is in its connection's list
	prev, next *reservation
}

func (h *reservation) common() bool { return h.stream == nil || h.large }

// tryTake counts n bytes, in common unless they are of a stream and small. It returns
// nil, and what is held, when they are too many.
func (b *Budget) tryTake(c *conn, stream *Stream, n int64, r priority) (h *reservation, held int64) {
	h = &reservation{conn: c, bytes: n, stream: stream, large: stream != nil && n > b.share, since: b.now()}
	if !h.common() {
		b.shares.Add(n)
	} else if held, ok := b.addCommon(n, r); !ok {
		return nil, held
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if stream != nil {
		stream.unsent += n
	}
	h.held, h.prev = true, c.last
	if c.last != nil {
		c.last.next = h
	} else {
		c.first = h
	}
	c.last = h
	if c.gone { // nothing will write it, nor keep it
		h.releaseLocked()
	}
	return h, 0
}

// addCommon counts n bytes in common if there is room for them. What is refused is
// counted at no time: a page that has no room must not have a small answer refused that
// has.
func (b *Budget) addCommon(n int64, r priority) (held int64, ok bool) {
	for {
		held = b.common.Load()
		if r != priorityDone && held+n > b.ceiling(r) {
			return held, false
		}
		if b.common.CompareAndSwap(held, held+n) {
			return held, true
		}
	}
}

func (h *reservation) countLocked(n int64) {
	if h.common() {
		h.conn.budget.common.Add(n)
	} else {
		h.conn.budget.shares.Add(n)
	}
	if h.stream != nil {
		h.stream.unsent += n
	}
}

// resize corrects what was taken before the message was there.
func (h *reservation) resize(n int64) {
	h.conn.mu.Lock()
	defer h.conn.mu.Unlock()
	if h.held {
		h.countLocked(n - h.bytes)
		h.bytes = n
	}
}

// release ends a reservation, once.
func (h *reservation) release() {
	h.conn.mu.Lock()
	defer h.conn.mu.Unlock()
	h.releaseLocked()
}

func (h *reservation) releaseLocked() {
	if !h.held {
		return
	}
	c := h.conn
	if h.prev != nil {
		h.prev.next = h.next
	} else {
		c.first = h.next
	}
	if h.next != nil {
		h.next.prev = h.prev
	} else {
		c.last = h.prev
	}
	h.held, h.prev, h.next = false, nil, nil
	h.countLocked(-h.bytes)
	if h.stream != nil {
		h.stream.wakeLocked()
	}
}
