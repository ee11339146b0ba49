package server

import (
	"context"
	"sync"

	"statehouse.dev/statehouse/engine"
)

// semaphore bounds what answers take in memory while they are made, and how many streams
// read. Neither depends on a client, so whoever finds no room waits for it, in turn, and
// gets it soon.
type semaphore struct {
	await func(context.Context, <-chan struct{}) error

	mu      sync.Mutex
	size    int64
	free    int64
	waiting []*waiter
}

type waiter struct {
	bytes int64
	in    chan struct{} // closed when it has its room
}

func newSemaphore(size int64, env *engine.Env) *semaphore {
	return &semaphore{await: env.Await, size: size, free: size}
}

// acquire waits for n bytes of room, at most all there is, and returns how many it got.
func (r *semaphore) acquire(ctx context.Context, n int64) (int64, error) {
	n = min(n, r.size)
	r.mu.Lock()
	if len(r.waiting) == 0 && r.free >= n {
		r.free -= n
		r.mu.Unlock()
		return n, nil
	}
	w := &waiter{bytes: n, in: make(chan struct{})}
	r.waiting = append(r.waiting, w)
	r.mu.Unlock()
	if err := r.await(ctx, w.in); err != nil {
		r.giveUp(w)
		return 0, err
	}
	return n, nil
}

func (r *semaphore) release(n int64) {
	if n == 0 {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.free += n
	r.admitLocked()
}

func (r *semaphore) admitLocked() {
	for len(r.waiting) > 0 && r.free >= r.waiting[0].bytes {
		w := r.waiting[0]
		r.waiting[0] = nil // the array lives on
		r.waiting = r.waiting[1:]
		r.free -= w.bytes
		close(w.in)
	}
}

// giveUp takes a waiter out of the queue, or its bytes from it when it has been let in
// meanwhile.
func (r *semaphore) giveUp(w *waiter) {
	r.mu.Lock()
	defer r.mu.Unlock()
	select {
	case <-w.in:
		r.free += w.bytes
	default:
		for i := range r.waiting {
			if r.waiting[i] == w {
				r.waiting = append(r.waiting[:i], r.waiting[i+1:]...)
				break
			}
		}
	}
	r.admitLocked()
}
