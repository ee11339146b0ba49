package answer

import (
	"context"

	"statehouse.dev/statehouse/engine"
	pb "statehouse.dev/statehouse/proto/statehouse/v1"
	"statehouse.dev/statehouse/server/wire"
)

// Operations on many keys of an agent, and its lineage.

func (s *Service) deletePrefixOf(op *pb.TransactOperation, w *engine.Write) error {
	if op.GetKey() == "" {
		return wire.Invalid("key", "delete_prefix deletes what begins with key, which is empty: delete_agent deletes all of an agent")
	}
	w.Eval = engine.DeletePrefix{}
	return nil
}

func (s *Service) deleteAgentOf(op *pb.TransactOperation, w *engine.Write) error {
	if op.GetKey() != "" {
		return wire.Invalid("key", "delete_agent deletes all of an agent, and takes no key")
	}
	w.Eval = engine.DeletePrefix{}
	return nil
}

func (s *Service) restoreOf(op *pb.TransactOperation, w *engine.Write) error {
	at, err := wire.AtOf(op.GetRestore().GetAt())
	w.Eval = engine.RestoreTo{At: at}
	return err
}

func (s *Service) forkOf(op *pb.TransactOperation, w *engine.Write) error {
	f := op.GetFork()
	if of, to := namespaceOf(f.GetNamespace()), namespaceOf(op.GetNamespace()); of != to {
		return wire.Invalid("fork.namespace", "a fork is in the namespace of what it is forked from")
	}
	at, err := wire.AtOf(f.GetAt())
	w.Eval = engine.Fork{Parent: f.GetAgentId(), At: at}
	return err
}

func namespaceOf(n string) string {
	if n == "" {
		return engine.DefaultNamespace
	}
	return n
}

// mostForks is how many forks GetAgent lists.
const mostForks = 1000

func (s *Service) GetAgent(_ context.Context, req *pb.GetAgentRequest) (*pb.GetAgentResponse, error) {
	a := engine.AgentName{Namespace: namespaceOf(req.GetNamespace()), Agent: req.GetAgentId()}
	at, err := s.engine.Snapshot(engine.At{})
	if err != nil {
		return nil, err
	}
	info, err := at.Agent(a)
	if err != nil || info == nil {
		return &pb.GetAgentResponse{}, err
	}
	of, forks, err := at.Lineage(a)
	if err != nil {
		return nil, err
	}
	resp := &pb.GetAgentResponse{Agent: agentMessage(info)}
	if of != nil {
		made, err := s.engine.CommitTime(of.CommitTS)
		if err != nil {
			return nil, err
		}
		resp.ForkedFrom = &pb.ForkOrigin{
			Namespace: of.Parent.Namespace, AgentId: of.Parent.Agent, CommitTs: uint64(of.ParentTS),
			ForkedTs: uint64(of.CommitTS), ForkedAt: wire.Timestamp(made),
		}
	}
	for _, f := range forks[:min(len(forks), mostForks)] {
		info, err := at.Agent(f.Agent)
		if err != nil {
			return nil, err
		}
		if info != nil {
			resp.Forks = append(resp.Forks, agentMessage(info))
		}
	}
	return resp, nil
}

func agentMessage(a *engine.AgentInfo) *pb.Agent {
	return &pb.Agent{Namespace: a.Name.Namespace, AgentId: a.Name.Agent, FirstTs: uint64(a.First), HeadTs: uint64(a.Head), HeadTime: wire.Timestamp(a.HeadTime)}
}

// actMessage is an act as an operation.
func actMessage(l *engine.Lineage) *pb.RangeAct {
	return &pb.RangeAct{Kind: pb.RangeAct_FORKED, Namespace: l.Parent.Namespace, AgentId: l.Parent.Agent, CommitTs: uint64(l.ParentTS)}
}

// manyMessage is an act on many keys as an operation.
func manyMessage(op *engine.EventOp) *pb.RangeAct {
	if op.RestoredTo == nil {
		return &pb.RangeAct{Kind: pb.RangeAct_DELETED}
	}
	return &pb.RangeAct{Kind: pb.RangeAct_RESTORED, Namespace: op.Name.Namespace, AgentId: op.Name.Agent, CommitTs: uint64(*op.RestoredTo)}
}

// A stretch is what a replay reads of one agent.
type stretch struct {
	agent string
	last  engine.CommitTS
}

// withLineage are the stretches of a replay of an agent, up to a commit: first what it was forked
// from, each up to there. A fork is in the namespace of its parent, so whoever may read the one may
// read the other.
func (s *Service) withLineage(req *pb.ReplayRequest, last engine.CommitTS) (list []stretch, err error) {
	list = []stretch{{req.GetAgentId(), last}}
	if !req.GetWithLineage() {
		return list, nil
	}
	if req.GetAgentId() == "" {
		return nil, wire.Invalid("with_lineage", "the lineage is an agent's: agent_id is empty")
	}
	at, err := s.engine.Snapshot(engine.At{})
	for a := req.GetAgentId(); err == nil; {
		var of *engine.Lineage
		of, _, err = at.Lineage(engine.AgentName{Namespace: namespaceOf(req.GetNamespace()), Agent: a})
		if of == nil {
			break
		}
		a = of.Parent.Agent
		last = min(last, of.ParentTS)
		list = append([]stretch{{a, last}}, list...)
	}
	return list, err
}
