package record

import (
	"google.golang.org/protobuf/proto"

	"statehouse.dev/statehouse/history"
	pb "statehouse.dev/statehouse/proto/statehouse/v1"
)

// Input is what a request asks for. The page token, which is the daemon's own
// business, is returned beside it, for the caller to find the operation whose
// answer it came with. Values must be JSON: Struct fields are not recorded.
func Input(req proto.Message) (in history.Input, pageToken string) {
	if n, ok := req.(interface{ GetNamespace() string }); ok {
		in.Namespace = namespace(n.GetNamespace())
	}
	if n, ok := req.(interface{ GetAgentId() string }); ok {
		in.Agent = n.GetAgentId()
	}
	if n, ok := req.(interface{ GetKey() string }); ok {
		in.Key = n.GetKey()
	}
	if n, ok := req.(interface{ GetTxnId() string }); ok {
		in.TxnID = n.GetTxnId()
	}
	if n, ok := req.(interface{ GetPageToken() string }); ok {
		pageToken = n.GetPageToken()
	}
	if n, ok := req.(interface{ GetAt() *pb.At }); ok {
		setAt(&in, n.GetAt())
	}
	if n, ok := req.(interface{ GetEncoding() pb.ValueEncoding }); ok {
		in.NoValues = n.GetEncoding() == pb.ValueEncoding_VALUE_ENCODING_NONE
		in.Doubles = n.GetEncoding() == pb.ValueEncoding_VALUE_ENCODING_STRUCT
	}
	if n, ok := req.(interface{ GetLimit() uint32 }); ok {
		in.Limit = uint64(n.GetLimit())
	}
	setWrites(&in, req)
	setReads(&in, req)
	return in, pageToken
}

func setAt(in *history.Input, at *pb.At) {
	switch p := at.GetPoint().(type) {
	case *pb.At_CommitTs:
		in.At = &p.CommitTs
	case *pb.At_Time:
		in.AtTime = nanos(p.Time)
	}
}

func setWrites(in *history.Input, req proto.Message) {
	switch r := req.(type) {
	case *pb.BeginTransactionRequest:
		in.Limit = r.GetTimeoutMs()
	case *pb.WriteRequest:
		in.Value, in.Expected = string(r.GetValueJson()), r.ExpectedVersion
	case *pb.DeleteRequest:
		in.Expected = r.ExpectedVersion
	case *pb.CommitRequest:
		in.Metadata = r.GetMetadata()
		in.Keys, in.Heads = conditions(r.GetKeyPreconditions(), r.GetHeadPreconditions())
	case *pb.TransactRequest:
		in.Metadata = r.GetMetadata()
		in.Keys, in.Heads = conditions(r.GetKeyPreconditions(), r.GetHeadPreconditions())
		for _, o := range r.GetOperations() {
			in.Writes = append(in.Writes, history.Write{
				Name:  history.Name{Namespace: namespace(o.GetNamespace()), Agent: o.GetAgentId(), Key: o.GetKey()},
				Value: string(o.GetValueJson()), Delete: o.GetDelete(), Expected: o.ExpectedVersion,
			})
		}
	}
}

func setReads(in *history.Input, req proto.Message) {
	switch r := req.(type) {
	case *pb.GetStateAtVersionRequest:
		in.KeyVersion = r.GetVersion()
	case *pb.ListKeysRequest:
		in.Prefix, in.Reverse = r.GetPrefix(), r.GetReverse()
	case *pb.ScanPrefixRequest:
		in.Prefix, in.Reverse = r.GetPrefix(), r.GetReverse()
	case *pb.GetHistoryRequest:
		in.OldestFirst = r.GetOldestFirst()
	case *pb.ListAgentsRequest:
		in.Prefix = r.GetPrefix()
	case *pb.BatchGetStateRequest:
		for _, n := range r.GetNames() {
			in.Names = append(in.Names, history.Name{Namespace: namespace(n.GetNamespace()), Agent: n.GetAgentId(), Key: n.GetKey()})
		}
	case *pb.ReplayRequest:
		in.Prefix, in.AllAgents, in.Limit = r.GetKeyPrefix(), r.GetAllAgents(), r.GetLimit()
		in.From, in.To = r.StartTs, r.EndTs
		in.FromTime, in.ToTime = nanos(r.GetStartTime()), nanos(r.GetEndTime())
	case *pb.WatchRequest:
		in.Prefix, in.AllAgents, in.From = r.GetKeyPrefix(), r.GetAllAgents(), r.AfterTs
	}
}

func conditions(keys []*pb.KeyPrecondition, heads []*pb.HeadPrecondition) (ks []history.KeyCondition, hs []history.HeadCondition) {
	for _, k := range keys {
		ks = append(ks, history.KeyCondition{
			Name: history.Name{Namespace: namespace(k.GetNamespace()), Agent: k.GetAgentId(), Key: k.GetKey()}, Expected: k.GetExpectedVersion(),
		})
	}
	for _, h := range heads {
		hs = append(hs, history.HeadCondition{Namespace: namespace(h.GetNamespace()), Agent: h.GetAgentId(), Expected: h.GetExpectedHead()})
	}
	return ks, hs
}
