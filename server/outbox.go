package server

import (
	"container/list"
	"fmt"
	"net"
	"sync"
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

	mu     sync.Mutex
	common int64
	shares int64 // of all streams together
	lines  map[*line]struct{}
}

const (
	answerOverhead = 4 << 10 // what an unread answer holds beside its bytes: its stream above all
	leastAnswer    = smallBuffer + answerOverhead
	minShare       = 16 << 10
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
	b.mu.Lock()
	held := b.common
	b.mu.Unlock()
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
	b.mu.Lock()
	var stalled *line
	oldest := b.now().Add(-stalledAfter)
	for l := range b.lines { // the oldest of all: order cannot matter
		if at := l.oldestLocked(); !at.IsZero() && at.Before(oldest) {
			stalled, oldest = l, at
		}
	}
	b.mu.Unlock()
	if stalled == nil || stalled.close == nil {
		return false
	}
	b.log("closed a connection whose client does not read its answers", "client", stalled.String(), "since", oldest)
	stalled.close()
	return true
}

// unsent is how many bytes wait, for tests and status.
func (b *outbox) unsent() int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.common + b.shares
}

// line is a connection as the outbox knows it. It stands for the remote address, so
// that the transport itself hands it to every call (peer.FromContext).
type line struct {
	net.Addr
	box   *outbox
	close func()

	// Under box.mu.
	holds list.List // of *hold, oldest first
	gone  bool
}

// oldestLocked is since when the oldest message held in common waits; zero: none does.
func (l *line) oldestLocked() time.Time {
	for e := l.holds.Front(); e != nil; e = e.Next() {
		if h := e.Value.(*hold); h.stream == nil || h.large {
			return h.since
		}
	}
	return time.Time{}
}

// hold counts one message, or a few small ones that share a buffer.
type hold struct {
	line   *line
	bytes  int64
	large  bool      // of a stream, but past its share
	stream *outgoing // nil: of an answer
	since  time.Time
	at     *list.Element // nil: released
}

// tryTake counts n bytes, in common unless they are of a stream and small. It returns
// nil, and what is held, when they are too many.
func (b *outbox) tryTake(l *line, stream *outgoing, n int64, r rank) (h *hold, held int64) {
	h = &hold{line: l, bytes: n, stream: stream, large: stream != nil && n > b.share, since: b.now()}
	b.mu.Lock()
	defer b.mu.Unlock()
	if h.common() && r != rankDone && b.common+n > b.ceiling(r) {
		return nil, b.common
	}
	if l.gone {
		return h, 0 // nothing will write it, nor keep it
	}
	h.at = l.holds.PushBack(h)
	b.lines[l] = struct{}{}
	h.countLocked(n)
	return h, 0
}

func (h *hold) countLocked(n int64) {
	if h.common() {
		h.line.box.common += n
	} else {
		h.line.box.shares += n
	}
	if h.stream != nil {
		h.stream.unsent += n
	}
}

// resize corrects what was taken before the message was there.
func (h *hold) resize(n int64) {
	h.line.box.mu.Lock()
	defer h.line.box.mu.Unlock()
	if h.at != nil {
		h.countLocked(n - h.bytes)
		h.bytes = n
	}
}

func (h *hold) common() bool { return h.stream == nil || h.large }

// release ends a hold, once.
func (h *hold) release() {
	h.line.box.mu.Lock()
	defer h.line.box.mu.Unlock()
	h.releaseLocked()
}

func (h *hold) releaseLocked() {
	if h.at == nil {
		return
	}
	b := h.line.box
	h.line.holds.Remove(h.at)
	h.at = nil
	if h.line.holds.Len() == 0 {
		delete(b.lines, h.line)
	}
	h.countLocked(-h.bytes)
	if h.stream != nil {
		h.stream.wakeLocked()
	}
}

// ended releases all that a connection held. What the transport had taken over by
// then it drops without freeing, so that no buffer tells of it.
func (l *line) ended() {
	l.box.mu.Lock()
	defer l.box.mu.Unlock()
	l.gone = true
	for e := l.holds.Front(); e != nil; e = l.holds.Front() {
		e.Value.(*hold).releaseLocked()
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
