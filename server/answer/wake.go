package answer

import (
	"time"

	"google.golang.org/protobuf/proto"

	"statehouse.dev/statehouse/engine"
	pb "statehouse.dev/statehouse/proto/statehouse/v1"
	"statehouse.dev/statehouse/server/wire"
)

// Records that are due at a time, and the claims that hand them out.

// setDue makes a write one of a record that is due.
func setDue(p *pb.Put, w *engine.Write) error {
	var d engine.PutDue
	switch {
	case w.Eval != nil:
		return wire.Invalid("due_at", "an append, or a write that is left out if the key exists, cannot be due")
	case p.GetDueAt() != nil && p.DueInMs != nil:
		return wire.Invalid("due_at", "a record is due at a time or in a while, not both")
	case p.DueInMs != nil:
		d.In = ttlOf(p.GetDueInMs())
	default:
		if err := p.GetDueAt().CheckValid(); err != nil {
			return wire.Invalid("due_at", err.Error())
		}
		d.At = p.GetDueAt().AsTime()
	}
	w.Eval = d
	return nil
}

func (s *Service) claimOf(op *pb.TransactOperation, w *engine.Write) error {
	c := op.GetClaim()
	switch {
	case c.GetAllAgents() && op.GetAgentId() != "":
		return wire.Invalid("agent_id", "agent_id must be empty when all agents are asked for")
	case !c.GetAllAgents() && op.GetAgentId() == "":
		return wire.Invalid("agent_id", "agent_id is empty: a claim of all agents says so with all_agents")
	}
	w.Eval = engine.Claim{Holder: c.GetHolder(), TTL: ttlOf(c.GetTtlMs()), Limit: int(c.GetLimit())}
	return nil
}

func (s *Service) completeOf(op *pb.TransactOperation, w *engine.Write) error {
	w.Eval = engine.Complete{Token: engine.Version(op.GetComplete().GetToken())}
	return nil
}

// claimed are the records that a claim took, in a commit of that time.
func (s *Service) claimed(all []engine.Claimed, at time.Time, values wire.Values) (out []*pb.DueRecord) {
	size := 0
	for i := range all {
		c := &all[i]
		lease := c.Lease
		lease.AcquiredAt, lease.Deadline = at, at.Add(lease.TTL)
		rec := &c.Record
		m := &pb.DueRecord{DueAt: wire.Timestamp(c.DueAt), Lease: leaseMessage(&lease), Record: &pb.StateEntry{
			Namespace: rec.Name.Namespace, AgentId: rec.Name.Agent, Key: rec.Name.Key, Version: uint64(rec.Version), CommitTs: uint64(rec.CommitTS), CommitTime: wire.Timestamp(rec.CommitTime),
			Erased: rec.Erased, Pruned: rec.Pruned, ExpiresAt: wire.Timestamp(rec.ExpiresAt), DueAt: wire.Timestamp(c.DueAt),
		}}
		if rec.Value != nil && size+len(rec.Value) <= mostResultValues {
			with := proto.CloneOf(m)
			if err := values.Set(with.Record, stateEntryValue, &with.Record.ValueJson, rec.Name.Key, rec.Value); err == nil && size+proto.Size(with) <= mostResultValues {
				m = with
				size += proto.Size(m)
			}
		}
		out = append(out, m)
	}
	return out
}
