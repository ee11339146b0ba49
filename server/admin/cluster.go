package admin

import (
	"context"

	"statehouse.dev/statehouse/engine"
	pb "statehouse.dev/statehouse/proto/statehouse/v1"
)

// Cluster is what can be asked of the members of a cluster, through one of them.
type Cluster interface {
	// Members says how all of them stand, and what the chain is at a commit; 0: it is not asked.
	Members(ctx context.Context, chainAt engine.CommitTS) *pb.GetClusterResponse
	// Transfer has this one, which leads, hand over to another, which 0 leaves open, and returns who leads then.
	Transfer(ctx context.Context, to uint64) (leader uint64, err error)
	// Add, Promote and Remove change who the members are. This one leads.
	Add(ctx context.Context, addr string) (id uint64, err error)
	Promote(ctx context.Context, id uint64) error
	Remove(ctx context.Context, id uint64) error
}

var errAlone = &engine.Failure{Kind: engine.ErrInvalid, Message: "this daemon is alone: it is no member of a cluster"}

// GetCluster says how the members stand.
func (s *Service) GetCluster(ctx context.Context, req *pb.GetClusterRequest) (*pb.GetClusterResponse, error) {
	if s.Process.Cluster == nil {
		return nil, errAlone
	}
	return s.Process.Cluster.Members(ctx, engine.CommitTS(req.GetChainAtTs())), nil
}

// TransferLeadership has another member lead.
func (s *Service) TransferLeadership(ctx context.Context, req *pb.TransferLeadershipRequest) (*pb.TransferLeadershipResponse, error) {
	if s.Process.Cluster == nil {
		return nil, errAlone
	}
	leader, err := s.Process.Cluster.Transfer(ctx, req.GetTo())
	if err != nil {
		return nil, err
	}
	return &pb.TransferLeadershipResponse{LeaderId: leader}, nil
}

// AddMember adds a member that has no vote yet.
func (s *Service) AddMember(ctx context.Context, req *pb.AddMemberRequest) (*pb.AddMemberResponse, error) {
	if s.Process.Cluster == nil {
		return nil, errAlone
	}
	id, err := s.Process.Cluster.Add(ctx, req.GetPeerAddress())
	if err != nil {
		return nil, err
	}
	return &pb.AddMemberResponse{Id: id}, nil
}

// PromoteMember gives a member a vote.
func (s *Service) PromoteMember(ctx context.Context, req *pb.PromoteMemberRequest) (*pb.PromoteMemberResponse, error) {
	if s.Process.Cluster == nil {
		return nil, errAlone
	}
	if err := s.Process.Cluster.Promote(ctx, req.GetId()); err != nil {
		return nil, err
	}
	return &pb.PromoteMemberResponse{}, nil
}

// RemoveMember ends a membership.
func (s *Service) RemoveMember(ctx context.Context, req *pb.RemoveMemberRequest) (*pb.RemoveMemberResponse, error) {
	if s.Process.Cluster == nil {
		return nil, errAlone
	}
	if err := s.Process.Cluster.Remove(ctx, req.GetId()); err != nil {
		return nil, err
	}
	return &pb.RemoveMemberResponse{}, nil
}
