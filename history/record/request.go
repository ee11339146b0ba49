package record

import (
	"fmt"

	"google.golang.org/protobuf/proto"

	"statehouse.dev/statehouse/history"
	pb "statehouse.dev/statehouse/proto/statehouse/v1"
)

// Request is the message that asks for in: the other way round from Input.
func Request(kind history.Kind, in *history.Input, pageToken string) proto.Message {
	switch kind {
	case history.Begin, history.StageWrite, history.StageDelete, history.Commit, history.Abort, history.Transact, history.GetTxn:
		return writeRequest(kind, in)
	case history.Replay:
		return &pb.ReplayRequest{
			Namespace: in.Namespace, AgentId: in.Agent, AllAgents: in.AllAgents, KeyPrefix: in.Prefix, Limit: in.Limit,
			StartTs: in.From, EndTs: in.To, StartTime: stamp(in.FromTime), EndTime: stamp(in.ToTime), Encoding: encoding(in),
		}
	case history.Watch:
		return &pb.WatchRequest{
			Namespace: in.Namespace, AgentId: in.Agent, AllAgents: in.AllAgents, KeyPrefix: in.Prefix, AfterTs: in.From, Encoding: encoding(in),
		}
	}
	return readRequest(kind, in, pageToken)
}

func writeRequest(kind history.Kind, in *history.Input) proto.Message {
	switch kind {
	case history.Begin:
		req := &pb.BeginTransactionRequest{}
		if in.Limit > 0 {
			req.TimeoutMs = &in.Limit
		}
		return req
	case history.StageWrite:
		return &pb.WriteRequest{
			TxnId: in.TxnID, Namespace: in.Namespace, AgentId: in.Agent, Key: in.Key, ValueJson: []byte(in.Value), ExpectedVersion: in.Expected,
		}
	case history.StageDelete:
		return &pb.DeleteRequest{TxnId: in.TxnID, Namespace: in.Namespace, AgentId: in.Agent, Key: in.Key, ExpectedVersion: in.Expected}
	case history.Abort:
		return &pb.AbortRequest{TxnId: in.TxnID}
	case history.GetTxn:
		return &pb.GetTransactionRequest{TxnId: in.TxnID}
	}
	keys, heads := preconditions(in)
	if kind == history.Commit {
		return &pb.CommitRequest{TxnId: in.TxnID, Metadata: in.Metadata, KeyPreconditions: keys, HeadPreconditions: heads}
	}
	req := &pb.TransactRequest{TxnId: in.TxnID, Metadata: in.Metadata, KeyPreconditions: keys, HeadPreconditions: heads}
	for i := range in.Writes {
		w := &in.Writes[i]
		op := &pb.TransactOperation{Namespace: w.Namespace, AgentId: w.Agent, Key: w.Key, Delete: w.Delete, ExpectedVersion: w.Expected}
		if !w.Delete {
			op.ValueJson = []byte(w.Value)
		}
		req.Operations = append(req.Operations, op)
	}
	return req
}

func preconditions(in *history.Input) (keys []*pb.KeyPrecondition, heads []*pb.HeadPrecondition) {
	for _, k := range in.Keys {
		keys = append(keys, &pb.KeyPrecondition{Namespace: k.Namespace, AgentId: k.Agent, Key: k.Key, ExpectedVersion: k.Expected})
	}
	for _, h := range in.Heads {
		heads = append(heads, &pb.HeadPrecondition{Namespace: h.Namespace, AgentId: h.Agent, ExpectedHead: h.Expected})
	}
	return keys, heads
}

func readRequest(kind history.Kind, in *history.Input, page string) proto.Message {
	limit := uint32(in.Limit)
	switch kind {
	case history.Get:
		return &pb.GetStateRequest{Namespace: in.Namespace, AgentId: in.Agent, Key: in.Key, Encoding: encoding(in), At: at(in), TxnId: in.TxnID}
	case history.GetVersion:
		return &pb.GetStateAtVersionRequest{Namespace: in.Namespace, AgentId: in.Agent, Key: in.Key, Version: in.KeyVersion, Encoding: encoding(in)}
	case history.BatchGet:
		req := &pb.BatchGetStateRequest{Encoding: encoding(in), At: at(in), TxnId: in.TxnID}
		for _, n := range in.Names {
			req.Names = append(req.Names, &pb.RecordName{Namespace: n.Namespace, AgentId: n.Agent, Key: n.Key})
		}
		return req
	case history.ListKeys:
		return &pb.ListKeysRequest{
			Namespace: in.Namespace, AgentId: in.Agent, Prefix: in.Prefix, Limit: limit, PageToken: page, Reverse: in.Reverse, At: at(in), TxnId: in.TxnID,
		}
	case history.Scan:
		return &pb.ScanPrefixRequest{
			Namespace: in.Namespace, AgentId: in.Agent, Prefix: in.Prefix, Limit: limit, PageToken: page, Reverse: in.Reverse, At: at(in), TxnId: in.TxnID,
			Encoding: encoding(in),
		}
	case history.KeyHistory:
		return &pb.GetHistoryRequest{
			Namespace: in.Namespace, AgentId: in.Agent, Key: in.Key, Limit: limit, PageToken: page, OldestFirst: in.OldestFirst, At: at(in), Encoding: encoding(in),
		}
	case history.ListAgents:
		return &pb.ListAgentsRequest{Namespace: in.Namespace, Prefix: in.Prefix, Limit: limit, PageToken: page}
	case history.ListSpaces:
		return &pb.ListNamespacesRequest{Limit: limit, PageToken: page}
	}
	panic(fmt.Sprintf("record: no request for an operation of kind %q", kind))
}

func encoding(in *history.Input) pb.ValueEncoding {
	if in.NoValues {
		return pb.ValueEncoding_VALUE_ENCODING_NONE
	}
	return pb.ValueEncoding_VALUE_ENCODING_JSON
}

func at(in *history.Input) *pb.At {
	switch {
	case in.At != nil:
		return &pb.At{Point: &pb.At_CommitTs{CommitTs: *in.At}}
	case in.AtTime != 0:
		return &pb.At{Point: &pb.At_Time{Time: stamp(in.AtTime)}}
	}
	return nil
}
