package record

import (
	"slices"
	"strings"

	"statehouse.dev/statehouse/history"
	pb "statehouse.dev/statehouse/proto/statehouse/v1"
)

// The methods of transactions.

var begin = unary(history.Begin, pb.StatehouseService_BeginTransaction_FullMethodName,
	func(in *history.Input, _ string) *pb.BeginTransactionRequest {
		req := &pb.BeginTransactionRequest{}
		if in.Limit > 0 {
			req.TimeoutMs = &in.Limit
		}
		return req
	},
	func(r *pb.BeginTransactionRequest, in *history.Input) { in.Limit = r.GetTimeoutMs() },
	func(r *pb.BeginTransactionResponse, _ *history.Input, out *history.Output) {
		out.TxnID, out.SnapshotTS = r.GetTxnId(), r.GetSnapshotTs()
	},
)

var write = unary[*pb.WriteRequest, *pb.WriteResponse](history.StageWrite, pb.StatehouseService_Write_FullMethodName,
	func(in *history.Input, _ string) *pb.WriteRequest {
		req := &pb.WriteRequest{TxnId: in.TxnID, Namespace: in.Namespace, AgentId: in.Agent, Key: in.Key, ExpectedVersion: in.Expected}
		if contentType, data, isBytes := history.AsBytes(in.Value); isBytes {
			withType(&req.ValueBytes, &req.ContentType, data, contentType)
		} else {
			req.ValueJson = []byte(in.Value)
		}
		return req
	},
	func(r *pb.WriteRequest, in *history.Input) {
		in.Value, in.Expected = value(r), r.ExpectedVersion
	},
	nil,
)

var del = unary[*pb.DeleteRequest, *pb.DeleteResponse](history.StageDelete, pb.StatehouseService_Delete_FullMethodName,
	func(in *history.Input, _ string) *pb.DeleteRequest {
		return &pb.DeleteRequest{TxnId: in.TxnID, Namespace: in.Namespace, AgentId: in.Agent, Key: in.Key, ExpectedVersion: in.Expected}
	},
	func(r *pb.DeleteRequest, in *history.Input) { in.Expected = r.ExpectedVersion },
	nil,
)

var commit = unary(history.Commit, pb.StatehouseService_Commit_FullMethodName,
	func(in *history.Input, _ string) *pb.CommitRequest {
		keys, heads := preconditions(in)
		return &pb.CommitRequest{TxnId: in.TxnID, Metadata: in.Metadata, KeyPreconditions: keys, HeadPreconditions: heads}
	},
	func(r *pb.CommitRequest, in *history.Input) {
		in.Metadata = r.GetMetadata()
		in.Keys, in.Heads = conditions(r.GetKeyPreconditions(), r.GetHeadPreconditions())
	},
	func(r *pb.CommitResponse, _ *history.Input, out *history.Output) {
		out.CommitTS, out.CommitTime, out.Versions = r.GetCommitTs(), nanos(r.GetCommitTime()), keyVersions(r.GetVersions())
	},
)

var abort = unary[*pb.AbortRequest, *pb.AbortResponse](history.Abort, pb.StatehouseService_Abort_FullMethodName,
	func(in *history.Input, _ string) *pb.AbortRequest { return &pb.AbortRequest{TxnId: in.TxnID} },
	nil,
	nil,
)

var transact = unary(history.Transact, pb.StatehouseService_Transact_FullMethodName,
	func(in *history.Input, _ string) *pb.TransactRequest {
		keys, heads := preconditions(in)
		req := &pb.TransactRequest{
			TxnId: in.TxnID, Metadata: in.Metadata, KeyPreconditions: keys, HeadPreconditions: heads, Reads: readSet(in.Reads), TimeoutMs: in.Timeout,
		}
		for i := range in.Writes {
			req.Operations = append(req.Operations, ask(&in.Writes[i]))
		}
		if in.NoValues || history.EvaluatesAny(in.Writes) { // else there is no result whose value it is of
			req.Encoding = encoding(in)
		}
		return req
	},
	func(r *pb.TransactRequest, in *history.Input) {
		in.Metadata = r.GetMetadata()
		in.Keys, in.Heads = conditions(r.Preconditions(), r.GetHeadPreconditions())
		in.Reads, in.Timeout = readsOf(r.GetReads()), r.TimeoutMs
		for _, o := range r.GetOperations() {
			in.Writes = append(in.Writes, asked(o))
		}
		in.Doubles = in.Doubles && history.EvaluatesAny(in.Writes)
	},
	func(r *pb.TransactResponse, in *history.Input, out *history.Output) {
		out.CommitTS, out.CommitTime = r.GetCommitTs(), nanos(r.GetCommitTime())
		for i, v := range r.GetVersions() {
			kv := history.KeyVersion{Version: v}
			if i < len(in.Writes) {
				kv.Name = in.Writes[i].Name
			}
			out.Versions = append(out.Versions, kv)
		}
		out.Results = results(r.GetResults())
		if cameToNothing(in, out) {
			out.Versions = nil // there is no commit
		}
		for i := range min(len(out.Versions), len(out.Results)) {
			if i < len(in.Writes) && in.Writes[i].Op == history.Append {
				out.Versions[i].Key = out.Results[i].Key
			}
		}
	},
)

// cameToNothing reports whether all operations of a transact did, so that there is no commit.
func cameToNothing(in *history.Input, out *history.Output) bool {
	return !slices.ContainsFunc(out.Versions, func(v history.KeyVersion) bool { return v.Version > 0 }) &&
		!slices.ContainsFunc(out.Results, func(r history.Result) bool { return r.Keys > 0 }) &&
		!slices.ContainsFunc(in.Writes, func(w history.Write) bool { return w.Op == history.Fork })
}

var getTxn = unary(history.GetTxn, pb.StatehouseService_GetTransaction_FullMethodName,
	func(in *history.Input, _ string) *pb.GetTransactionRequest {
		return &pb.GetTransactionRequest{TxnId: in.TxnID}
	},
	nil,
	func(r *pb.GetTransactionResponse, _ *history.Input, out *history.Output) {
		out.State = strings.ToLower(strings.TrimPrefix(r.GetState().String(), "TRANSACTION_STATE_"))
		out.CommitTS, out.CommitTime, out.Versions = r.GetCommitTs(), nanos(r.GetCommitTime()), keyVersions(r.GetVersions())
	},
)

func preconditions(in *history.Input) (keys []*pb.KeyPrecondition, heads []*pb.HeadPrecondition) {
	for _, k := range in.Keys {
		keys = append(keys, &pb.KeyPrecondition{Namespace: k.Namespace, AgentId: k.Agent, Key: k.Key, ExpectedVersion: k.Expected, Lease: k.Lease})
	}
	for _, h := range in.Heads {
		heads = append(heads, &pb.HeadPrecondition{Namespace: h.Namespace, AgentId: h.Agent, ExpectedHead: h.Expected})
	}
	return keys, heads
}

func conditions(keys []*pb.KeyPrecondition, heads []*pb.HeadPrecondition) (ks []history.KeyCondition, hs []history.HeadCondition) {
	for _, k := range keys {
		ks = append(ks, history.KeyCondition{Name: name(k), Expected: k.GetExpectedVersion(), Lease: k.GetLease()})
	}
	for _, h := range heads {
		hs = append(hs, history.HeadCondition{Namespace: namespace(h.GetNamespace()), Agent: h.GetAgentId(), Expected: h.GetExpectedHead()})
	}
	return ks, hs
}

// keyVersions: answers name a namespace as it is.
func keyVersions(vs []*pb.KeyVersion) []history.KeyVersion {
	var out []history.KeyVersion
	for _, v := range vs {
		out = append(out, history.KeyVersion{Name: history.Name{Namespace: v.GetNamespace(), Agent: v.GetAgentId(), Key: v.GetKey()}, Version: v.GetVersion()})
	}
	return out
}
