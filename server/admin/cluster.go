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
	// Transfer has the one that leads hand over to another, which 0 leaves open, and returns who leads then.
	Transfer(ctx context.Context, to uint64) (leader uint64, err error)
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
