package record

import (
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"statehouse.dev/statehouse/history"
	pb "statehouse.dev/statehouse/proto/statehouse/v1"
)

// Output is what an answer says, and the token of the next page.
func Output(in *history.Input, resp proto.Message) (out history.Output, nextPage string) {
	if n, ok := resp.(interface{ GetReadTs() uint64 }); ok {
		out.ReadTS = n.GetReadTs()
	}
	if n, ok := resp.(interface{ GetNextPageToken() string }); ok {
		nextPage = n.GetNextPageToken()
		out.More = nextPage != ""
	}
	switch r := resp.(type) {
	case *pb.BeginTransactionResponse:
		out.TxnID, out.SnapshotTS = r.GetTxnId(), r.GetSnapshotTs()
	case *pb.CommitResponse:
		out.CommitTS, out.CommitTime, out.Versions = r.GetCommitTs(), nanos(r.GetCommitTime()), keyVersions(r.GetVersions())
	case *pb.TransactResponse:
		out.CommitTS, out.CommitTime = r.GetCommitTs(), nanos(r.GetCommitTime())
		for i, v := range r.GetVersions() {
			kv := history.KeyVersion{Version: v}
			if i < len(in.Writes) {
				kv.Name = in.Writes[i].Name
			}
			out.Versions = append(out.Versions, kv)
		}
	case *pb.GetTransactionResponse:
		out.State = strings.ToLower(strings.TrimPrefix(r.GetState().String(), "TRANSACTION_STATE_"))
		out.CommitTS, out.CommitTime, out.Versions = r.GetCommitTs(), nanos(r.GetCommitTime()), keyVersions(r.GetVersions())
	default:
		setRecords(&out, in, resp)
	}
	return out, nextPage
}

func setRecords(out *history.Output, in *history.Input, resp proto.Message) {
	asked := history.Name{Namespace: in.Namespace, Agent: in.Agent, Key: in.Key}
	switch r := resp.(type) {
	case *pb.GetStateResponse:
		out.Records = []history.Record{state(asked, r)}
	case *pb.GetStateAtVersionResponse:
		out.Records = []history.Record{{
			Name: asked, Exists: r.GetExists(), Version: r.GetVersion(), CommitTS: r.GetCommitTs(),
			CommitTime: nanos(r.GetCommitTime()), Value: string(r.GetValueJson()), Inexact: r.GetInexact() != nil,
		}}
	case *pb.BatchGetStateResponse:
		for i, s := range r.GetStates() {
			var n history.Name
			if i < len(in.Names) {
				n = in.Names[i]
			}
			out.Records = append(out.Records, state(n, s))
		}
	case *pb.ListKeysResponse:
		out.Keys = r.GetKeys()
	case *pb.ListNamespacesResponse:
		out.Keys = r.GetNamespaces()
	case *pb.ScanPrefixResponse:
		for _, e := range r.GetEntries() {
			out.Records = append(out.Records, history.Record{
				Name: history.Name{Namespace: in.Namespace, Agent: in.Agent, Key: e.GetKey()}, Exists: true, Version: e.GetVersion(),
				CommitTS: e.GetCommitTs(), CommitTime: nanos(e.GetCommitTime()), Value: string(e.GetValueJson()), Inexact: e.GetInexact() != nil,
			})
		}
	case *pb.GetHistoryResponse:
		for _, e := range r.GetEntries() {
			out.Records = append(out.Records, history.Record{
				Name: asked, Exists: !e.GetDeleted(), Version: e.GetVersion(), CommitTS: e.GetCommitTs(), CommitTime: nanos(e.GetCommitTime()),
				Value: string(e.GetValueJson()), Inexact: e.GetInexact() != nil, TxnID: e.GetTxnId(), Metadata: e.GetMetadata(),
			})
		}
	case *pb.ListAgentsResponse:
		for _, a := range r.GetAgents() {
			out.Agents = append(out.Agents, history.Agent{Namespace: a.GetNamespace(), Agent: a.GetAgentId(), FirstTS: a.GetFirstTs(), HeadTS: a.GetHeadTs()})
		}
	}
}

func state(n history.Name, s *pb.GetStateResponse) history.Record {
	return history.Record{
		Name: n, Exists: s.GetExists(), Version: s.GetVersion(), CommitTS: s.GetCommitTs(), CommitTime: nanos(s.GetCommitTime()),
		Value: string(s.GetValueJson()), Inexact: s.GetInexact() != nil,
	}
}

func keyVersions(vs []*pb.KeyVersion) []history.KeyVersion {
	var out []history.KeyVersion
	for _, v := range vs {
		out = append(out, history.KeyVersion{Name: history.Name{Namespace: v.GetNamespace(), Agent: v.GetAgentId(), Key: v.GetKey()}, Version: v.GetVersion()})
	}
	return out
}

// Batch is what a message of a stream says.
func Batch(time int64, m *pb.EventBatch) history.Batch {
	b := history.Batch{Time: time, Cursor: m.GetCursor()}
	for _, ev := range m.GetEvents() {
		b.Events = append(b.Events, Event(ev))
	}
	return b
}

// Event is a commit as a stream shows it.
func Event(m *pb.ReplayEvent) history.Event {
	ev := history.Event{CommitTS: m.GetCommitTs(), CommitTime: nanos(m.GetCommitTime()), TxnID: m.GetTxnId(), Metadata: m.GetMetadata()}
	for _, o := range m.GetOperations() {
		ev.Ops = append(ev.Ops, history.EventOp{
			Name:    history.Name{Namespace: o.GetNamespace(), Agent: o.GetAgentId(), Key: o.GetKey()},
			Version: o.GetVersion(), Delete: o.GetDeleted(), Value: string(o.GetValueJson()), Inexact: o.GetInexact() != nil,
		})
	}
	return ev
}

// Outcome is what an error leaves its client to know. An answer of the daemon
// says itself whether the operation may have been applied; what comes from
// between them never does.
func Outcome(err error) (history.Outcome, *history.Refusal) {
	if err == nil {
		return history.OK, nil
	}
	s := status.Convert(err)
	for _, d := range s.Details() {
		if e, ok := d.(*pb.StatehouseError); ok {
			r := &history.Refusal{Code: e.GetCode().String(), Message: e.GetMessage(), Details: e.GetDetails()}
			if e.GetMaybeApplied() {
				return history.Unknown, r
			}
			return history.Fail, r
		}
	}
	r := &history.Refusal{Code: strings.ToLower(s.Code().String()), Message: s.Message()}
	switch s.Code() {
	case codes.Unimplemented, codes.Unauthenticated, codes.PermissionDenied, codes.InvalidArgument:
		return history.Fail, r // refused at the door
	}
	return history.Unknown, r
}
