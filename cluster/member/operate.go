package member

import (
	"context"
	"sync"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"statehouse.dev/statehouse/cluster/node"
	"statehouse.dev/statehouse/engine"
	clusterpb "statehouse.dev/statehouse/proto/statehouse/cluster/v1"
	pb "statehouse.dev/statehouse/proto/statehouse/v1"
	"statehouse.dev/statehouse/server/admin"
)

var _ admin.Cluster = (*Member)(nil)

// answerWithin is how long a member has to say how it stands.
const answerWithin = 2 * time.Second

// Members implements admin.Cluster.
func (m *Member) Members(ctx context.Context, chainAt engine.CommitTS) *pb.GetClusterResponse {
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	resp := &pb.GetClusterResponse{ClusterId: m.config.Identity.Cluster, Id: m.config.Identity.ID}
	var all sync.WaitGroup
	for _, o := range m.status.Load().Members {
		told := &pb.MemberState{Id: o.ID, PeerAddress: m.addrOf(o), Learner: o.Learner}
		resp.Members = append(resp.Members, told)
		all.Go(func() { m.ask(ctx, told, chainAt) })
	}
	all.Wait()
	return resp
}

// ask fills in what a member says of itself.
func (m *Member) ask(ctx context.Context, told *pb.MemberState, chainAt engine.CommitTS) {
	s, err := m.stateOf(ctx, told.GetId(), chainAt)
	if err != nil {
		told.Problem = status.Convert(err).Message()
		return
	}
	told.Address, told.Role, told.LeaderId, told.Term = s.GetClientAddr(), wireRoles[s.GetRole()], s.GetLeader(), s.GetTerm()
	told.AppliedIndex, told.CommittedIndex, told.PublishedTs = s.GetApplied(), s.GetCommitted(), s.GetPublishedTs()
	told.ChainHash, told.Version = s.GetChainHash(), s.GetVersion()
}

// stateOf is what a member says of itself, this one too.
func (m *Member) stateOf(ctx context.Context, id uint64, chainAt engine.CommitTS) (*clusterpb.State, error) {
	if id == m.config.Identity.ID {
		return m.state(chainAt)
	}
	p := m.transport.Peer(id)
	if p == nil {
		return nil, status.Errorf(codes.Unavailable, "there is no connection to member %d", id)
	}
	ctx, stub := p.Call(ctx)
	return stub.GetState(ctx, &clusterpb.GetStateRequest{ChainAtTs: uint64(chainAt)})
}

var wireRoles = map[string]pb.ClusterRole{
	"leader": pb.ClusterRole_CLUSTER_ROLE_LEADER, "follower": pb.ClusterRole_CLUSTER_ROLE_FOLLOWER,
	"candidate": pb.ClusterRole_CLUSTER_ROLE_CANDIDATE, "learner": pb.ClusterRole_CLUSTER_ROLE_LEARNER,
}

// Transfer implements admin.Cluster.
func (m *Member) Transfer(ctx context.Context, to uint64) (leader uint64, err error) {
	s := m.status.Load()
	if s.Role != node.Leader {
		return 0, engine.ErrNotLeader
	}
	if to == s.ID {
		return to, nil
	}
	if err := m.HandOver(ctx, to); err != nil {
		return 0, &engine.Failure{Kind: engine.ErrStopped, Message: "the leadership was not handed over: " + err.Error()}
	}
	return m.status.Load().Leader, nil
}
