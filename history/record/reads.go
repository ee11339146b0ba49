package record

import (
	"cmp"

	"google.golang.org/protobuf/types/known/timestamppb"

	"statehouse.dev/statehouse/history"
	pb "statehouse.dev/statehouse/proto/statehouse/v1"
)

// The methods that read. What names a record or an agent, the point, prefix and limit, and
// the encoding are read of all requests alike: see Input.

var get = unary(history.Get, pb.StatehouseService_GetState_FullMethodName,
	func(in *history.Input, _ string) *pb.GetStateRequest {
		return &pb.GetStateRequest{Namespace: in.Namespace, AgentId: in.Agent, Key: in.Key, Encoding: encoding(in), At: at(in), TxnId: in.TxnID, MinReadTs: in.MinRead, MaxStalenessMs: in.MaxStale}
	},
	nil,
	func(r *pb.GetStateResponse, in *history.Input, out *history.Output) {
		out.Records = []history.Record{state(in.Name(), r)}
	},
)

var getVersion = unary(history.GetVersion, pb.StatehouseService_GetStateAtVersion_FullMethodName,
	func(in *history.Input, _ string) *pb.GetStateAtVersionRequest {
		return &pb.GetStateAtVersionRequest{Namespace: in.Namespace, AgentId: in.Agent, Key: in.Key, Version: in.KeyVersion, Encoding: encoding(in)}
	},
	func(r *pb.GetStateAtVersionRequest, in *history.Input) { in.KeyVersion = r.GetVersion() },
	func(r *pb.GetStateAtVersionResponse, in *history.Input, out *history.Output) {
		out.Records = []history.Record{shown(in.Name(), r.GetExists(), r)}
	},
)

var batchGet = unary(history.BatchGet, pb.StatehouseService_BatchGetState_FullMethodName,
	func(in *history.Input, _ string) *pb.BatchGetStateRequest {
		req := &pb.BatchGetStateRequest{Encoding: encoding(in), At: at(in), TxnId: in.TxnID, MinReadTs: in.MinRead, MaxStalenessMs: in.MaxStale}
		for _, n := range in.Names {
			req.Names = append(req.Names, &pb.RecordName{Namespace: n.Namespace, AgentId: n.Agent, Key: n.Key})
		}
		return req
	},
	func(r *pb.BatchGetStateRequest, in *history.Input) {
		for _, n := range r.GetNames() {
			in.Names = append(in.Names, name(n))
		}
	},
	func(r *pb.BatchGetStateResponse, in *history.Input, out *history.Output) {
		for i, s := range r.GetStates() {
			var n history.Name
			if i < len(in.Names) {
				n = in.Names[i]
			}
			out.Records = append(out.Records, state(n, s))
		}
	},
)

var listKeys = unary(history.ListKeys, pb.StatehouseService_ListKeys_FullMethodName,
	func(in *history.Input, page string) *pb.ListKeysRequest {
		return &pb.ListKeysRequest{
			Namespace: in.Namespace, AgentId: in.Agent, Prefix: in.Prefix, Limit: uint32(in.Limit), PageToken: page, Reverse: in.Reverse, At: at(in), TxnId: in.TxnID,
			MinReadTs: in.MinRead, MaxStalenessMs: in.MaxStale, Delimiter: in.Delimiter,
		}
	},
	func(r *pb.ListKeysRequest, in *history.Input) { in.Delimiter = r.GetDelimiter() },
	func(r *pb.ListKeysResponse, _ *history.Input, out *history.Output) {
		out.Keys, out.Folders = r.GetKeys(), r.GetFolders()
	},
)

var scan = unary(history.Scan, pb.StatehouseService_ScanPrefix_FullMethodName,
	func(in *history.Input, page string) *pb.ScanPrefixRequest {
		return &pb.ScanPrefixRequest{
			Namespace: in.Namespace, AgentId: in.Agent, Prefix: in.Prefix, Limit: uint32(in.Limit), PageToken: page, Reverse: in.Reverse, At: at(in), TxnId: in.TxnID,
			MinReadTs: in.MinRead, MaxStalenessMs: in.MaxStale,
			Encoding: encoding(in),
		}
	},
	nil,
	func(r *pb.ScanPrefixResponse, in *history.Input, out *history.Output) {
		for _, e := range r.GetEntries() {
			out.Records = append(out.Records, entry(in.Name(), e))
		}
	},
)

var keyHistory = unary(history.KeyHistory, pb.StatehouseService_GetHistory_FullMethodName,
	func(in *history.Input, page string) *pb.GetHistoryRequest {
		return &pb.GetHistoryRequest{
			Namespace: in.Namespace, AgentId: in.Agent, Key: in.Key, Limit: uint32(in.Limit), PageToken: page, OldestFirst: in.OldestFirst, At: at(in),
			Encoding: encoding(in), MinReadTs: in.MinRead,
		}
	},
	func(r *pb.GetHistoryRequest, in *history.Input) { in.OldestFirst = r.GetOldestFirst() },
	func(r *pb.GetHistoryResponse, in *history.Input, out *history.Output) {
		for _, e := range r.GetEntries() {
			rec := shown(in.Name(), !e.GetDeleted(), e)
			rec.TxnID, rec.Metadata = e.GetTxnId(), e.GetMetadata()
			rec.Principal, rec.TraceID, rec.Cause = e.GetPrincipal(), e.GetTraceId(), e.GetCause()
			rec.Erased, rec.Pruned = e.GetErased(), e.GetPruned()
			out.Records = append(out.Records, rec)
		}
	},
)

var listAgents = unary(history.ListAgents, pb.StatehouseService_ListAgents_FullMethodName,
	func(in *history.Input, page string) *pb.ListAgentsRequest {
		return &pb.ListAgentsRequest{Namespace: in.Namespace, Prefix: in.Prefix, Limit: uint32(in.Limit), PageToken: page}
	},
	nil,
	func(r *pb.ListAgentsResponse, _ *history.Input, out *history.Output) {
		for _, a := range r.GetAgents() {
			out.Agents = append(out.Agents, agentLine(a))
		}
	},
)

var listSpaces = unary(history.ListSpaces, pb.StatehouseService_ListNamespaces_FullMethodName,
	func(in *history.Input, page string) *pb.ListNamespacesRequest {
		return &pb.ListNamespacesRequest{Limit: uint32(in.Limit), PageToken: page}
	},
	nil,
	func(r *pb.ListNamespacesResponse, _ *history.Input, out *history.Output) {
		out.Keys = r.GetNamespaces()
	},
)

// version is a message that shows a version of a record.
type version interface {
	GetVersion() uint64
	GetCommitTs() uint64
	GetCommitTime() *timestamppb.Timestamp
	valued
	GetInexact() *pb.Inexact
}

func shown(n history.Name, exists bool, v version) history.Record {
	return history.Record{
		Name: n, Exists: exists, Version: v.GetVersion(), CommitTS: v.GetCommitTs(), CommitTime: nanos(v.GetCommitTime()),
		Value: value(v), Inexact: v.GetInexact() != nil,
	}
}

func state(n history.Name, s *pb.GetStateResponse) history.Record {
	rec := shown(n, s.GetExists(), s)
	rec.Erased, rec.Pruned = s.GetErased(), s.GetPruned()
	rec.ExpiresAt, rec.DueAt = nanos(s.GetExpiresAt()), nanos(s.GetDueAt())
	return rec
}

// entry is a record of a list, which is of this agent unless it says otherwise.
func entry(of history.Name, e *pb.StateEntry) history.Record {
	n := history.Name{Namespace: cmp.Or(e.GetNamespace(), of.Namespace), Agent: cmp.Or(e.GetAgentId(), of.Agent), Key: e.GetKey()}
	rec := shown(n, true, e)
	rec.Erased, rec.Pruned, rec.Metadata = e.GetErased(), e.GetPruned(), e.GetMetadata()
	rec.ExpiresAt, rec.DueAt = nanos(e.GetExpiresAt()), nanos(e.GetDueAt())
	return rec
}

func agentLine(a *pb.Agent) history.Agent {
	return history.Agent{Namespace: a.GetNamespace(), Agent: a.GetAgentId(), FirstTS: a.GetFirstTs(), HeadTS: a.GetHeadTs(), HeadTime: nanos(a.GetHeadTime())}
}

func encoding(in *history.Input) pb.ValueEncoding {
	switch {
	case in.NoValues:
		return pb.ValueEncoding_VALUE_ENCODING_NONE
	case in.Doubles:
		return pb.ValueEncoding_VALUE_ENCODING_STRUCT
	case in.Native:
		return pb.ValueEncoding_VALUE_ENCODING_NATIVE
	}
	return pb.ValueEncoding_VALUE_ENCODING_JSON
}

func at(in *history.Input) *pb.At { return point(in.At, in.AtTime) }

// point is a moment that a request names; nil: none.
func point(ts *uint64, time int64) *pb.At {
	switch {
	case ts != nil:
		return &pb.At{Point: &pb.At_CommitTs{CommitTs: *ts}}
	case time != 0:
		return &pb.At{Point: &pb.At_Time{Time: stamp(time)}}
	}
	return nil
}

// moment is the other way round.
func moment(at *pb.At) (ts *uint64, time int64) {
	switch p := at.GetPoint().(type) {
	case *pb.At_CommitTs:
		return &p.CommitTs, 0
	case *pb.At_Time:
		return nil, instant(p.Time)
	}
	return nil, 0
}
