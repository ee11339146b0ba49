package server

import (
	"context"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	pb "statehouse.dev/statehouse/proto/statehouse/v1"
)

// Cluster is what a service that is one of several asks of the member that it is part of. Whoever assembles the
// service implements it. What waits in it waits in engine.Env's Await, so that a simulation sees it.
type Cluster interface {
	// Leader says who leads, as far as this member knows. It is asked at each request, and does not wait.
	Leader() Leader
	// Confirm returns nil when this member has published all that any member had acknowledged when Confirm was
	// called: a round with a majority, of which many calls share one. An engine.ErrNotLeader says that it
	// cannot be known now; the context's error, that ctx has ended.
	Confirm(ctx context.Context) error
	// Forward has the member that leads answer a request, which is sent once and never again. If the error is an
	// engine.ErrNotLeader the request was not sent: nobody leads, or the one that does cannot be reached. Of any
	// other it may have been, and may have been done.
	Forward(ctx context.Context, r *Forwarded) (*Answered, error)
	// Status is for those who look on.
	Status() ClusterStatus
}

// Leader is who leads.
type Leader struct {
	Here    bool   // this member does
	Address string // where clients reach it; empty: it is not known who leads, or where that is
	Term    uint64 // one member at most leads in a term
}

// Forwarded is a unary request of a client, on its way from the member that it was made to, to the one that
// answers it. Its deadline is that of the context.
type Forwarded struct {
	Method  string // in full
	Request []byte // the message
	// Caller is who asks, as the first member has found out, in access's words; the second decides what that may.
	// Share and Trace are of the request, too.
	Caller       []byte
	Share, Trace string
}

// Answered is the answer to a forwarded request.
type Answered struct {
	Response []byte // the message
	Status   []byte // a google.rpc.Status in place of it; empty: there is none
}

// ClusterStatus is what a member knows of itself and the others.
type ClusterStatus struct {
	ID, LeaderID       uint64 // 0: it is not known who leads
	Role               ClusterRole
	Term               uint64
	Applied, Committed uint64        // of the replicated log
	Lag                time.Duration // since this member knew last that it had all that was committed
	Members            []ClusterMember
}

// ClusterRole is what a member does.
type ClusterRole uint8

const (
	Follower ClusterRole = iota
	Candidate
	Leading
	Learner
)

var clusterRoles = map[ClusterRole]pb.ClusterRole{
	Follower: pb.ClusterRole_CLUSTER_ROLE_FOLLOWER, Candidate: pb.ClusterRole_CLUSTER_ROLE_CANDIDATE,
	Leading: pb.ClusterRole_CLUSTER_ROLE_LEADER, Learner: pb.ClusterRole_CLUSTER_ROLE_LEARNER,
}

// ClusterMember is one of them.
type ClusterMember struct {
	ID      uint64
	Address string // where clients reach it
	Learner bool
	Match   uint64 // the last entry that it is known to have; 0 unless the leader says so
}

func (s *Service) clusterStatus() *pb.ClusterStatus {
	if s.config.Cluster == nil {
		return nil
	}
	st, leader := s.config.Cluster.Status(), s.config.Cluster.Leader()
	m := &pb.ClusterStatus{
		Role: clusterRoles[st.Role], Id: st.ID, LeaderId: st.LeaderID, LeaderAddress: leader.Address, Term: st.Term,
		AppliedIndex: st.Applied, CommittedIndex: st.Committed, Lag: durationpb.New(st.Lag),
	}
	for _, o := range st.Members {
		m.Members = append(m.Members, &pb.ClusterMember{Id: o.ID, Address: o.Address, Learner: o.Learner, MatchIndex: o.Match})
	}
	return m
}
