package statehousetest

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"statehouse.dev/statehouse/client"
)

// Clock is a clock that moves only when a test moves it.
type Clock struct {
	mu     sync.Mutex
	now    time.Time
	probes []*client.Client // one of each daemon that has this clock
}

// NewClock is a clock that stands at a time; the zero time: at 2026-01-01T00:00:00Z.
func NewClock(at time.Time) *Clock {
	if at.IsZero() {
		at = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	}
	return &Clock{now: at}
}

// Now is the time at which the clock stands.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// Advance moves the clock forward. When it returns, what became due by then has happened in every daemon that has
// the clock and runs: records have expired, leases and claims have lapsed, transactions that a
// daemon holds are over. It panics if a daemon does not answer.
func (c *Clock) Advance(by time.Duration) {
	if by < 0 {
		panic("statehousetest: a clock does not go back")
	}
	c.mu.Lock()
	c.now = c.now.Add(by)
	probes := c.probes
	c.mu.Unlock()
	for _, p := range probes {
		if err := settle(p); err != nil {
			panic(fmt.Sprintf("statehousetest: after the clock has moved: %v", err))
		}
	}
}

// attach has Advance wait for a daemon, by a client of it.
func (c *Clock) attach(probe *client.Client) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.probes = append(slices.Clone(c.probes), probe)
}

// detach has Advance no longer wait for it.
func (c *Clock) detach(probe *client.Client) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.probes = slices.DeleteFunc(slices.Clone(c.probes), func(p *client.Client) bool { return p == probe })
}

// settle returns when a daemon has nothing left that is due. A step of the daemon makes the commits that are due
// before it answers those who asked for something, a bounded number at a time: until none was made, the place of
// the order that a request is answered with moves.
func settle(c *client.Client) error {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	nothing := client.Batch{Conditions: client.Conditions{Keys: []client.KeyPrecondition{{RecordName: client.RecordName{Agent: "clock", Key: "clock"}}}}}
	for last := client.CommitTS(0); ; {
		commit, err := c.Transact(ctx, nothing)
		if err != nil {
			return err
		}
		if commit.CommitTS == last {
			return nil
		}
		last = commit.CommitTS
	}
}
