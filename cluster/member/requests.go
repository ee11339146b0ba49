package member

import (
	"context"
	"fmt"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"statehouse.dev/statehouse/cluster/node"
	"statehouse.dev/statehouse/engine"
	clusterpb "statehouse.dev/statehouse/proto/statehouse/cluster/v1"
	"statehouse.dev/statehouse/server"
)

var _ server.Cluster = (*Member)(nil)

// Leader implements server.Cluster.
func (m *Member) Leader() server.Leader {
	s := m.status.Load()
	return server.Leader{Here: s.Role == node.Leader, Address: m.clientAddr(s.Leader), Term: s.Term}
}

// clientAddr is where clients reach a member; empty: that is not known.
func (m *Member) clientAddr(id uint64) string {
	if id == m.config.Identity.ID {
		return m.config.ClientAddr
	}
	if p := m.transport.Peer(id); p != nil {
		return p.ClientAddr()
	}
	return ""
}

// Confirm implements server.Cluster.
func (m *Member) Confirm(ctx context.Context) error {
	return m.await(ctx, func(done func(error)) { m.node.Confirm(done) })
}

// Forward implements server.Cluster.
func (m *Member) Forward(ctx context.Context, r *server.Forwarded) (*server.Answered, error) {
	s := m.status.Load()
	if r.Method == server.Auditing && s.Version < node.VersionOfAudit {
		return nil, fmt.Errorf("%w: not all members run a build that can do this yet, so that only the member that leads may be asked for it", engine.ErrNotLeader)
	}
	p := m.transport.Peer(s.Leader)
	if p == nil || !p.Ready(ctx) {
		return nil, fmt.Errorf("%w: the member that leads cannot be reached", engine.ErrNotLeader)
	}
	ctx, stub := p.Call(ctx)
	a, err := stub.Forward(ctx, &clusterpb.ForwardRequest{Method: r.Method, Request: r.Request, Caller: r.Caller, Share: r.Share, Trace: r.Trace})
	switch status.Code(err) {
	case codes.OK:
		return &server.Answered{Response: a.GetResponse(), Status: a.GetStatus()}, nil
	case codes.PermissionDenied, codes.FailedPrecondition: // by the peer's door: see package transport
		return nil, fmt.Errorf("%w: %w", engine.ErrNotLeader, err)
	}
	return nil, err
}

// Status implements server.Cluster.
func (m *Member) Status() server.ClusterStatus {
	s := m.status.Load()
	c := server.ClusterStatus{
		ID: s.ID, LeaderID: s.Leader, Role: roles[s.Role], Term: s.Term, Applied: s.Applied, Committed: s.Committed,
		Lag: max(m.env.Now().Sub(time.Unix(0, m.caughtUp.Load())), 0),
	}
	for _, o := range s.Members {
		c.Members = append(c.Members, server.ClusterMember{ID: o.ID, Address: m.clientAddr(o.ID), Learner: o.Learner, Match: o.Match})
	}
	return c
}

var roles = map[node.Role]server.ClusterRole{
	node.Leader: server.Leading, node.Follower: server.Follower, node.Candidate: server.Candidate, node.Learner: server.Learner,
}
