package member

import (
	"context"
	"time"

	"statehouse.dev/statehouse/cluster/node"
)

// What builds of before would not understand is done only when the version of the cluster says that all members do. The
// member that leads raises it, when all have said what they know: a member that is away keeps it where it is, since it
// may come back as it was. It is never lowered.

// askAgain is how long is waited before the members are asked again.
const askAgain = 2 * time.Second

// raise begins to ask the others what they know, if this member leads and knows more than the cluster is of.
func (m *Member) raise(ctx context.Context) {
	if !m.node.Leads() {
		return
	}
	s := m.node.Status()
	if s.Version >= m.config.Knows || !m.raising.CompareAndSwap(false, true) {
		return
	}
	m.fetches.Go(func() {
		defer m.raising.Store(false)
		if to := m.allKnow(ctx, &s); to > s.Version {
			err := m.await(ctx, func(done func(error)) { m.node.SetVersion(to, done) })
			if err == nil {
				m.env.Log("all members can do what is new in this build", "cluster_version", to)
				return
			}
		}
		if !m.lacking.Swap(true) {
			m.env.Log("not all members have answered, or run a build as new: what is new in this one waits", "cluster_version", s.Version)
		}
		select {
		case <-time.After(askAgain):
		case <-ctx.Done():
		}
	})
}

// allKnow is the newest version that all members take part in; 0: one of them did not say.
func (m *Member) allKnow(ctx context.Context, s *node.Status) uint64 {
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	all := m.config.Knows
	for _, o := range s.Members {
		state, err := m.stateOf(ctx, o.ID, 0)
		if err != nil {
			return 0
		}
		all = min(all, max(state.GetKnows(), 1))
	}
	return all
}
