package client

import (
	"context"
	"time"

	"statehouse.dev/statehouse/client/state"
	pb "statehouse.dev/statehouse/proto/statehouse/v1"
)

// Records that are due at a time, and claims, which hand each out to one worker at a time.

// ClaimOptions say what a claim takes.
type ClaimOptions struct {
	AllAgents bool   // of the namespace; the agent must then be empty
	Prefix    string // of the keys
	Limit     int    // at most so many; 0: one
	Holder    string // for people: who holds them
	// TTL is how long they are held after the client can no longer renew: 100 ms to 30 days; 30 s.
	TTL time.Duration
	// Wait until there is one. Otherwise a claim may take none.
	Wait bool
}

// Claimed is a record that was due and that this program holds. The client renews its lease, as any other,
// until it is completed, released (then another claim may take it at once) or lost.
type Claimed struct {
	Record
	DueAt time.Time
	Lease *Lease
}

// Claim is an operation of a batch that claims what is due; it is the only one of its batch. Nobody renews the
// leases then but the caller: the result has them.
func Claim(agent, prefix, holder string, ttl time.Duration, limit int) Write {
	return state.Acting(RecordName{Agent: agent, Key: prefix}, func(o *pb.TransactOperation) {
		o.Claim = &pb.ClaimDue{Holder: holder, TtlMs: state.Milliseconds(ttl), Limit: uint32(max(limit, 0)), AllAgents: o.AgentId == ""}
	})
}

// Complete is an operation of a batch that ends a claim: the record is no longer due.
func Complete(agent, key string, token Version) Write {
	return state.Acting(RecordName{Agent: agent, Key: key}, func(o *pb.TransactOperation) {
		o.Complete = &pb.CompleteDue{Token: uint64(token)}
	})
}

// Claim takes records of an agent that are due and that no worker holds, those that have been for longest
// first. Each is handed out until a worker has completed it: to one at a time, and to another when the one
// before has lost its lease. Complete it in the commit that has the work's results.
func (c *Client) Claim(ctx context.Context, agent string, o ClaimOptions) ([]Claimed, error) {
	if o.AllAgents != (agent == "") {
		return nil, invalidf("a claim is of one agent, or of all")
	}
	if o.TTL == 0 {
		o.TTL = defaultLeaseTTL
	}
	claimed, err := c.claim(ctx, agent, &o)
	if !o.Wait || err != nil || len(claimed) > 0 {
		return claimed, err
	}
	// Every try is after the watch has begun, so nothing that becomes due can be missed.
	for _, err := range c.Watch(ctx, WatchQuery{Agent: agent, AllAgents: o.AllAgents, Prefix: o.Prefix, Due: true, NoValues: true, FromNow: true, Marks: true}) {
		if err != nil {
			return nil, err
		}
		if claimed, err := c.claim(ctx, agent, &o); err != nil || len(claimed) > 0 {
			return claimed, err
		}
	}
	return nil, ended(context.Cause(ctx))
}

func (c *Client) claim(ctx context.Context, agent string, o *ClaimOptions) (claimed []Claimed, err error) {
	sent := c.config.Now()
	commit, err := c.Transact(ctx, Batch{Writes: []Write{Claim(agent, o.Prefix, o.Holder, o.TTL, o.Limit)}})
	if err != nil {
		return nil, err
	}
	if len(commit.Results) != 1 {
		return nil, broken("no result of a claim")
	}
	for _, d := range commit.Results[0].Claimed {
		name := RecordName{Namespace: d.Lease.Namespace, Agent: d.Lease.Agent, Key: d.Lease.Name}
		l := &Lease{c: c, name: name, Token: d.Lease.Token, ttl: d.Lease.TTL}
		l.renewed(sent)
		c.leases.add(l)
		claimed = append(claimed, Claimed{d.Record, d.DueAt, l})
	}
	return claimed, nil
}

// Complete ends the claim for good, in the commit of what the work has come to. ErrLeaseLost: it had been lost,
// so another worker does the work, and nothing was committed.
func (d *Claimed) Complete(ctx context.Context, writes ...Write) (Commit, error) {
	w := Complete(d.Agent, d.Key, d.Lease.Token)
	w.Namespace = d.Namespace
	commit, err := d.Lease.c.Transact(ctx, Batch{Writes: append([]Write{w}, writes...)})
	if err == nil {
		d.Lease.c.leases.remove(d.Lease)
		d.Lease.end(local(pb.ErrorCode_LEASE_LOST, ErrLeaseLost, "the record %q of agent %q was completed", d.Key, d.Agent))
	}
	return commit, err
}
