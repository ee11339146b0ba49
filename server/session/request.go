package session

import (
	"context"
	"sync/atomic"
	"time"

	"google.golang.org/grpc/mem"
)

// Request is one request under way, and the context of what is done for it. It is no
// context.WithTimeout, for most requests end without any look at theirs: what costs
// something, a channel and a timer, is made when it is asked for.
type Request struct {
	session *Session
	id      uint64
	timeout time.Duration
	late    bool
	turn    bool // it has one of Limits.Turns

	method *Method
	// Body is the request's message. It is no one's after the method has answered.
	Body  []byte
	frame mem.Buffer // that holds the body
	begun time.Time  // if it is the sample, see window
	bytes int        // that count for it: the body, then the answer

	ended atomic.Pointer[error]

	// Under the session's mu.
	done    chan struct{}
	armed   bool
	disarm  func() bool
	pending bool // it has no answer yet
}

var _ context.Context = (*Request)(nil)

// Late reports whether the request that a context is of came after its session was told to
// drain.
func Late(ctx context.Context) bool {
	r, ok := ctx.Value(requestKey{}).(*Request)
	return ok && r.late
}

type requestKey struct{}

// Run answers the request: it is a Job.
func (r *Request) Run() {
	r.session.answered(r, r.method.Answer(r), false)
}

// Deadline is not known: the clock by which it ends is that of Env.After.
func (r *Request) Deadline() (time.Time, bool) { return time.Time{}, false }

// Value is the stream's, but for Late.
func (r *Request) Value(key any) any {
	if _, own := key.(requestKey); own {
		return r
	}
	return r.session.ctx.Value(key)
}

// Err implements context.Context.
func (r *Request) Err() error {
	if err := r.ended.Load(); err != nil {
		return *err
	}
	if r.session.ctx.Err() != nil {
		return context.Canceled
	}
	r.arm()
	return nil
}

// Done implements context.Context.
func (r *Request) Done() <-chan struct{} {
	r.arm()
	s := r.session
	s.mu.Lock()
	defer s.mu.Unlock()
	if r.done == nil {
		r.done = make(chan struct{})
		if r.ended.Load() != nil {
			close(r.done)
		}
	}
	return r.done
}

// arm sets the timer of the deadline, if there is one.
func (r *Request) arm() {
	if r.timeout == 0 {
		return
	}
	s := r.session
	s.mu.Lock()
	defer s.mu.Unlock()
	if !r.armed && r.pending {
		r.armed, r.disarm = true, s.env.After(r.timeout, func() { r.cancel(context.DeadlineExceeded) })
	}
}

func (r *Request) cancel(why error) {
	r.session.mu.Lock()
	defer r.session.mu.Unlock()
	r.cancelLocked(why)
}

func (r *Request) cancelLocked(why error) {
	if !r.pending || !r.ended.CompareAndSwap(nil, &why) {
		return
	}
	if r.done != nil {
		close(r.done)
	}
}
