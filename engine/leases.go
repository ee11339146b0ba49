package engine

import (
	"bytes"
	"context"
	"strings"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"statehouse.dev/statehouse/engine/layout"
	"statehouse.dev/statehouse/engine/words"
)

// Renewal asks to hold a lease for longer.
type Renewal struct {
	Agent AgentName
	Lease string
	Token Version
	TTL   time.Duration // from now; 0: as it was acquired
}

// Renewed is the answer to a Renewal.
type Renewed struct {
	Lost     bool // it is not held under that token
	Deadline time.Time
}

// RenewLeases moves deadlines of leases, each by itself. They are durable when it returns. permit,
// unless nil, is asked when their turn comes. When ctx ends first the outcome is unknown. Errors:
// ErrInvalid, ErrLimit, ErrStopped, ErrDiskFull, ErrDataLoss, ErrStorage, ErrOutcomeUnknown, and
// permit's.
func (e *Engine) RenewLeases(ctx context.Context, asked []Renewal, permit func() error) ([]Renewed, error) {
	if n, most := len(asked), e.opts.Limits.TxnOps; n > most {
		return nil, limitErr(&e.reached.TxnOps, "leases of a renewal", n, most)
	}
	moves := make([]move, len(asked))
	for i, r := range asked {
		key, err := (&LeasePrecondition{r.Agent, r.Lease, r.Token}).record()
		if err == nil && r.TTL != 0 {
			err = checkLeaseTTL(r.TTL)
		}
		if err != nil {
			return nil, err
		}
		moves[i] = move{prefix: string(layout.RecordPrefix(key.Name)), kind: CauseLapsed, version: r.Token, ttl: r.TTL}
	}
	if err := e.moveHolds(ctx, moves, permit); err != nil {
		return nil, err
	}
	answers := make([]Renewed, len(moves))
	for i := range moves {
		if now := moves[i].now; now != nil {
			answers[i].Deadline = now.Deadline
		} else {
			answers[i].Lost = true
		}
	}
	return answers, nil
}

// Refreshed is the answer to a refresh of a record's expiry.
type Refreshed struct {
	Version   Version   // 0: there is no such record, or it does not expire
	ExpiresAt time.Time // zero likewise
}

// RefreshExpiry moves the deadlines of records that expire, each by itself: to ttl from now, or with
// 0 by what each was written with. None comes nearer. Else it is as RenewLeases.
func (e *Engine) RefreshExpiry(ctx context.Context, names []RecordName, ttl time.Duration, permit func() error) ([]Refreshed, error) {
	if n, most := len(names), e.opts.Limits.TxnOps; n > most {
		return nil, limitErr(&e.reached.TxnOps, "records of a refresh", n, most)
	}
	if ttl < 0 || ttl > MaxTTL {
		return nil, words.Failf(ErrInvalid, "the time to live is %v: at most %v, and positive", ttl, MaxTTL).With("field", "ttl_ms")
	}
	moves := make([]move, len(names))
	for i, n := range names {
		if err := n.Normalize(); err != nil {
			return nil, err
		}
		moves[i] = move{prefix: string(layout.RecordPrefix(n)), kind: CauseExpired, ttl: ttl}
	}
	if err := e.moveHolds(ctx, moves, permit); err != nil {
		return nil, err
	}
	answers := make([]Refreshed, len(moves))
	for i := range moves {
		if now := moves[i].now; now != nil {
			answers[i] = Refreshed{now.Version, now.Deadline}
		}
	}
	return answers, nil
}

// Lease is a lease that is held.
type Lease struct {
	Agent      AgentName
	Name       string
	Token      Version
	Holder     string
	TTL        time.Duration // as it was acquired
	Deadline   time.Time
	AcquiredTS CommitTS
	AcquiredAt time.Time
}

// LeaseList selects leases.
type LeaseList struct {
	Namespace string
	Agent     string    // "": all agents of the namespace
	Prefix    string    // of the name
	After     AgentName // resume after the lease AfterName of this agent
	AfterName string    // "" starts
	Page      Page
}

func (l *LeaseList) normalize() error {
	a := AgentName{Namespace: l.Namespace, Agent: l.Agent}
	if l.Agent == "" {
		a.Agent = "any"
	}
	if err := a.Normalize(); err != nil {
		return err
	}
	l.Namespace = a.Namespace
	if len(l.Prefix) > MaxLeaseBytes || strings.IndexByte(l.Prefix, 0) >= 0 {
		return words.Failf(ErrInvalid, "the prefix can be of no lease: it has U+0000 or is longer than %d bytes", MaxLeaseBytes).With("field", "prefix")
	}
	if l.AfterName == "" {
		return nil
	}
	if err := checkAfter(l.AfterName, l.Prefix, MaxLeaseBytes); err != nil {
		return err
	}
	if l.After.Normalize() != nil || l.After.Namespace != l.Namespace || l.Agent != "" && l.After.Agent != l.Agent {
		return words.Failf(ErrInvalid, "the page token is of other leases").With("field", "page_token")
	}
	return nil
}

// Leases pages through the leases that are held, as of now, in byte order of agents and names.
func (e *Engine) Leases(ctx context.Context, l LeaseList) (leases []Lease, more bool, err error) {
	if f := e.failed.Load(); f != nil {
		return nil, false, f
	}
	if err := l.normalize(); err != nil {
		return nil, false, err
	}
	leases, more, err = e.leaseList(ctx, &l)
	return leases, more, e.noted(err)
}

func (e *Engine) leaseList(ctx context.Context, l *LeaseList) (leases []Lease, more bool, err error) {
	base := layout.AppendNames(nil, layout.HoldTag, l.Namespace)
	if l.Agent != "" {
		base = layout.AppendNames(nil, layout.HoldTag, l.Namespace, l.Agent)
	}
	it, at, err := e.heldRows(base, layout.Successor(base))
	if err != nil {
		return nil, false, err
	}
	it.ctx = ctx
	size := 0
	for ok := it.seek(l.from(base)); ok; {
		n, h, next, good := leaseAt(it, l)
		if !good {
			it.corrupt()
			break
		}
		if next != nil {
			ok = it.seek(next)
			continue
		}
		rec, err := at.get(n, layout.RecordPrefix(n))
		if err != nil {
			_ = it.close()
			return nil, false, err
		}
		_, name := SplitHidden(n.Key)
		if more = l.Page.full(len(leases), size, rec.size()); more {
			break
		}
		size += rec.size()
		v := parseLease(rec.Value)
		leases = append(leases, Lease{n.AgentName(), name, h.Version, v.Holder, h.TTL, h.Deadline, rec.CommitTS, rec.CommitTime})
		ok = it.next()
	}
	return leases, more, it.close()
}

// heldRows opens an iterator on rows of holds, as of the last published commit.
func (e *Engine) heldRows(lower, upper []byte) (*rowIter, Snapshot, error) {
	e.system.mu.RLock() // what is shown of the rows changes in the moment in which a commit is published
	defer e.system.mu.RUnlock()
	it, err := e.durableSystem().r.NewIter(&pebble.IterOptions{LowerBound: lower, UpperBound: upper})
	if err != nil {
		return nil, Snapshot{}, storageError(err)
	}
	e.db.reads.open.Add(1)
	return &rowIter{it: it, reads: &e.db.reads}, Snapshot{e: e, ts: e.Published()}, nil
}

// from is where the list begins, or goes on.
func (l *LeaseList) from(base []byte) []byte {
	if l.AfterName != "" {
		return layout.Successor(layout.AppendNames(nil, layout.HoldTag, l.After.Namespace, l.After.Agent, leaseKey(l.AfterName)))
	}
	if l.Agent != "" {
		return append(bytes.Clone(base), leaseKey(l.Prefix)...)
	}
	return base
}

// leaseAt is the lease that a list is at, or where it goes on: next.
func leaseAt(it *rowIter, l *LeaseList) (n RecordName, h layout.Hold, next []byte, ok bool) {
	prefix, ok := layout.SplitHoldKey(it.key())
	h, ok2 := layout.ParseHold(it.body)
	if n, _ = layout.SplitPrefix(prefix); !ok || !ok2 {
		return n, h, nil, false
	}
	agent := layout.AppendNames(nil, layout.HoldTag, n.Namespace, n.Agent)
	first := leaseKey(l.Prefix)
	switch {
	case strings.HasPrefix(n.Key, first):
		return n, h, nil, true
	case n.Key < first:
		return n, h, append(agent, first...), true
	}
	return n, h, layout.Successor(agent), true // the next agent's
}
