package sched

import "sync"

// Barrier holds back what goroutines are about to do, as soon as they get to run, until it
// is opened or lets one pass.
type Barrier struct {
	mu      sync.Mutex
	turn    sync.Cond
	open    bool
	passes  int // how many may pass though it is shut
	waiting int
}

// NewBarrier makes a barrier that is shut.
func NewBarrier() *Barrier {
	b := &Barrier{}
	b.turn.L = &b.mu
	return b
}

// Pass waits until the barrier is open.
func (b *Barrier) Pass() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.waiting++
	for !b.open && b.passes == 0 {
		b.turn.Wait()
	}
	b.passes = max(b.passes-1, 0)
	b.waiting--
}

// LetOne lets one pass, now or when it comes.
func (b *Barrier) LetOne() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.passes++
	b.turn.Signal()
}

// Set opens or shuts the barrier.
func (b *Barrier) Set(open bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.open, b.passes = open, 0
	b.turn.Broadcast()
}

// Reached reports whether a goroutine waits there.
func (b *Barrier) Reached() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.waiting > 0
}
