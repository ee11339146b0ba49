package unsent

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"statehouse.dev/statehouse/engine"
	"statehouse.dev/statehouse/server/limiter"
)

// Budget is the budget of bytes for all that waits to be sent.
//
// Streams have shares of their own, in which all but large messages fit, so that
// those who do not read cannot keep the others from going on. Answers and large
// messages have what is left in common and are refused past it.
type Budget struct {
	now   func() time.Time
	log   func(string, ...any)
	limit int64 // of what is held in common
	share int64 // of each stream

	accepted atomic.Int64 // counts connections, to name them

	common atomic.Int64
	shares atomic.Int64 // of all streams together

	await  func(context.Context, <-chan struct{}) error
	making *limiter.Semaphore // bytes that messages take while they are made
	whose  func(context.Context) string

	mu    sync.Mutex
	conns map[*conn]struct{} // the connections that are open, or still hold something
}

const (
	answerOverhead = 4 << 10 // what an unread answer holds beside its bytes: its stream above all
	// LeastAnswer is what the smallest unread answer holds.
	LeastAnswer = smallBuffer + answerOverhead
	// messageOverhead is what a message of a stream holds beside its bytes.
	messageOverhead = 512
	// aheadFactor is how many bytes there are of one that is read ahead: its event, and its message.
	aheadFactor = 2
	minShare    = 16 << 10
	// MaxShare is gRPC's write quota of a stream: a handler that stays within it never
	// waits in the transport, where it would hold on to what it has read.
	MaxShare = 64 << 10
	// StalledAfter is how old an unsent message is when its connection counts as one
	// that does not read. Such a connection is closed, but only when there is no room.
	StalledAfter = 10 * time.Second
)

// New makes a budget of bytes, with shares for a number of streams. Half as much again may
// be taken by messages while they are made; for that principals take turns, of which whose names
// that of a request, and connections where there is none.
func New(bytes int64, streams int, env *engine.Env, whose func(context.Context) string) *Budget {
	b := &Budget{now: env.Now, log: env.Log, await: env.Await, whose: whose, conns: make(map[*conn]struct{})}
	b.making = limiter.NewSemaphore(bytes/2, env.Await)
	b.share = min(max(bytes/2/int64(streams), minShare), MaxShare)
	b.limit = max(bytes-b.share*int64(streams), bytes/2)
	return b
}

// MostStreams is how many streams a budget of unsent bytes has room for.
func MostStreams(bytes int64) int { return int(bytes / 2 / minShare) }

// priority orders what is refused first when there is little room.
type priority int64

// A priority is the part of the limit, in sixteenths, up to which it is let in: pages of
// values first make room for small answers, and those for the daemon's state.
const (
	priorityAhead priority = 4 // no one is refused anything: streams read less at a time
	priorityPage  priority = 12
	prioritySmall priority = 15
	priorityState priority = 16
	priorityDone  priority = 17 // of what has been done already there is no refusal
)

// turn waits for room to make n bytes for a client, who waits for its own first of all.
func (b *Budget) turn(ctx context.Context, c *conn, n int64) (int64, error) {
	share := b.whose(ctx)
	if share == "" {
		share = c.name
	}
	return b.making.AcquireFor(ctx, share, n)
}

// take counts n bytes that c is about to have waiting, or refuses them when they are
// too many for a priority. Connections that have not read for long make room first.
func (b *Budget) take(c *conn, stream *Stream, n int64, r priority) (h *reservation, err error) {
	var held int64
	taken := func() bool {
		h, held = b.tryTake(c, stream, n, r)
		return h != nil
	}
	if taken() || b.makeRoom(taken) {
		return h, nil
	}
	return nil, b.refusal(held, n, r)
}

// full refuses what cannot get room whatever it will be, before anything is done for it.
func (b *Budget) full(r priority) error {
	var held int64
	fits := func() bool {
		held = b.common.Load()
		return held+LeastAnswer <= b.ceiling(r)
	}
	if fits() || b.makeRoom(fits) {
		return nil
	}
	return b.refusal(held, LeastAnswer, r)
}

// makeRoom closes connections that do not read until there is room, and reports whether
// there is. It looks for the next one first and for room then: others make room at the
// same time, and connections go by themselves. The other way round a request would be
// refused because no connection is left to close, and one more would be closed, when there has
// been room for a moment.
func (b *Budget) makeRoom(fits func() bool) bool {
	for {
		c, bytes := b.stalled()
		if fits() {
			return true
		}
		if c == nil {
			return false
		}
		b.log("closed a connection whose client does not read its answers", "client", c.String(), "bytes", bytes)
		c.close()
	}
}

func (b *Budget) ceiling(r priority) int64 { return b.limit / 16 * int64(r) }

func (b *Budget) refusal(held, n int64, r priority) error {
	return &engine.Failure{
		Kind:    engine.ErrLimit,
		Message: fmt.Sprintf("bytes waiting to be sent: %d, and %d more; the limit is %d (--max-unsent-mb): read the answers, or retry later", held, n, b.ceiling(r)),
		Details: map[string]string{"what": "bytes waiting to be sent", "limit": fmt.Sprint(b.ceiling(r))},
	}
}

// stalled is the connection that holds most of what has waited for long, and of several
// the one that has waited longest; nil when there is none. Not the longest first: a small
// answer whose stream was reset at the wrong moment may be counted until its connection ends.
func (b *Budget) stalled() (stalled *conn, most int64) {
	before, oldest := b.now().Add(-StalledAfter), time.Time{}
	b.mu.Lock()
	defer b.mu.Unlock()
	for c := range b.conns { // in any order: the first of all by bytes and time
		n, since := c.waiting(before)
		if n > most || n == most && n > 0 && since.Before(oldest) {
			stalled, most, oldest = c, n, since
		}
	}
	return stalled, most
}

// Usage is what is counted at a moment, in bytes.
type Usage struct {
	Common, Shares int64 // wait to be sent: of answers and large messages, of streams
	PageRoom       int64 // is left in Common for a page
	SmallRoom      int64 // is left in Common for a small answer
	Share          int64 // of Shares, for each stream
	Making         int64 // is taken by messages that are being made
	Waiting        int   // for their turn to make one
}

// Unsent is how many bytes wait to be sent.
func (u Usage) Unsent() int64 { return u.Common + u.Shares }

// Usage reports what is counted now.
func (b *Budget) Usage() Usage {
	u := Usage{Common: b.common.Load(), Shares: b.shares.Load(), Share: b.share}
	u.PageRoom, u.SmallRoom = b.ceiling(priorityPage)-u.Common, b.ceiling(prioritySmall)-u.Common
	u.Making, u.Waiting = b.making.Usage()
	return u
}
