package limiter

import (
	"context"
	"sync"

	"statehouse.dev/statehouse/engine/fair"
)

// Semaphore has room for a number of bytes, or of whatever it is used for. Those who find
// none wait for it, each share of them for as much as the others (engine/fair).
type Semaphore struct {
	await func(context.Context, <-chan struct{}) error

	mu      sync.Mutex
	size    int64
	free    int64
	waiting fair.Queue[*waiter]
}

type waiter struct {
	place fair.Place
	in    chan struct{} // closed when it has its room
}

func (w *waiter) Place() *fair.Place { return &w.place }

// NewSemaphore makes one that waits by await (engine.Env).
func NewSemaphore(size int64, await func(context.Context, <-chan struct{}) error) *Semaphore {
	return &Semaphore{await: await, size: size, free: size}
}

// Acquire is AcquireFor where all are one share: first come, first served.
func (s *Semaphore) Acquire(ctx context.Context, n int64) (int64, error) {
	return s.AcquireFor(ctx, "", n)
}

// AcquireFor waits for n, or all there is if that is less, and returns how much it got. share
// names whom it is for: one who asks for much waits for themselves. Its error is the context's.
func (s *Semaphore) AcquireFor(ctx context.Context, share string, n int64) (int64, error) {
	n = min(n, s.size)
	s.mu.Lock()
	if s.waiting.Len() == 0 && s.free >= n {
		s.free -= n
		s.mu.Unlock()
		return n, nil
	}
	w := &waiter{in: make(chan struct{})}
	s.waiting.Join(w, share, int(n))
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
	if s.waiting.Len() > 0 || s.free < n {
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
	return s.size - s.free, s.waiting.Len()
}

func (s *Semaphore) admitLocked() {
	for s.waiting.Len() > 0 && s.free >= int64(s.waiting.Next().place.Size()) {
		w := s.waiting.Take()
		s.free -= int64(w.place.Size())
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
		s.free += int64(w.place.Size())
	default:
		s.waiting.Leave(w)
	}
	s.admitLocked()
}
