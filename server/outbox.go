package server

import (
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"statehouse.dev/statehouse/engine"
)

// outbox is the budget of bytes for all that waits to be sent (G9): the network takes
// an answer when its client reads, which may be never. Every message is counted from
// when it is made until the transport has written it, or its connection is gone.
//
// Streams have shares of their own, in which all but large messages fit, so that
// those who do not read cannot keep the others from going on. Answers and large
// messages have what is left in common and are refused past it.
type outbox struct {
	now   func() time.Time
	log   func(string, ...any)
	limit int64 // of what is held in common
	share int64 // of each stream

	common atomic.Int64
	shares atomic.Int64 // of all streams together

	mu    sync.Mutex
	lines map[*line]struct{} // the connections that are open
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

func newOutbox(c *Config, env *engine.Env) *outbox {
	b := &outbox{now: env.Now, log: env.Log, lines: make(map[*line]struct{})}
	if b.log == nil {
		b.log = func(string, ...any) {}
	}
	b.share = min(max(c.UnsentBytes/2/int64(c.Streams), minShare), maxShare)
	b.limit = max(c.UnsentBytes-b.share*int64(c.Streams), c.UnsentBytes/2)
	return b
}

// MostStreams is how many streams a budget of unsent bytes has room for.
func MostStreams(unsentBytes int64) int { return int(unsentBytes / 2 / minShare) }

// rank orders what is refused first when there is little room.
type rank int64

// A rank is the part of the limit, in sixteenths, up to which it is let in: pages of
// values first make room for small answers, and those for what tells how things are.
const (
	rankPage  rank = 12
	rankSmall rank = 15
	rankState rank = 16
	rankDone  rank = 17 // of what has been done already there is no refusal
)

// take counts n bytes that l is about to have waiting, or refuses them when they are
// too many for a rank. When they are, whoever has not read for long makes room first.
func (b *outbox) take(l *line, stream *outgoing, n int64, r rank) (*hold, error) {
	for {
		h, held := b.tryTake(l, stream, n, r)
		if h != nil {
			return h, nil
		}
		if !b.relieve() {
			return nil, b.refusal(held, n, r)
		}
	}
}

// full refuses what cannot get room whatever it will be, before anything is done for it.
func (b *outbox) full(r rank) error {
	held := b.common.Load()
	if held+leastAnswer <= b.ceiling(r) || b.relieve() {
		return nil
	}
	return b.refusal(held, leastAnswer, r)
}

func (b *outbox) ceiling(r rank) int64 { return b.limit / 16 * int64(r) }

func (b *outbox) refusal(held, n int64, r rank) error {
	return &engine.Failure{
		Kind:    engine.ErrLimit,
		Message: fmt.Sprintf("bytes waiting to be sent: %d, and %d more; the limit is %d (--max-unsent-mb): read the answers, or retry later", held, n, b.ceiling(r)),
		Details: map[string]string{"what": "bytes waiting to be sent", "limit": fmt.Sprint(b.ceiling(r))},
	}
}

// relieve closes the connection whose oldest message waits for longest, if it does so
// for long enough, and reports whether it closed one.
func (b *outbox) relieve() bool {
	var stalled *line
	oldest := b.now().Add(-stalledAfter)
	b.mu.Lock()
	for l := range b.lines { // the oldest of all: order cannot matter
		if at := l.oldest(); !at.IsZero() && at.Before(oldest) {
			stalled, oldest = l, at
		}
	}
	b.mu.Unlock()
	if stalled == nil {
		return false
	}
	b.log("closed a connection whose client does not read its answers", "client", stalled.String(), "since", oldest)
	stalled.close()
	return true
}

// unsent is how many bytes wait, for tests.
func (b *outbox) unsent() int64 { return b.common.Load() + b.shares.Load() }

// line is a connection as the outbox knows it. It stands for the remote address, so
// that the transport itself hands it to every call (peer.FromContext).
type line struct {
	net.Addr
	box   *outbox
	close func()

	mu          sync.Mutex
	first, last *hold // oldest first
	gone        bool
}

// oldest is since when the oldest message held in common waits; zero: none does.
func (l *line) oldest() time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	for h := l.first; h != nil; h = h.next {
		if h.common() {
			return h.since
		}
	}
	return time.Time{}
}

// hold counts one message, or a few small ones that share a buffer. Its fields are
// under line.mu.
type hold struct {
	line       *line
	bytes      int64
	large      bool      // of a stream, but past its share
	stream     *outgoing // nil: of an answer
	since      time.Time
	held       bool // it is in the line's list
	prev, next *hold
}

func (h *hold) common() bool { return h.stream == nil || h.large }

// tryTake counts n bytes, in common unless they are of a stream and small. It returns
// nil, and what is held, when they are too many.
func (b *outbox) tryTake(l *line, stream *outgoing, n int64, r rank) (h *hold, held int64) {
	h = &hold{line: l, bytes: n, stream: stream, large: stream != nil && n > b.share, since: b.now()}
	if h.common() {
		if held := b.common.Add(n); r != rankDone && held > b.ceiling(r) {
			b.common.Add(-n)
			return nil, held - n
		}
	} else {
		b.shares.Add(n)
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

func (h *hold) countLocked(n int64) {
	if h.common() {
		h.line.box.common.Add(n)
	} else {
		h.line.box.shares.Add(n)
	}
	if h.stream != nil {
		h.stream.unsent += n
	}
}

// resize corrects what was taken before the message was there.
func (h *hold) resize(n int64) {
	h.line.mu.Lock()
	defer h.line.mu.Unlock()
	if h.held {
		h.countLocked(n - h.bytes)
		h.bytes = n
	}
}

// release ends a hold, once.
func (h *hold) release() {
	h.line.mu.Lock()
	defer h.line.mu.Unlock()
	h.releaseLocked()
}

func (h *hold) releaseLocked() {
	if !h.held {
		return
	}
	l := h.line
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
// then it drops without freeing, so that no buffer tells of it.
func (l *line) ended() {
	l.box.mu.Lock()
	delete(l.box.lines, l)
	l.box.mu.Unlock()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.gone = true
	for l.first != nil {
		l.first.releaseLocked()
	}
}

// countedListener makes each connection a line.
type countedListener struct {
	net.Listener
	box *outbox
}

func (l countedListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	counted := &countedConn{Conn: c}
	counted.line = &line{Addr: c.RemoteAddr(), box: l.box, close: func() { _ = counted.Close() }}
	l.box.mu.Lock()
	l.box.lines[counted.line] = struct{}{}
	l.box.mu.Unlock()
	return counted, nil
}

type countedConn struct {
	net.Conn
	line *line
}

func (c *countedConn) RemoteAddr() net.Addr { return c.line }

// Close is called by the transport when it ends, however it does.
func (c *countedConn) Close() error {
	err := c.Conn.Close()
	c.line.ended()
	return err
}
