// Package limiter bounds what is under way at once (G9). A Limiter refuses requests beyond
// its limit; use it where a client decides how long a request takes. A Semaphore queues them;
// use it where no client does.
package limiter

import (
	"fmt"
	"sync/atomic"
	"time"

	"statehouse.dev/statehouse/engine"
)

// retryAfter is when those are to come back who were refused.
const retryAfter = 100 * time.Millisecond

// Limiter lets a number of requests in and refuses the rest.
type Limiter struct {
	free  atomic.Int64
	limit int
	what  string

	refused func()
}

// Init sets the limit of a Limiter that nothing uses yet. what names the things it limits
// in refusals; refused is called with each.
func (l *Limiter) Init(limit int, what string, refused func()) {
	l.limit, l.what, l.refused = limit, what, refused
	l.free.Store(int64(limit))
}

// Enter lets a request in, which leaves in the end, or refuses it.
func (l *Limiter) Enter() error {
	if l.free.Add(-1) < 0 {
		l.free.Add(1)
		return l.refusal()
	}
	return nil
}

// Leave ends what Enter let in.
func (l *Limiter) Leave() { l.free.Add(1) }

// Check is Enter without entering: what can be refused on its header is refused before
// its body.
func (l *Limiter) Check() error {
	if l.Free() <= 0 {
		return l.refusal()
	}
	return nil
}

// Limit is how many it lets in at once.
func (l *Limiter) Limit() int { return l.limit }

// Free is how many more it would let in now.
func (l *Limiter) Free() int { return int(l.free.Load()) }

func (l *Limiter) refusal() error {
	l.refused()
	f := &engine.Failure{
		Kind:    engine.ErrLimit,
		Details: map[string]string{"what": l.what + " under way"},
		Message: fmt.Sprintf("%s under way: the limit of %d is reached; nothing was applied: retry later", l.what, l.limit),
	}
	return f.RetryAfter(retryAfter)
}
