package keeper

import (
	"context"
	"sync"
	"time"

	"statehouse.dev/statehouse/client/state"
)

// Source is who renews leases: a client. Sources are compared.
type Source interface {
	Now() time.Time
	Sleep(ctx context.Context, d time.Duration) error
	WithTimeout(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc)
	// Renew asks to hold leases for their TTL from now, and says which are lost.
	Renew(ctx context.Context, leases []*Lease) (lost []bool, err error)
	// Lost is the error of a lease that could not be renewed in time because of err; nil: it was lost.
	Lost(l *Lease, err error) error
}

// Lease is a lease while it is held, as far as this program knows.
type Lease struct {
	By        Source
	Condition state.LeasePrecondition
	TTL       time.Duration

	asking bool // it is in a request that is under way; the Keeper's

	mu    sync.Mutex
	until time.Time // by this machine's clock, from before the request that moved it was sent
	again time.Time // when it is to be renewed
	err   error     // why it is not held any more
	lost  map[*context.CancelCauseFunc]struct{}
}

// Err is nil while the lease is held, as far as the client knows; else it matches ErrLeaseLost.
func (l *Lease) Err() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.err
}

// Context is parent until the lease is lost or given up: then it is cancelled, with Err as its cause.
func (l *Lease) Context(parent context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(parent)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err != nil {
		cancel(l.err)
		return ctx, func() {}
	}
	if l.lost == nil {
		l.lost = make(map[*context.CancelCauseFunc]struct{})
	}
	l.lost[&cancel] = struct{}{}
	return ctx, func() {
		l.mu.Lock()
		delete(l.lost, &cancel)
		l.mu.Unlock()
		cancel(nil)
	}
}

// End is what becomes of a lease that is not held any more.
func (l *Lease) End(why error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err != nil {
		return
	}
	l.err = why
	for cancel := range l.lost { // all are told: in any order
		(*cancel)(why)
	}
	l.lost = nil
}

// Renewed notes that a request which was sent then has renewed the lease.
func (l *Lease) Renewed(sent time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.until, l.again = sent.Add(l.TTL), sent.Add(l.TTL/3)
}

// next is when the lease is to be renewed.
func (l *Lease) next() time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.again
}

func (l *Lease) deadline() time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.until
}

// later puts off a renewal that was refused.
func (l *Lease) later(now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.again = now.Add(min(l.TTL/10, time.Second))
	if l.until.Before(l.again) {
		l.again = l.until
	}
}
