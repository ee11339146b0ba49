package client

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"statehouse.dev/statehouse/client/keeper"
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
	held *keeper.Lease
	// Token rises with every acquisition of the lease, for good.
	Token Version
}

// holding is a lease that a request which was sent then has acquired. It is renewed from now on.
func (c *Client) holding(p LeasePrecondition, ttl time.Duration, sent time.Time) *Lease {
	l := &Lease{c: c, held: &keeper.Lease{By: renewer{c}, Condition: p, TTL: ttl}, Token: p.Token}
	l.held.Renewed(sent)
	c.leases.Add(l.held)
	return l
}

// renewer is a client, as the keeper of leases has it.
type renewer struct{ c *Client }

func (r renewer) Now() time.Time                                   { return r.c.config.Now() }
func (r renewer) Sleep(ctx context.Context, d time.Duration) error { return r.c.config.Sleep(ctx, d) }
func (r renewer) WithTimeout(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	return r.c.config.WithTimeout(ctx, d)
}

func (r renewer) Renew(ctx context.Context, leases []*keeper.Lease) ([]bool, error) {
	asked := make([]Renewal, len(leases))
	for i, l := range leases {
		asked[i] = Renewal{l.Condition, l.TTL}
	}
	answers, err := r.c.RenewLeases(ctx, asked...)
	lost := make([]bool, len(answers))
	for i, a := range answers {
		lost[i] = a.Lost
	}
	return lost, err
}

func (r renewer) Lost(l *keeper.Lease, err error) error {
	if err == nil {
		return leaseLost(&l.Condition, "has lapsed, or was taken")
	}
	return leaseLost(&l.Condition, fmt.Sprintf("could not be renewed in time: %v", err))
}

func leaseLost(p *LeasePrecondition, why string) error {
	return local(pb.ErrorCode_LEASE_LOST, ErrLeaseLost, "the lease %q of agent %q %s", p.Lease, p.Agent, why)
}

// Err is nil while the lease is held, as far as the client knows; else it matches ErrLeaseLost.
func (l *Lease) Err() error { return l.held.Err() }

// Context is parent until the lease is lost or given up: then it is cancelled, with Err as its cause.
func (l *Lease) Context(parent context.Context) (context.Context, context.CancelFunc) {
	return l.held.Context(parent)
}

// end is what becomes of a lease that this program gives up.
func (l *Lease) end(why string) {
	l.c.leases.Remove(l.held)
	l.held.End(leaseLost(&l.held.Condition, why))
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
	n := c.named(RecordName{Agent: agent, Key: name})
	return c.holding(LeasePrecondition{Namespace: n.Namespace, Agent: n.Agent, Lease: n.Key, Token: commit.Versions[0].Version}, o.TTL, sent), nil
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
func (l *Lease) Condition() LeasePrecondition { return l.held.Condition }

// Release gives the lease up. It fails with ErrLeaseLost if it was lost before.
func (l *Lease) Release(ctx context.Context) error {
	before := l.Err()
	l.end("was released")
	if before != nil {
		return before
	}
	p := l.Condition()
	w := Release(p.Agent, p.Lease, p.Token)
	w.Namespace = p.Namespace
	_, err := l.c.Transact(ctx, Batch{Writes: []Write{w}})
	return err
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
	return pages(c, 0, nil, func(size uint32, token string) ([]HeldLease, string, error) {
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
