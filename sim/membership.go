package sim

import (
	"context"

	cluster "statehouse.dev/statehouse/cluster/node"
	"statehouse.dev/statehouse/engine"
	"statehouse.dev/statehouse/server"
	"statehouse.dev/statehouse/server/wire"
)

// membership is what the service of a process asks of its member.
type membership struct{ p *process }

var _ server.Cluster = membership{}

// Leader implements server.Cluster. Clients reach a node by its name.
func (m membership) Leader() server.Leader {
	st := m.p.member.Status()
	l := server.Leader{Here: m.p.member.Leads(), Term: st.Term}
	if st.Leader > 0 {
		l.Address = m.p.w.nodes[st.Leader-1].name
	}
	return l
}

// Confirm implements server.Cluster. The round begins when the node goes round next.
func (m membership) Confirm(ctx context.Context) (err error) {
	told := make(chan struct{})
	m.p.asked = true
	m.p.member.Confirm(func(e error) { err = e; close(told) })
	if waited := m.p.w.tasks.Await(ctx, told); waited != nil {
		return waited
	}
	return err
}

// Forward implements server.Cluster: nothing between nodes carries requests yet.
func (m membership) Forward(context.Context, *server.Forwarded) (*server.Answered, error) {
	return nil, engine.ErrNotLeader
}

// Status implements server.Cluster.
func (m membership) Status() server.ClusterStatus {
	st := m.p.member.Status()
	s := server.ClusterStatus{ID: st.ID, LeaderID: st.Leader, Term: st.Term, Applied: st.Applied, Committed: st.Committed, Role: roles[st.Role]}
	for _, o := range st.Members {
		s.Members = append(s.Members, server.ClusterMember{ID: o.ID, Learner: o.Learner, Match: o.Match})
	}
	return s
}

var roles = map[cluster.Role]server.ClusterRole{
	cluster.Leader: server.Leading, cluster.Follower: server.Follower, cluster.Candidate: server.Candidate, cluster.Learner: server.Learner,
}

// leaders are the methods that a node which does not lead leaves to the one that does, and local those that it
// answers from what it has. What is left is confirmed first.
var (
	leaders = map[string]bool{"Transact": true, "BeginTransaction": true, "Write": true, "Delete": true, "Commit": true, "Abort": true, "GetTransaction": true, "RenewLeases": true, "RefreshExpiry": true}
	local   = map[string]bool{"Health": true, "Version": true, "GetStatus": true, "Watch": true}
)

// confirmed reports why a request cannot be answered here.
func (p *process) confirmed(ctx context.Context, c *Call) error {
	word := c.request.method.Word
	switch {
	case p.member == nil || local[word]:
		return nil
	case leaders[word] || c.op.In.TxnID != "":
		if !p.member.Leads() {
			return wire.Status(engine.ErrNotLeader)
		}
		if word != "BeginTransaction" && word != "GetTransaction" {
			return nil
		}
	}
	if err := (membership{p}).Confirm(ctx); err != nil {
		return wire.Status(err)
	}
	return nil
}
