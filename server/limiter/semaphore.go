package limiter

import (
	"context"
	"slices"
	"sync"
)

// Semaphore has room for a number of bytes, or of whatever it is used for. Those who find
// none wait for it, first come, first served.
type Semaphore struct {
	await func(context.Context, <-chan struct{}) error

	mu      sync.Mutex
	size    int64
	free    int64
	waiting []*waiter
}

type waiter struct {
	n  int64
	in chan struct{} // closed when it has its room
}

// NewSemaphore makes one that waits by await (engine.Env).
func NewSemaphore(size int64, await func(context.Context, <-chan struct{}) error) *Semaphore {
	return &Semaphore{await: await, size: size, free: size}
}

// Acquire waits for n, or all there is if that is less, and returns how much it got. Its
// error is the context's.
func (s *Semaphore) Acquire(ctx context.Context, n int64) (int64, error) {
	n = min(n, s.size)
	s.mu.Lock()
	if len(s.waiting) == 0 && s.free >= n {
		s.free -= n
		s.mu.Unlock()
		return n, nil
	}
	w := &waiter{n: n, in: make(chan struct{})}
	s.waiting = append(s.waiting, w)
	s.mu.Unlock()
	if err := s.await(ctx, w.in); err != nil {
		s.giveUp(w)
		return 0, err
	}
	return n, nil
}

// TryAcquire takes n if there is room for it and no one waits, and reports whether it did.
func (s *Semaphore) TryAcquire(n int64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.waiting) > 0 || s.free < n {
		return false
	}
	s.free -= n
	return true
}

// Release gives back what Acquire returned.
func (s *Semaphore) Release(n int64) {
	if n == 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.free += n
	s.admitLocked()
}

// Usage is how much is taken, and how many wait.
func (s *Semaphore) Usage() (taken int64, waiting int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.size - s.free, len(s.waiting)
}

func (s *Semaphore) admitLocked() {
	for len(s.waiting) > 0 && s.free >= s.waiting[0].n {
		w := s.waiting[0]
		s.waiting[0] = nil // the array lives on
		s.waiting = s.waiting[1:]
		s.free -= w.n
		close(w.in)
	}
}

// giveUp takes a waiter out of the queue, or what it got from it if it has been let in
// meanwhile.
func (s *Semaphore) giveUp(w *waiter) {
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case <-w.in:
		s.free += w.n
	default:
		if i := slices.Index(s.waiting, w); i >= 0 {
			s.waiting = slices.Delete(s.waiting, i, i+1)
		}
	}
	s.admitLocked()
}
