package client

import (
	"context"
	"errors"
	"iter"
	"sync"
	"time"

	"statehouse.dev/statehouse/client/state"
	pb "statehouse.dev/statehouse/proto/statehouse/v1"
)

// LeaseOptions say how a lease is acquired.
type LeaseOptions struct {
	Holder string // for people: who holds it
	// TTL is how long it is held after the client can no longer renew it: 100 ms to 30 days; 30 s.
	TTL time.Duration
	// Wait until it is free, in place of ErrLeaseHeld.
	Wait bool
}

const defaultLeaseTTL = 30 * time.Second

// Lease is a lease that this program holds. The client renews it in the background until it is
// released or lost. Two programs never hold the same one at once, by the daemon's order of commits;
// a program that was stopped for a while may not know yet that it has lost its own. So work that must
// not be done twice commits under Condition, or hands Token to whatever it changes.
type Lease struct {
	c    *Client
	name RecordName // of the lease
	// Token rises with every acquisition of the lease, for good.
	Token Version
	ttl   time.Duration

	mu    sync.Mutex
	until time.Time // by this machine's clock, from before the request that moved it was sent
	again time.Time // when it is to be renewed
	err   error     // why it is not held any more
	lost  map[*context.CancelCauseFunc]struct{}
}

// AcquireLease acquires a lease of an agent; with ErrLeaseHeld if it is held, by whomever.
func (c *Client) AcquireLease(ctx context.Context, agent, name string, o LeaseOptions) (*Lease, error) {
	if o.TTL == 0 {
		o.TTL = defaultLeaseTTL
	}
	l, err := c.acquire(ctx, agent, name, &o)
	if !o.Wait || !errors.Is(err, ErrLeaseHeld) {
		return l, err
	}
	// Every try is after the watch has begun, so no end of the lease can be missed.
	for ev, err := range c.Watch(ctx, WatchQuery{Agent: agent, Lease: name, FromNow: true, Marks: true}) {
		if err != nil {
			return nil, err
		}
		if !ev.Mark && !ev.Operations[len(ev.Operations)-1].Deleted {
			continue
		}
		if l, err := c.acquire(ctx, agent, name, &o); !errors.Is(err, ErrLeaseHeld) {
			return l, err
		}
	}
	return nil, ended(context.Cause(ctx))
}

func (c *Client) acquire(ctx context.Context, agent, name string, o *LeaseOptions) (*Lease, error) {
	sent := c.config.Now()
	commit, err := c.Transact(ctx, Batch{Writes: []Write{Acquire(agent, name, o.Holder, o.TTL)}})
	if err != nil {
		return nil, err
	}
	if len(commit.Versions) != 1 || commit.Versions[0].Version == 0 {
		return nil, broken("a lease without a token")
	}
	l := &Lease{c: c, name: c.named(RecordName{Agent: agent, Key: name}), Token: commit.Versions[0].Version, ttl: o.TTL}
	l.renewed(sent)
	c.leases.add(l)
	return l, nil
}

// HoldLease acquires a lease, runs f while it is held, and releases it. The context that f gets is
// cancelled, with a cause that matches ErrLeaseLost, if the lease is lost meanwhile: then that is the error,
// whatever f returns.
func (c *Client) HoldLease(ctx context.Context, agent, name string, o LeaseOptions, f func(context.Context, *Lease) error) error {
	l, err := c.AcquireLease(ctx, agent, name, o)
	if err != nil {
		return err
	}
	held, cancel := l.Context(ctx)
	err = f(held, l)
	cancel()
	lost := l.Err()
	if release := l.Release(context.WithoutCancel(ctx)); lost == nil {
		lost = release
	}
	if lost != nil {
		return lost
	}
	return err
}

// Condition is that the lease is still held, for Conditions.Leases.
func (l *Lease) Condition() LeasePrecondition {
	return LeasePrecondition{Namespace: l.name.Namespace, Agent: l.name.Agent, Lease: l.name.Key, Token: l.Token}
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

// Release gives the lease up. It fails with ErrLeaseLost if it was lost before.
func (l *Lease) Release(ctx context.Context) error {
	l.c.leases.remove(l)
	before := l.Err()
	l.end(local(pb.ErrorCode_LEASE_LOST, ErrLeaseLost, "the lease %q of agent %q was released", l.name.Key, l.name.Agent))
	if before != nil {
		return before
	}
	w := Release(l.name.Agent, l.name.Key, l.Token)
	w.Namespace = l.name.Namespace
	_, err := l.c.Transact(ctx, Batch{Writes: []Write{w}})
	return err
}

// end is what becomes of a lease that is not held any more.
func (l *Lease) end(why error) {
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

// renewed notes that a request which was sent then has renewed the lease.
func (l *Lease) renewed(sent time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.until, l.again = sent.Add(l.ttl), sent.Add(l.ttl/3)
}

// Acquire is an operation of a batch that acquires a lease, which nobody renews then but the caller
// (RenewLeases). Its version in the commit is the token.
func Acquire(agent, name, holder string, ttl time.Duration) Write {
	return state.Acting(RecordName{Agent: agent, Key: name}, func(o *pb.TransactOperation) {
		o.Acquire = &pb.AcquireLease{Holder: holder, TtlMs: state.Milliseconds(ttl)}
	})
}

// Release is an operation of a batch that releases a lease.
func Release(agent, name string, token Version) Write {
	return state.Acting(RecordName{Agent: agent, Key: name}, func(o *pb.TransactOperation) {
		o.Release = &pb.ReleaseLease{Token: uint64(token)}
	})
}

// Leases yields the leases that are held, of an agent or with "" of all agents of the namespace, whose names
// begin with prefix, in byte order of agents and names.
func (c *Client) Leases(ctx context.Context, agent, prefix string) iter.Seq2[HeldLease, error] {
	return pages(c, 0, func(size uint32, token string) ([]HeldLease, string, error) {
		req := &pb.ListLeasesRequest{Namespace: c.config.Namespace, AgentId: agent, Prefix: prefix, Limit: size, PageToken: token}
		resp, err := ask(ctx, c, c.stub.ListLeases, req)
		if err != nil {
			return nil, "", err
		}
		leases := make([]HeldLease, len(resp.GetLeases()))
		for i, l := range resp.GetLeases() {
			leases[i] = state.HeldLeaseOf(l)
		}
		return leases, resp.GetNextPageToken(), nil
	})
}

// Renewal asks to hold a lease for longer, for a program that keeps its leases itself.
type Renewal struct {
	LeasePrecondition
	TTL time.Duration // from now; 0: as it was acquired
}

// Renewed is the answer to a Renewal.
type Renewed struct {
	Lost     bool // it is not held under that token any more
	Deadline time.Time
}

// RenewLeases moves the deadlines of leases, each by itself. It is durable when it returns.
func (c *Client) RenewLeases(ctx context.Context, renewals ...Renewal) ([]Renewed, error) {
	req := &pb.RenewLeasesRequest{}
	for _, r := range renewals {
		n := c.named(RecordName{Namespace: r.Namespace})
		req.Leases = append(req.Leases, &pb.LeaseRenewal{
			Namespace: n.Namespace, AgentId: r.Agent, Lease: r.Lease, Token: uint64(r.Token), TtlMs: state.Milliseconds(r.TTL),
		})
	}
	resp, err := ask(ctx, c, c.stub.RenewLeases, req)
	if err != nil {
		return nil, err
	}
	if len(resp.GetLeases()) != len(renewals) {
		return nil, broken("%d answers for %d leases", len(resp.GetLeases()), len(renewals))
	}
	answers := make([]Renewed, len(renewals))
	for i, l := range resp.GetLeases() {
		answers[i] = Renewed{l.GetLost(), state.TimeOf(l.GetDeadline())}
	}
	return answers, nil
}

// RefreshExpiry keeps records that expire for ttl from now, or with 0 for what each was written with. None
// expires earlier for it. It returns when each expires now: zero for one that is not there, or does not.
func (c *Client) RefreshExpiry(ctx context.Context, ttl time.Duration, names ...RecordName) ([]time.Time, error) {
	req := &pb.RefreshExpiryRequest{TtlMs: state.Milliseconds(ttl)}
	for _, n := range names {
		n = c.named(n)
		req.Names = append(req.Names, &pb.RecordName{Namespace: n.Namespace, AgentId: n.Agent, Key: n.Key})
	}
	resp, err := ask(ctx, c, c.stub.RefreshExpiry, req)
	if err != nil {
		return nil, err
	}
	if len(resp.GetRecords()) != len(names) {
		return nil, broken("%d answers for %d records", len(resp.GetRecords()), len(names))
	}
	at := make([]time.Time, len(names))
	for i, r := range resp.GetRecords() {
		at[i] = state.TimeOf(r.GetExpiresAt())
	}
	return at, nil
}
