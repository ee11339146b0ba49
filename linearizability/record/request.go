package record

import (
	"fmt"

	"google.golang.org/protobuf/proto"

	lin "statehouse.dev/statehouse/linearizability"
	pb "statehouse.dev/statehouse/proto/statehouse/v1"
)

// Request is the message that asks for in: the other way round from Input.
func Request(kind lin.Kind, in *lin.Input, pageToken string) proto.Message {
	switch kind {
	case lin.Begin, lin.StageWrite, lin.StageDelete, lin.Commit, lin.Abort, lin.Transact, lin.GetTxn:
		return writeRequest(kind, in)
	case lin.Replay:
		return &pb.ReplayRequest{
			Namespace: in.Namespace, AgentId: in.Agent, AllAgents: in.AllAgents, KeyPrefix: in.Prefix, Limit: in.Limit,
			StartTs: in.From, EndTs: in.To, StartTime: stamp(in.FromTime), EndTime: stamp(in.ToTime), Encoding: encoding(in),
		}
	case lin.Watch:
		return &pb.WatchRequest{
			Namespace: in.Namespace, AgentId: in.Agent, AllAgents: in.AllAgents, KeyPrefix: in.Prefix, AfterTs: in.From, Encoding: encoding(in),
		}
	}
	return readRequest(kind, in, pageToken)
}

func writeRequest(kind lin.Kind, in *lin.Input) proto.Message {
	switch kind {
	case lin.Begin:
		req := &pb.BeginTransactionRequest{}
		if in.Limit > 0 {
			req.TimeoutMs = &in.Limit
		}
		return req
	case lin.StageWrite:
		return &pb.WriteRequest{
			TxnId: in.TxnID, Namespace: in.Namespace, AgentId: in.Agent, Key: in.Key, ValueJson: []byte(in.Value), ExpectedVersion: in.Expected,
		}
	case lin.StageDelete:
		return &pb.DeleteRequest{TxnId: in.TxnID, Namespace: in.Namespace, AgentId: in.Agent, Key: in.Key, ExpectedVersion: in.Expected}
	case lin.Abort:
		return &pb.AbortRequest{TxnId: in.TxnID}
	case lin.GetTxn:
		return &pb.GetTransactionRequest{TxnId: in.TxnID}
	}
	keys, heads := preconditions(in)
	if kind == lin.Commit {
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

func preconditions(in *lin.Input) (keys []*pb.KeyPrecondition, heads []*pb.HeadPrecondition) {
	for _, k := range in.Keys {
		keys = append(keys, &pb.KeyPrecondition{Namespace: k.Namespace, AgentId: k.Agent, Key: k.Key, ExpectedVersion: k.Expected})
	}
	for _, h := range in.Heads {
		heads = append(heads, &pb.HeadPrecondition{Namespace: h.Namespace, AgentId: h.Agent, ExpectedHead: h.Expected})
	}
	return keys, heads
}

func readRequest(kind lin.Kind, in *lin.Input, page string) proto.Message {
	limit := uint32(in.Limit)
	switch kind {
	case lin.Get:
		return &pb.GetStateRequest{Namespace: in.Namespace, AgentId: in.Agent, Key: in.Key, Encoding: encoding(in), At: at(in), TxnId: in.TxnID}
	case lin.GetVersion:
		return &pb.GetStateAtVersionRequest{Namespace: in.Namespace, AgentId: in.Agent, Key: in.Key, Version: in.KeyVersion, Encoding: encoding(in)}
	case lin.BatchGet:
		req := &pb.BatchGetStateRequest{Encoding: encoding(in), At: at(in), TxnId: in.TxnID}
		for _, n := range in.Names {
			req.Names = append(req.Names, &pb.RecordName{Namespace: n.Namespace, AgentId: n.Agent, Key: n.Key})
		}
		return req
	case lin.ListKeys:
		return &pb.ListKeysRequest{
			Namespace: in.Namespace, AgentId: in.Agent, Prefix: in.Prefix, Limit: limit, PageToken: page, Reverse: in.Reverse, At: at(in), TxnId: in.TxnID,
		}
	case lin.Scan:
		return &pb.ScanPrefixRequest{
			Namespace: in.Namespace, AgentId: in.Agent, Prefix: in.Prefix, Limit: limit, PageToken: page, Reverse: in.Reverse, At: at(in), TxnId: in.TxnID,
			Encoding: encoding(in),
		}
	case lin.KeyHistory:
		return &pb.GetHistoryRequest{
			Namespace: in.Namespace, AgentId: in.Agent, Key: in.Key, Limit: limit, PageToken: page, OldestFirst: in.OldestFirst, At: at(in), Encoding: encoding(in),
		}
	case lin.ListAgents:
		return &pb.ListAgentsRequest{Namespace: in.Namespace, Prefix: in.Prefix, Limit: limit, PageToken: page}
	case lin.ListSpaces:
		return &pb.ListNamespacesRequest{Limit: limit, PageToken: page}
	}
	panic(fmt.Sprintf("record: no request for an operation of kind %q", kind))
}

func encoding(in *lin.Input) pb.ValueEncoding {
	if in.NoValues {
		return pb.ValueEncoding_VALUE_ENCODING_NONE
	}
	return pb.ValueEncoding_VALUE_ENCODING_JSON
}

func at(in *lin.Input) *pb.At {
	switch {
	case in.At != nil:
		return &pb.At{Point: &pb.At_CommitTs{CommitTs: *in.At}}
	case in.AtTime != 0:
		return &pb.At{Point: &pb.At_Time{Time: stamp(in.AtTime)}}
	}
	return nil
}
