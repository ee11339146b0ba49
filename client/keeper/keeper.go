package keeper

import (
	"context"
	"slices"
	"sync"
	"time"
)

// A Keeper renews the leases that a program holds: those of a client that are due in one request. It has a
// goroutine while there are any, and one for each request: no lease has to wait for the answer to another's.
type Keeper struct {
	mu      sync.Mutex
	held    []*Lease
	running bool
	wake    context.CancelFunc // ends the sleep of the goroutine; nil: it does not sleep
}

// renewedAtOnce is how many leases a request renews at most.
const renewedAtOnce = 1000

// Add begins to renew a lease, which has been renewed once: by what acquired it.
func (k *Keeper) Add(l *Lease) {
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

// Remove ends that.
func (k *Keeper) Remove(l *Lease) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.held = slices.DeleteFunc(k.held, func(other *Lease) bool { return other == l })
	if len(k.held) == 0 && k.wake != nil {
		k.wake()
	}
}

func (k *Keeper) run() {
	for {
		ctx, due, next := k.next()
		switch l := next.of; {
		case len(due) > 0:
			go k.renew(due) // meanwhile others may be due, or lost
		case l != nil:
			_ = l.By.Sleep(ctx, next.at.Sub(l.By.Now()))
		case ctx != nil: // all are being renewed
			<-ctx.Done()
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
func (k *Keeper) next() (ctx context.Context, due []*Lease, next nextRenewal) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.wake = nil
	if len(k.held) == 0 {
		k.running = false
		return nil, nil, next
	}
	for _, l := range k.held {
		if l.asking {
			continue
		}
		again := l.next()
		if !l.By.Now().Before(again) {
			if len(due) < renewedAtOnce && (len(due) == 0 || due[0].By == l.By) {
				l.asking = true
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

// renew renews leases of one client. Those that could not be renewed in time are lost: the daemon may
// give them to others.
func (k *Keeper) renew(due []*Lease) {
	by := due[0].By
	sent := by.Now()
	patience := time.Hour
	for _, l := range due {
		patience = min(patience, l.TTL/3, l.deadline().Sub(sent))
	}
	ctx, cancel := by.WithTimeout(context.Background(), patience)
	defer cancel()
	lost, err := by.Renew(ctx, due)
	now := by.Now()
	for i, l := range due {
		switch {
		case err == nil && !lost[i]:
			l.Renewed(sent)
		case err == nil:
			k.lose(l, by.Lost(l, nil))
		case !now.Before(l.deadline()):
			k.lose(l, by.Lost(l, err))
		default:
			l.later(now)
		}
	}
	k.renewed(due)
}

// renewed has the leases looked at again.
func (k *Keeper) renewed(due []*Lease) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, l := range due {
		l.asking = false
	}
	if k.wake != nil {
		k.wake()
	}
}

func (k *Keeper) lose(l *Lease, why error) {
	k.Remove(l)
	l.End(why)
}
