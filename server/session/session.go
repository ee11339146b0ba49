package session

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc/mem"
)

// Job is what runs elsewhere.
type Job interface{ Run() }

// Env is what a session asks of the outside world.
type Env struct {
	// Go runs a job, and does not wait for it.
	Go func(Job)
	// Now is a clock.
	Now func() time.Time
	// After calls f when d has passed, unless stop is called before.
	After func(d time.Duration, f func()) (stop func() bool)
	// Await is the engine's: it blocks until ready is closed or ctx ends.
	Await func(ctx context.Context, ready <-chan struct{}) error
}

// Limits bound a session. All fields must be set.
type Limits struct {
	Requests int // under way: their answers have not been sent
	Bytes    int // that they hold, requests and answers; one may be larger
	Frame    int // of answers, about
	Turns    Turns
	// Crowded reports whether a request that is a Sample, and took so long, has waited for others: the
	// window of requests shrinks.
	Crowded func(took time.Duration) bool
	// RequestsReached and BytesReached are called when the session reads no further for that
	// bound, FrameReached when answers are cut into several frames.
	RequestsReached, BytesReached, FrameReached func()
}

// Load is what all sessions of a service have together.
type Load struct{ Sessions, Requests, Bytes atomic.Int64 }

// Turns are what requests take, of all sessions together, while a Method answers them that is
// not Quick: a session that finds none reads no further, so that sessions leave room for
// others. A limiter.Semaphore is one.
type Turns interface {
	TryAcquire(n int64) bool
	Acquire(ctx context.Context, n int64) (int64, error)
	Release(n int64)
}

// Method is what a request asks for.
type Method struct {
	// Quick says that it waits for nothing and takes little: the reader of the session
	// answers it itself.
	Quick bool
	// Sample says that how long it takes tells how much is asked of the daemon.
	Sample bool
	// Answer answers a request. It may wait.
	Answer func(*Request) Answer
}

// Methods finds a method by its name.
type Methods func(name []byte) *Method

// Stream is the stream of a session, as far as it is used.
type Stream interface {
	Context() context.Context
	RecvMsg(frame any) error   // a *Frame
	SendMsg(answers any) error // an Answers
	// Hold counts n more bytes of requests, or fewer.
	Hold(n int)
	// Roomy reports whether there is room for answers, and Ready waits for it.
	Roomy() bool
	Ready(ctx context.Context) error
}

// Session is what Serve serves.
type Session struct {
	env    Env
	limits Limits
	load   *Load
	find   Methods
	stream Stream
	ctx    context.Context // of the session
	cancel context.CancelFunc

	mu       sync.Mutex
	under    map[uint64]*Request // that have no answer yet
	count    int                 // of requests under way, until their answers are sent
	bytes    int                 // that they hold
	window   window
	early    int // of count: that are not late
	running  int // jobs, the reader among them unless it waits for a frame
	queue    []answer
	spare    []answer // the memory of a queue that was sent
	sending  bool
	draining bool
	closed   bool          // the client sends no more
	over     bool          // nothing more is read or answered
	err      error         // with which the session ends
	room     chan struct{} // closed when there is room for a request; nil: no one waits
	ended    chan struct{} // closed when it is over and nothing runs
}

// New makes a session on a stream.
func New(stream Stream, env Env, l Limits, load *Load, find Methods) *Session {
	s := &Session{env: env, limits: l, load: load, find: find, stream: stream, under: make(map[uint64]*Request), window: window{size: l.Requests, most: l.Requests}, ended: make(chan struct{})}
	s.ctx, s.cancel = context.WithCancel(stream.Context())
	return s
}

// Serve serves the session until it ends, which it says why. Its requests have ended then.
func (s *Session) Serve() error {
	s.load.Sessions.Add(1)
	defer s.load.Sessions.Add(-1)
	defer s.cancel()
	defer context.AfterFunc(s.stream.Context(), func() { s.End(s.stream.Context().Err()) })()
	s.env.Go((*reader)(s))
	_ = s.env.Await(context.Background(), s.ended) // what runs ends with the session's context
	return s.err
}

// Drain has the session end with err when what is under way now is answered.
func (s *Session) Drain(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.draining = true; s.err == nil {
		s.err = err
	}
	s.settle()
}

// End ends the session with err, and what is under way in it.
func (s *Session) End(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.over {
		s.err = err
	}
	s.finish()
}

// finish has nothing more be read or answered. The lock is held.
func (s *Session) finish() {
	s.over = true
	for _, r := range s.under { // in any order: they all end
		r.cancelLocked(context.Canceled)
	}
	s.wake()
	s.settle()
}

// settle looks whether the session has come to its end. The lock is held.
func (s *Session) settle() {
	answered := s.closed && s.count == 0 || s.draining && s.early == 0
	if !s.over && answered && !s.sending && len(s.queue) == 0 {
		s.finish()
		return
	}
	if s.over {
		s.cancel() // the reader and what is under way
		if s.running == 0 && !s.sending {
			select {
			case <-s.ended:
			default:
				close(s.ended)
			}
		}
	}
}

func (s *Session) wake() {
	if s.room != nil {
		close(s.room)
		s.room = nil
	}
}

// reader is the job that reads. When the session is over it may still wait for a frame,
// which ends with the stream.
type reader Session

func (r *reader) Run() {
	s := (*Session)(r)
	for {
		var f Frame
		err := s.stream.RecvMsg(&f)
		s.mu.Lock()
		over := s.over
		switch {
		case over:
		case err == nil:
			s.running++
		case errors.Is(err, io.EOF):
			s.closed = true
			s.settle()
		default:
			s.err = err
			s.finish()
		}
		s.mu.Unlock()
		if err != nil {
			return
		}
		if !over {
			err = s.take(f.data)
		}
		f.data.Free()
		if over || s.taken(err) {
			return
		}
	}
}

// taken is said after a frame, whose answers that are there are sent now. It reports whether
// the session is over.
func (s *Session) taken(err error) (over bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.running--
	if err != nil && !s.over {
		s.err = err
		s.finish()
	}
	s.flush()
	s.settle()
	return s.over
}

// take begins the requests of a frame.
func (s *Session) take(frame mem.Buffer) error {
	for rest := frame.ReadOnlyData(); ; {
		e, after, more, err := cutEntry(rest)
		if err != nil {
			return err
		}
		if !more {
			return nil
		}
		rest = after
		if e.cancel {
			s.cancelRequest(e.id)
			continue
		}
		r := &Request{session: s, id: e.id, method: s.find(e.method), Body: e.body, bytes: len(e.body), timeout: timeoutOf(e.timeout)}
		if err := s.turn(r); err != nil {
			return err
		}
		if err := s.begin(r); err != nil {
			r.endTurn()
			return err
		}
		if r.method.Quick {
			s.answered(r, r.method.Answer(r), true)
			continue
		}
		frame.Ref()
		r.frame = frame
		s.env.Go(r)
	}
}

// turn waits for the turn of a request.
func (s *Session) turn(r *Request) error {
	switch {
	case r.method.Quick:
		return nil
	case s.limits.Turns.TryAcquire(1):
	default:
		s.mu.Lock()
		s.flush() // what has been answered does not wait for it
		s.mu.Unlock()
		if _, err := s.limits.Turns.Acquire(s.ctx, 1); err != nil {
			return err
		}
	}
	r.turn = true
	return nil
}

// endTurn gives the turn back, if the request has one.
func (r *Request) endTurn() {
	if r.turn {
		r.session.limits.Turns.Release(1)
	}
}

func (s *Session) cancelRequest(id uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r := s.under[id]; r != nil {
		r.cancelLocked(context.Canceled)
	}
}

// timeoutOf is a timeout in microseconds; one past the longest Duration is none.
func timeoutOf(us uint64) time.Duration {
	return time.Duration(min(us, uint64(1<<62)/uint64(time.Microsecond))) * time.Microsecond
}

// begin waits until there is room for a request and puts it under way.
func (s *Session) begin(r *Request) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for !s.over {
		full, roomy := s.full(r.bytes), s.stream.Roomy()
		if !full && roomy {
			break
		}
		if len(s.queue) > 0 && !s.sending { // what it waits for
			s.flush()
			continue
		}
		if full && s.room == nil {
			s.room = make(chan struct{})
		}
		room := s.room
		s.mu.Unlock()
		var err error
		if full {
			err = s.env.Await(s.ctx, room)
		} else {
			err = s.stream.Ready(s.ctx)
		}
		s.mu.Lock()
		if err != nil {
			return err
		}
	}
	if s.over {
		return s.ctx.Err()
	}
	if s.under[r.id] != nil {
		return Invalid(fmt.Sprintf("the request %d of the session is under way already", r.id))
	}
	r.pending, s.under[r.id] = true, r
	if r.method.Sample {
		s.window.sample(r, s.env.Now)
	}
	s.running++
	s.hold(1, r.bytes)
	s.stream.Hold(r.bytes)
	if r.late = s.draining; !r.late {
		s.early++
	}
	return nil
}

// full reports whether there is no room for a request of n bytes. The lock is held.
func (s *Session) full(n int) bool {
	switch {
	case s.count >= s.window.size:
		s.limits.RequestsReached()
	case s.count > 0 && s.bytes+n > s.limits.Bytes:
		s.limits.BytesReached()
	default:
		return false
	}
	return true
}

// hold counts requests and bytes. The lock is held.
func (s *Session) hold(requests, bytes int) {
	s.count, s.bytes = s.count+requests, s.bytes+bytes
	s.load.Requests.Add(int64(requests))
	s.load.Bytes.Add(int64(bytes))
}
