package record

import (
	"google.golang.org/protobuf/proto"

	"statehouse.dev/statehouse/history"
	pb "statehouse.dev/statehouse/proto/statehouse/v1"
)

// The methods that stream commits.

var replayBatches = streamed[*pb.ReplayRequest, *pb.EventBatch](
	history.Replay, pb.StatehouseService_ReplayBatches_FullMethodName, replayRequest, replayInput,
)

var replay = func() *Method {
	m := streamed[*pb.ReplayRequest, *pb.ReplayEvent](history.Replay, pb.StatehouseService_Replay_FullMethodName, replayRequest, replayInput)
	m.single = true
	return m
}()

func replayRequest(in *history.Input) *pb.ReplayRequest {
	return &pb.ReplayRequest{
		Namespace: in.Namespace, AgentId: in.Agent, AllAgents: in.AllAgents, KeyPrefix: in.Prefix, Limit: in.Limit,
		StartTs: in.From, EndTs: in.To, StartTime: stamp(in.FromTime), EndTime: stamp(in.ToTime), Encoding: encoding(in),
		AllOperations: in.AllOperations, WithLineage: in.Lineage,
	}
}

func replayInput(r *pb.ReplayRequest, in *history.Input) {
	in.Prefix, in.AllAgents, in.Limit = r.GetKeyPrefix(), r.GetAllAgents(), r.GetLimit()
	in.From, in.To = r.StartTs, r.EndTs
	in.FromTime, in.ToTime = instant(r.GetStartTime()), instant(r.GetEndTime())
	in.AllOperations, in.Lineage = r.GetAllOperations(), r.GetWithLineage()
}

var watch = streamed[*pb.WatchRequest, *pb.EventBatch](history.Watch, pb.StatehouseService_Watch_FullMethodName,
	func(in *history.Input) *pb.WatchRequest {
		return &pb.WatchRequest{
			Namespace: in.Namespace, AgentId: in.Agent, AllAgents: in.AllAgents, KeyPrefix: in.Prefix, AfterTs: in.From, Encoding: encoding(in),
			AllOperations: in.AllOperations, Lease: in.Lease, Due: in.Due,
		}
	},
	func(r *pb.WatchRequest, in *history.Input) {
		in.Prefix, in.AllAgents, in.From = r.GetKeyPrefix(), r.GetAllAgents(), r.AfterTs
		in.AllOperations, in.Lease, in.Due = r.GetAllOperations(), r.GetLease(), r.GetDue()
	},
)

// Batch is what a message of a stream says.
func Batch(time int64, m proto.Message) history.Batch {
	if ev, single := m.(*pb.ReplayEvent); single {
		return history.Batch{Time: time, Cursor: ev.GetCommitTs(), Events: []history.Event{Event(ev)}}
	}
	batch := m.(*pb.EventBatch)
	b := history.Batch{Time: time, Cursor: batch.GetCursor()}
	for _, ev := range batch.GetEvents() {
		b.Events = append(b.Events, Event(ev))
	}
	return b
}

// Event is a commit as a stream shows it.
func Event(m *pb.ReplayEvent) history.Event {
	ev := history.Event{
		CommitTS: m.GetCommitTs(), CommitTime: nanos(m.GetCommitTime()), TxnID: m.GetTxnId(), Metadata: m.GetMetadata(),
		Principal: m.GetPrincipal(), TraceID: m.GetTraceId(), Cause: m.GetCause(),
	}
	for _, o := range m.GetOperations() {
		ev.Ops = append(ev.Ops, history.EventOp{
			Name:    history.Name{Namespace: o.GetNamespace(), Agent: o.GetAgentId(), Key: o.GetKey()},
			Version: o.GetVersion(), Delete: o.GetDeleted(), Value: value(o), Inexact: o.GetInexact() != nil,
			Erased: o.GetErased(), Pruned: o.GetPruned(), Lease: leaseChange(o.GetLease()), Due: o.GetDue(), Act: act(o.GetAct()),
		})
	}
	return ev
}
