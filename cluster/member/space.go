package member

import (
	"context"
	"slices"
	"time"

	"statehouse.dev/statehouse/cluster/node"
)

// A leader whose disk is full refuses what others could commit. So it has one of them lead that does not refuse, in a
// goroutine of its own: it asks them first.

// makeWayAgain is how long is waited before what has failed is tried again.
const makeWayAgain = 5 * time.Second

// makeWay begins to look for another leader, if this member leads, refuses all writes, and does not look already.
func (m *Member) makeWay(ctx context.Context) {
	if !m.node.Leads() {
		return
	}
	why := m.engine.Refuses()
	if why == nil || !m.yielding.CompareAndSwap(false, true) {
		return
	}
	s := m.node.Status()
	m.fetches.Go(func() {
		defer m.yielding.Store(false)
		to := m.ableToLead(ctx, &s)
		if to == 0 {
			m.env.Log("this member leads and refuses writes, and so would all others that answer", "reason", why)
		} else if err := m.HandOver(ctx, to); err == nil {
			m.env.Log("another member leads, since this one refuses writes", "leader", to, "reason", why)
			return
		}
		select {
		case <-time.After(makeWayAgain):
		case <-ctx.Done():
		}
	})
}

// ableToLead is the member that has most of the log of those that answer and would not refuse writes; 0: there is none.
func (m *Member) ableToLead(ctx context.Context, s *node.Status) uint64 {
	others := slices.DeleteFunc(slices.Clone(s.Members), func(o node.Member) bool { return o.ID == s.ID || o.Learner || !o.Active })
	slices.SortStableFunc(others, func(a, b node.Member) int { return int(int64(b.Match) - int64(a.Match)) })
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	for _, o := range others {
		if state, err := m.stateOf(ctx, o.ID, 0); err == nil && state.GetRefuses() == "" {
			return o.ID
		}
	}
	return 0
}
