package clustertest

import (
	"context"
	"errors"
	"time"

	"statehouse.dev/statehouse/cluster/node"
	"statehouse.dev/statehouse/engine"
	"statehouse.dev/statehouse/server"
)

// What a member's service asks of it: server.Cluster.

var _ server.Cluster = (*run)(nil)

func (r *run) Leader() server.Leader {
	s := r.last.Load()
	l := server.Leader{Here: s.leads, Term: s.status.Term}
	if s.status.Leader != 0 {
		l.Address = r.member.cluster.Members[s.status.Leader-1].Address()
	}
	return l
}

func (r *run) Confirm(ctx context.Context) error {
	done, failed := make(chan struct{}), error(nil)
	ask := func() {
		r.node.Confirm(func(err error) { failed = err; close(done) })
	}
	select {
	case r.asked <- ask:
	case <-r.stopped:
		return &engine.Failure{Kind: engine.ErrNotLeader, Message: "the member has stopped"}
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case <-done:
		return failed
	case <-r.stopped:
		return &engine.Failure{Kind: engine.ErrNotLeader, Message: "the member has stopped"}
	case <-ctx.Done():
		return ctx.Err()
	}
}

var errLost = errors.New("the connection broke")

func (r *run) Forward(ctx context.Context, f *server.Forwarded) (*server.Answered, error) {
	leader := r.last.Load().status.Leader
	notSent := &engine.Failure{Kind: engine.ErrNotLeader, Message: "no member is known that leads"}
	if leader == 0 || leader == r.member.ID || r.member.cut.Load() {
		return nil, notSent
	}
	to := r.member.cluster.Members[leader-1]
	at := to.running()
	if at == nil || to.cut.Load() {
		return nil, notSent
	}
	to.forwards.Add(1)
	a := at.service.Answer(detached(ctx), f)
	if r.member.cluster.lost.Load() || to.cut.Load() || r.member.cut.Load() {
		return nil, errLost
	}
	return a, ctx.Err()
}

// detached is ctx as it arrives elsewhere: with its deadline, and nothing of what it carries.
func detached(ctx context.Context) context.Context { return onlyTime{ctx} }

type onlyTime struct{ context.Context }

func (onlyTime) Value(any) any { return nil }

func (r *run) Status() server.ClusterStatus {
	s := r.last.Load()
	roles := map[node.Role]server.ClusterRole{
		node.Leader: server.Leading, node.Follower: server.Follower, node.Candidate: server.Candidate, node.Learner: server.Learner,
	}
	st := server.ClusterStatus{
		ID: s.status.ID, LeaderID: s.status.Leader, Role: roles[s.status.Role], Term: s.status.Term,
		Applied: s.status.Applied, Committed: s.status.Committed, Lag: time.Since(s.heard),
	}
	for _, o := range s.status.Members {
		st.Members = append(st.Members, server.ClusterMember{ID: o.ID, Address: r.member.cluster.Members[o.ID-1].Address(), Learner: o.Learner, Match: o.Match})
	}
	return st
}
