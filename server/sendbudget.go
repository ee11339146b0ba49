package server

import (
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"statehouse.dev/statehouse/engine"
)

// sendBudget is the budget of bytes for all that waits to be sent (G9): the network takes
// an answer when its client reads, which may be never. Every message is counted from
// when it is made until the transport has written it, or its connection is gone.
//
// Streams have shares of their own, in which all but large messages fit, so that
// those who do not read cannot keep the others from going on. Answers and large
// messages have what is left in common and are refused past it.
type sendBudget struct {
	now   func() time.Time
	log   func(string, ...any)
	limit int64 // of what is held in common
	share int64 // of each stream

	common atomic.Int64
	shares atomic.Int64 // of all streams together

	mu    sync.Mutex
	conns map[*connBudget]struct{} // the connections that are open, or still hold something
}

const (
	answerOverhead = 4 << 10 // what an unread answer holds beside its bytes: its stream above all
	leastAnswer    = smallBuffer + answerOverhead
	// messageOverhead is what a message of a stream holds beside its bytes.
	messageOverhead = 512
	minShare        = 16 << 10
	// maxShare is gRPC's write quota of a stream: a handler that stays within it never
	// waits in the transport, where it would hold on to what it has read.
	maxShare = 64 << 10
	// stalledAfter is how old an unsent message is when its connection counts as one
	// that does not read. Such a connection is closed, but only when there is no room.
	stalledAfter = 10 * time.Second
)

func newSendBudget(c *Config, env *engine.Env) *sendBudget {
	b := &sendBudget{now: env.Now, log: env.Log, conns: make(map[*connBudget]struct{})}
	b.share = min(max(c.UnsentBytes/2/int64(c.Streams), minShare), maxShare)
	b.limit = max(c.UnsentBytes-b.share*int64(c.Streams), c.UnsentBytes/2)
	return b
}

// MostStreams is how many streams a budget of unsent bytes has room for.
func MostStreams(unsentBytes int64) int { return int(unsentBytes / 2 / minShare) }

// priority orders what is refused first when there is little room.
type priority int64

// A priority is the part of the limit, in sixteenths, up to which it is let in: pages of
// values first make room for small answers, and those for what tells how things are.
const (
	priorityPage  priority = 12
	prioritySmall priority = 15
	priorityState priority = 16
	priorityDone  priority = 17 // of what has been done already there is no refusal
)

// take counts n bytes that l is about to have waiting, or refuses them when they are
// too many for a priority. When they are, whoever has not read for long makes room first.
func (b *sendBudget) take(l *connBudget, stream *pacedStream, n int64, r priority) (h *reservation, err error) {
	var held int64
	taken := func() bool {
		h, held = b.tryTake(l, stream, n, r)
		return h != nil
	}
	if taken() || b.makeRoom(taken) {
		return h, nil
	}
	return nil, b.refusal(held, n, r)
}

// full refuses what cannot get room whatever it will be, before anything is done for it.
func (b *sendBudget) full(r priority) error {
	var held int64
	fits := func() bool {
		held = b.common.Load()
		return held+leastAnswer <= b.ceiling(r)
	}
	if fits() || b.makeRoom(fits) {
		return nil
	}
	return b.refusal(held, leastAnswer, r)
}

// makeRoom closes connections that do not read until there is room, and reports whether
// there is. It looks for the next one first and for room then: others make room at the
// same time, and connections go by themselves. The other way round a request would be
// refused because nobody is left to close, and one more would be closed, when there has
// been room for a moment.
func (b *sendBudget) makeRoom(fits func() bool) bool {
	for {
		l, bytes := b.stalled()
		if fits() {
			return true
		}
		if l == nil {
			return false
		}
		b.log("closed a connection whose client does not read its answers", "client", l.String(), "bytes", bytes)
		l.close()
	}
}

func (b *sendBudget) ceiling(r priority) int64 { return b.limit / 16 * int64(r) }

func (b *sendBudget) refusal(held, n int64, r priority) error {
	return &engine.Failure{
		Kind:    engine.ErrLimit,
		Message: fmt.Sprintf("bytes waiting to be sent: %d, and %d more; the limit is %d (--max-unsent-mb): read the answers, or retry later", held, n, b.ceiling(r)),
		Details: map[string]string{"what": "bytes waiting to be sent", "limit": fmt.Sprint(b.ceiling(r))},
	}
}

// stalled is the connection that holds most of what has waited for long, of several the
// one that has waited longest; nil when there is none. Not the longest first: a small
// answer whose stream was reset at the wrong moment may be counted until its connection ends.
func (b *sendBudget) stalled() (stalled *connBudget, most int64) {
	before, oldest := b.now().Add(-stalledAfter), time.Time{}
	b.mu.Lock()
	defer b.mu.Unlock()
	for l := range b.conns { // in any order: the first of all by bytes and time
		n, since := l.waiting(before)
		if n > most || n == most && n > 0 && since.Before(oldest) {
			stalled, most, oldest = l, n, since
		}
	}
	return stalled, most
}

// unsent is how many bytes wait, for tests.
func (b *sendBudget) unsent() int64 { return b.common.Load() + b.shares.Load() }

// connBudget is what one connection holds. It stands for the remote address, so
// that the transport itself hands it to every call (peer.FromContext).
type connBudget struct {
	net.Addr
	budget *sendBudget
	close  func()

	mu          sync.Mutex
	first, last *reservation // oldest first
	gone        bool
}

// waiting is how many bytes held in common have waited since before, and since when.
func (l *connBudget) waiting(before time.Time) (n int64, since time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for h := l.first; h != nil && h.since.Before(before); h = h.next {
		if !h.common() {
			continue
		}
		if n == 0 {
			since = h.since
		}
		n += h.bytes
	}
	return n, since
}

// reservation counts one message, or a few small ones that share a buffer. Its fields are
// under connBudget.mu.
type reservation struct {
	conn       *connBudget
	bytes      int64
	large      bool         // of a stream, but past its share
	stream     *pacedStream // nil: of an answer
	since      time.Time
	held       bool // it is in its connection's list
	prev, next *reservation
}

func (h *reservation) common() bool { return h.stream == nil || h.large }

// tryTake counts n bytes, in common unless they are of a stream and small. It returns
// nil, and what is held, when they are too many.
func (b *sendBudget) tryTake(l *connBudget, stream *pacedStream, n int64, r priority) (h *reservation, held int64) {
	h = &reservation{conn: l, bytes: n, stream: stream, large: stream != nil && n > b.share, since: b.now()}
	if !h.common() {
		b.shares.Add(n)
	} else if held, ok := b.addCommon(n, r); !ok {
		return nil, held
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if stream != nil {
		stream.unsent += n
	}
	h.held, h.prev = true, l.last
	if l.last != nil {
		l.last.next = h
	} else {
		l.first = h
	}
	l.last = h
	if l.gone { // nothing will write it, nor keep it
		h.releaseLocked()
	}
	return h, 0
}

// addCommon counts n bytes in common if there is room for them. What is refused is
// counted at no time: a page that has no room must not have a small answer refused that
// has.
func (b *sendBudget) addCommon(n int64, r priority) (held int64, ok bool) {
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
	l := h.conn
	if h.prev != nil {
		h.prev.next = h.next
	} else {
		l.first = h.next
	}
	if h.next != nil {
		h.next.prev = h.prev
	} else {
		l.last = h.prev
	}
	h.held, h.prev, h.next = false, nil, nil
	h.countLocked(-h.bytes)
	if h.stream != nil {
		h.stream.wakeLocked()
	}
}

// ended releases all that a connection held. What the transport had taken over by
// then it drops without freeing, so that no buffer tells of it. Only then does the budget
// forget it: see makeRoom.
func (l *connBudget) ended() {
	l.mu.Lock()
	l.gone = true
	for l.first != nil {
		l.first.releaseLocked()
	}
	l.mu.Unlock()
	l.budget.mu.Lock()
	delete(l.budget.conns, l)
	l.budget.mu.Unlock()
}

// sendListener counts for each connection what it holds.
type sendListener struct {
	net.Listener
	budget *sendBudget
}

func (l sendListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	counted := &sendConn{Conn: c}
	counted.conn = &connBudget{Addr: c.RemoteAddr(), budget: l.budget, close: func() { _ = counted.Close() }}
	l.budget.mu.Lock()
	l.budget.conns[counted.conn] = struct{}{}
	l.budget.mu.Unlock()
	return counted, nil
}

type sendConn struct {
	net.Conn
	conn *connBudget
}

func (c *sendConn) RemoteAddr() net.Addr { return c.conn }

// CloseWrite tells the client that nothing more comes, where the connection can.
func (c *sendConn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}

// Close is called by the transport when it ends, however it does.
func (c *sendConn) Close() error {
	err := c.Conn.Close()
	c.conn.ended()
	return err
}
