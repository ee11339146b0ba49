package client

import (
	"context"
	"slices"
	"sync"
	"time"

	pb "statehouse.dev/statehouse/proto/statehouse/v1"
)

// keeper renews the leases that a program holds: those of a client that are due in one request. It has a
// goroutine while there are any.
type keeper struct {
	mu      sync.Mutex
	held    []*Lease
	running bool
	wake    context.CancelFunc // ends the sleep of the goroutine; nil: it does not sleep
}

// renewedAtOnce is how many leases a request renews at most.
const renewedAtOnce = 1000

func (k *keeper) add(l *Lease) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.held = append(k.held, l)
	switch {
	case !k.running:
		k.running = true
		go k.run()
	case k.wake != nil:
		k.wake()
	}
}

func (k *keeper) remove(l *Lease) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.held = slices.DeleteFunc(k.held, func(other *Lease) bool { return other == l })
	if len(k.held) == 0 && k.wake != nil {
		k.wake()
	}
}

func (k *keeper) run() {
	for {
		ctx, due, next := k.next()
		switch {
		case len(due) > 0:
			k.renew(due)
		case ctx != nil:
			l := next.of
			_ = l.c.config.Sleep(ctx, next.at.Sub(l.c.config.Now()))
		default:
			return
		}
	}
}

type nextRenewal struct {
	of *Lease
	at time.Time
}

// next returns leases of a client that are due for a renewal, or when the next one is, and what ends a sleep
// until then; neither when no lease is held.
func (k *keeper) next() (ctx context.Context, due []*Lease, next nextRenewal) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.wake = nil
	if len(k.held) == 0 {
		k.running = false
		return nil, nil, next
	}
	for _, l := range k.held {
		again := l.next()
		if !l.c.config.Now().Before(again) {
			if len(due) < renewedAtOnce && (len(due) == 0 || due[0].c == l.c) {
				due = append(due, l)
			}
			continue
		}
		if next.of == nil || again.Before(next.at) {
			next = nextRenewal{l, again}
		}
	}
	if len(due) == 0 {
		ctx, k.wake = context.WithCancel(context.Background())
	}
	return ctx, due, next
}

// next is when the lease is to be renewed.
func (l *Lease) next() time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.again
}

// renew renews leases of one client. Those that could not be renewed in time are lost: the daemon may
// give them to others.
func (k *keeper) renew(due []*Lease) {
	c, first := due[0].c, due[0].deadline()
	asked := make([]Renewal, len(due))
	for i, l := range due {
		asked[i].LeasePrecondition, asked[i].TTL = l.Condition(), l.ttl
		if at := l.deadline(); at.Before(first) {
			first = at
		}
	}
	sent := c.config.Now()
	ctx, cancel := c.config.WithTimeout(context.Background(), min(first.Sub(sent), k.patience()))
	defer cancel()
	answers, err := c.RenewLeases(ctx, asked...)
	now := c.config.Now()
	for i, l := range due {
		switch {
		case err == nil && !answers[i].Lost:
			l.renewed(sent)
		case err == nil:
			k.lose(l, local(pb.ErrorCode_LEASE_LOST, ErrLeaseLost, "the lease %q of agent %q has lapsed, or was taken", l.name.Key, l.name.Agent))
		case !now.Before(l.deadline()):
			k.lose(l, local(pb.ErrorCode_LEASE_LOST, ErrLeaseLost, "the lease %q of agent %q could not be renewed in time: %v", l.name.Key, l.name.Agent, err))
		default:
			l.later(now)
		}
	}
}

// patience is how long a renewal may take: while it does, no other lease is renewed.
func (k *keeper) patience() time.Duration {
	k.mu.Lock()
	defer k.mu.Unlock()
	least := time.Hour
	for _, l := range k.held {
		least = min(least, l.ttl/3)
	}
	return least
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
	l.again = now.Add(min(l.ttl/10, time.Second))
	if l.until.Before(l.again) {
		l.again = l.until
	}
}

func (k *keeper) lose(l *Lease, why error) {
	k.remove(l)
	l.end(why)
}
