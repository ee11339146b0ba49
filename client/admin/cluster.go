package admin

import (
	"context"

	pb "statehouse.dev/statehouse/proto/statehouse/v1"
)

// Cluster is how the members of a cluster stand.
type Cluster struct {
	ID      string
	Self    uint64 // the member that has answered
	Members []Member
}

// Member is one of a cluster, as it says itself.
type Member struct {
	ID                 uint64
	PeerAddress        string // where the others reach it
	Problem            string // why it has not answered; empty: it has
	Address            string // where clients reach it
	Role               string // leader, follower, candidate or learner
	Leader             uint64 // whom it takes for the leader; 0: it knows of none
	Term               uint64
	Applied, Committed uint64 // entries of the replicated log
	Published          uint64 // its last commit
	Chain              []byte // the hash chain at the commit that was asked for; nil: it has not come so far
	Learner            bool   // it has no vote; known without an answer, too
	Version            string
}

// Cluster says how the members of the daemon's cluster stand, and, unless chainAt is 0, what the hash chain of each
// is at a commit.
func (c *Client) Cluster(ctx context.Context, chainAt uint64) (Cluster, error) {
	resp, err := ask(ctx, c, c.stub.GetCluster, &pb.GetClusterRequest{ChainAtTs: chainAt})
	all := Cluster{ID: resp.GetClusterId(), Self: resp.GetId()}
	for _, m := range resp.GetMembers() {
		all.Members = append(all.Members, Member{
			ID: m.GetId(), PeerAddress: m.GetPeerAddress(), Problem: m.GetProblem(), Address: m.GetAddress(), Role: roles[m.GetRole()], Leader: m.GetLeaderId(), Term: m.GetTerm(),
			Applied: m.GetAppliedIndex(), Committed: m.GetCommittedIndex(), Published: m.GetPublishedTs(), Chain: m.GetChainHash(), Version: m.GetVersion(), Learner: m.GetLearner(),
		})
	}
	return all, err
}

var roles = map[pb.ClusterRole]string{
	pb.ClusterRole_CLUSTER_ROLE_LEADER: "leader", pb.ClusterRole_CLUSTER_ROLE_FOLLOWER: "follower",
	pb.ClusterRole_CLUSTER_ROLE_CANDIDATE: "candidate", pb.ClusterRole_CLUSTER_ROLE_LEARNER: "learner",
}

// TransferLeadership has the member that leads hand over to another, which 0 leaves open, and returns who leads
// then.
func (c *Client) TransferLeadership(ctx context.Context, to uint64) (leader uint64, err error) {
	resp, err := ask(ctx, c, c.stub.TransferLeadership, &pb.TransferLeadershipRequest{To: to})
	return resp.GetLeaderId(), err
}

// AddMember adds a member that has no vote yet, and is reached by the others at an address: a daemon that is started
// there with an empty directory joins as it.
func (c *Client) AddMember(ctx context.Context, peerAddress string) (id uint64, err error) {
	resp, err := ask(ctx, c, c.stub.AddMember, &pb.AddMemberRequest{PeerAddress: peerAddress})
	return resp.GetId(), err
}

// PromoteMember gives a member that has caught up a vote.
func (c *Client) PromoteMember(ctx context.Context, id uint64) error {
	_, err := ask(ctx, c, c.stub.PromoteMember, &pb.PromoteMemberRequest{Id: id})
	return err
}

// RemoveMember ends a membership, for good.
func (c *Client) RemoveMember(ctx context.Context, id uint64) error {
	_, err := ask(ctx, c, c.stub.RemoveMember, &pb.RemoveMemberRequest{Id: id})
	return err
}
