package conns

import (
	"container/list"
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// Refusal is the error of a request that is refused for a limit of this
// package. Nothing of the request was looked at.
type Refusal string

func (r Refusal) Error() string { return string(r) }

// frameCost is what gRPC holds of a DATA frame beside the buffer of its payload, until
// the message is whole: without it bodies of one-byte frames would be counted as a
// hundredth.
const frameCost = 128

// bufferFor is the size of the buffer that gRPC takes from its pool for the payload of a
// DATA frame. Past exact the pool has two sizes that matter: counted by the payload,
// bodies in frames of a little more than one would hold four times what was counted.
func bufferFor(length uint32) int64 {
	const exact, small, largest = 1 << 10, 4 << 10, 16 << 10
	switch {
	case length <= exact:
		return int64(length)
	case length <= small:
		return small
	}
	return largest // and for a longer one none: gRPC ends the connection
}

// bodies bounds what the requests of all connections hold: the frames of a request
// count from their arrival until it is served. A body that is larger than firstWindow
// is only sent on when there is room for all of it, so that honest clients wait in
// place of being refused. When nothing moves the body that has been arriving for
// longest is refused, for it is the likeliest to never end.
type bodies struct {
	most     int64 // bytes
	arriving int   // bodies that may be incomplete
	patience time.Duration
	deafTime time.Duration
	slowest  int64
	note     func(event string, attrs ...any)
	largest  func() *Stream // of those that are incomplete, the one that holds most; nil: there is none

	held  atomic.Int64 // bytes of requests that are served, or will be, and what is reserved
	given atomic.Int64 // of held: what was granted to waiters
	late  atomic.Int64 // of requests that are refused; their clients may go on sending

	mu      sync.Mutex
	waiting list.List    // *Stream in Await, the oldest first
	queue   list.List    // *waiter, the oldest first
	waiters atomic.Int64 // in queue
}

const (
	// firstWindow is what a client may send of a body unasked.
	firstWindow = 64<<10 - 1
	// deafTime is how long a refused request may take to be told so.
	deafTime = 5 * time.Second
	// stallTime is how long a body waits for room before another that does not arrive
	// has to make some: at less than slowest, in bytes a second, and stallTime on top.
	stallTime = time.Second
	slowest   = 256 << 10
)

// Await waits until the body of the request has arrived in full, or is refused; Finish
// must follow when it returns nil. It costs nothing when the body is there: most come
// together with the header.
func (s *Stream) Await(ctx context.Context) error {
	if s == nil {
		return nil
	}
	c, b := s.conn, s.conn.table.bodies
	c.mu.Lock()
	if s.complete || s.refused != nil {
		defer c.mu.Unlock()
		return s.verdict()
	}
	c.mu.Unlock()
	defer b.enter(s)()
	late := time.NewTimer(b.patience)
	defer late.Stop()
	stall := time.NewTicker(stallTime)
	defer stall.Stop()
	var room *waiter
	defer func() { b.withdraw(room) }()
	for {
		c.mu.Lock()
		if s.complete || s.refused != nil || s.ended {
			defer c.mu.Unlock()
			return s.verdict()
		}
		s.wake = make(chan struct{})
		wake, need := s.wake, s.need()
		c.mu.Unlock()
		if room == nil && need > 0 {
			room = b.enqueue(s, need)
		}
		select {
		case <-wake:
		case <-room.granted():
			room.ready = nil
			c.widen(s, room.bytes)
		case <-stall.C:
			if room.granted() != nil {
				b.refuseStalled()
			}
		case <-ctx.Done():
			return ctx.Err()
		case <-late.C:
			b.refuse(s, Refusal(fmt.Sprintf("the body of the request did not arrive within %v; nothing was applied", b.patience)))
		}
	}
}

// verdict is what has become of the body. Without an error the request is served from
// here on, and not refused any more. The lock of the connection is held.
func (s *Stream) verdict() error {
	switch {
	case s.refused != nil:
		return s.refused
	case s.ended:
		return context.Canceled // by its client, or with its connection
	}
	s.served = true
	return nil
}

// settle wakes who awaits the body. The lock of the connection is held.
func (s *Stream) settle() {
	if s.wake != nil {
		close(s.wake)
		s.wake = nil
	}
}

// Finish says that the request has been served: what it holds counts until then, also
// when its client has given it up before.
func (s *Stream) Finish() {
	if s == nil {
		return
	}
	s.conn.mu.Lock()
	s.served = false
	s.conn.table.bodies.release(s)
	s.conn.mu.Unlock()
	s.conn.table.bodies.grant()
}

// OnRefusal has f called if the request is refused: for handlers that read it message
// by message, without Await.
func (s *Stream) OnRefusal(f func(error)) {
	if s == nil {
		return
	}
	s.conn.mu.Lock()
	s.onRefusal = f
	refused := s.refused
	s.conn.mu.Unlock()
	if refused != nil {
		f(refused)
	}
}

// enter notes a body that is incomplete, and refuses the oldest when there are too
// many of them.
func (b *bodies) enter(s *Stream) (leave func()) {
	b.mu.Lock()
	e := b.waiting.PushBack(s)
	over := b.waiting.Len() > b.arriving
	b.mu.Unlock()
	if over {
		b.refuseOldest(Refusal(fmt.Sprintf("the limit of %d requests whose bodies have not arrived is reached, and this one has taken longest; nothing was applied: retry later", b.arriving)))
	}
	return func() {
		b.mu.Lock()
		b.waiting.Remove(e)
		b.mu.Unlock()
	}
}

// refuseOldest makes room among those that wait.
func (b *bodies) refuseOldest(why Refusal) {
	b.refuseFirst(why, func(*Stream) bool { return true })
}

// holdsPart reports whether a part of the body has arrived, and not all of it. What waits
// with nothing makes no room; what has arrived is served in a moment.
func (s *Stream) holdsPart() bool {
	s.conn.mu.Lock()
	defer s.conn.mu.Unlock()
	return s.held > 0 && !s.complete
}

// refuseStalled makes room at the cost of the oldest body that had its time to arrive.
func (b *bodies) refuseStalled() {
	now := time.Now()
	b.refuseFirst(b.full(), func(s *Stream) bool { return !s.due.IsZero() && now.After(s.due) })
}

// refuseFirst refuses the oldest body of those that may be, and reports whether there
// was one.
func (b *bodies) refuseFirst(why Refusal, may func(*Stream) bool) bool {
	b.mu.Lock()
	e := b.waiting.Front()
	for e != nil && !may(e.Value.(*Stream)) {
		e = e.Next()
	}
	if e != nil {
		b.waiting.Remove(e)
	}
	b.mu.Unlock()
	if e == nil {
		return false
	}
	b.refuse(e.Value.(*Stream), why)
	return true
}

func (b *bodies) refuse(s *Stream, why Refusal) {
	c := s.conn
	c.mu.Lock()
	if s.ended || s.served || s.refused != nil {
		c.mu.Unlock()
		return
	}
	s.refused = why
	b.takeBack(s)
	b.held.Add(-s.held)
	b.late.Add(s.held)
	c.late += s.held
	s.timer = time.AfterFunc(b.deafTime, func() { c.cutOff("its client does not read that a request was refused") })
	s.settle()
	tell := s.onRefusal
	c.mu.Unlock()
	if tell != nil {
		tell(why)
	}
	b.note("a request was refused while its body arrived", "peer", c.RemoteAddr().String(), "reason", string(why))
}

// grow counts n more bytes of a body. The lock of the connection is held.
func (b *bodies) grow(s *Stream, n int64) {
	if from := min(n, s.reserved); from > 0 {
		s.reserved -= from
		b.held.Add(-from)
	}
	s.held += n
	if s.refused != nil {
		b.late.Add(n)
		s.conn.late += n
		return
	}
	b.held.Add(n)
}

// release takes what a request holds off the sum. The lock of the connection is held.
func (b *bodies) release(s *Stream) {
	if s.refused != nil {
		b.late.Add(-s.held)
		if s.conn.late -= s.held; s.conn.late == 0 {
			s.conn.told.Broadcast()
		}
	} else {
		b.held.Add(-s.held)
	}
	b.takeBack(s)
	s.held = 0
}

// full is the error of a request for which there is no room.
func (b *bodies) full() Refusal {
	return Refusal(fmt.Sprintf("the requests under way hold %d bytes, which is the limit; nothing was applied: retry later", b.most))
}

// fit brings the sum back below its limit after s has grown. On a busy machine bodies may
// arrive before their handlers wait for them: then the largest of them is refused.
func (b *bodies) fit(s *Stream) {
	for b.held.Load() > b.most {
		if b.refuseFirst(b.full(), (*Stream).holdsPart) {
			continue
		}
		l := b.largest()
		if l == nil { // all that is held is of whole requests
			b.refuse(s, b.full())
			break
		}
		b.refuse(l, b.full())
	}
	if b.late.Load() > b.most/2 {
		s.conn.awaitTold()
	}
}

// awaitTold keeps a connection from sending on until its client has been told which
// of its requests are refused.
func (c *conn) awaitTold() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.late > 0 && !c.leaving {
		c.told.Wait()
	}
}
