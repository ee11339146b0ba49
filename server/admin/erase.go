package admin

import (
	"statehouse.dev/statehouse/engine"
	pb "statehouse.dev/statehouse/proto/statehouse/v1"
	"statehouse.dev/statehouse/server/access"
)

// mostForks is how many forks a dry run lists.
const mostForks = 10_000

// Erase erases, and says how far it is.
func (s *Service) Erase(req *pb.EraseRequest, stream pb.AdminService_EraseServer) error {
	ctx := stream.Context()
	x := engine.Erasure{
		Namespace: req.GetNamespace(), Agent: req.GetAgentId(), Key: req.GetKey(),
		Reason: req.GetReason(), Principal: access.Principal(ctx), Forks: req.GetForks(),
	}
	switch {
	case x.Agent == "" && !req.GetAll():
		return invalid("all", "all of the namespace is to be erased, and all does not confirm it")
	case x.Agent != "" && req.GetAll():
		return invalid("all", "all is for a whole namespace, and agent_id names an agent")
	case req.GetNames():
		return invalid("names", "this daemon erases values and metadata, not names")
	}
	send := func(p engine.ErasureProgress) error {
		return stream.Send(&pb.EraseProgress{Keys: p.Keys, Values: p.Values, Bytes: p.Bytes, CommitTs: uint64(p.CommitTS), Done: p.Done})
	}
	if req.GetDryRun() {
		p, err := s.Engine.PreviewErasure(ctx, x)
		if err != nil {
			return err
		}
		forks, err := s.Engine.Inheritors(ctx, x)
		if err != nil {
			return err
		}
		m := &pb.EraseProgress{Keys: p.Keys, Values: p.Values, Bytes: p.Bytes, CommitTs: uint64(p.CommitTS), Done: p.Done}
		for _, a := range forks[:min(len(forks), mostForks)] {
			m.Forks = append(m.Forks, a.Agent)
		}
		return stream.Send(m)
	}
	return s.Engine.Erase(ctx, x, send)
}
