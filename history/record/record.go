// Package record translates between the contract and histories: what goes over
// the wire as protobuf, package linearizability keeps as operations. Simulated
// and real connections are recorded by the same code.
package record

import (
	"math"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"statehouse.dev/statehouse/history"
	pb "statehouse.dev/statehouse/proto/statehouse/v1"
)

// kindOf and methodOf pair the methods of the contract with the kinds of
// operations. Replay is recorded in its batched form only: the other differs in
// framing.
var kindOf = map[string]history.Kind{
	pb.StatehouseService_BeginTransaction_FullMethodName:  history.Begin,
	pb.StatehouseService_Write_FullMethodName:             history.StageWrite,
	pb.StatehouseService_Delete_FullMethodName:            history.StageDelete,
	pb.StatehouseService_Commit_FullMethodName:            history.Commit,
	pb.StatehouseService_Abort_FullMethodName:             history.Abort,
	pb.StatehouseService_Transact_FullMethodName:          history.Transact,
	pb.StatehouseService_GetState_FullMethodName:          history.Get,
	pb.StatehouseService_GetStateAtVersion_FullMethodName: history.GetVersion,
	pb.StatehouseService_BatchGetState_FullMethodName:     history.BatchGet,
	pb.StatehouseService_ListKeys_FullMethodName:          history.ListKeys,
	pb.StatehouseService_ScanPrefix_FullMethodName:        history.Scan,
	pb.StatehouseService_GetHistory_FullMethodName:        history.KeyHistory,
	pb.StatehouseService_ListAgents_FullMethodName:        history.ListAgents,
	pb.StatehouseService_ListNamespaces_FullMethodName:    history.ListSpaces,
	pb.StatehouseService_GetTransaction_FullMethodName:    history.GetTxn,
	pb.StatehouseService_ReplayBatches_FullMethodName:     history.Replay,
	pb.StatehouseService_Watch_FullMethodName:             history.Watch,
}

var methodOf = invert(kindOf)

func invert(m map[string]history.Kind) map[history.Kind]string {
	out := make(map[history.Kind]string, len(m))
	for method, kind := range m { // into a map: order cannot matter
		out[kind] = method
	}
	return out
}

// KindOf tells what kind of operation a method is; false for one that is not
// recorded (Health, Version, GetStatus).
func KindOf(method string) (history.Kind, bool) {
	k, ok := kindOf[method]
	return k, ok
}

// MethodOf is the method that makes an operation of that kind.
func MethodOf(kind history.Kind) string { return methodOf[kind] }

// defaultNamespace is what an empty one means.
const defaultNamespace = "default"

func namespace(ns string) string {
	if ns == "" {
		return defaultNamespace
	}
	return ns
}

func nanos(t *timestamppb.Timestamp) int64 {
	if t == nil {
		return 0
	}
	at := t.AsTime()
	switch { // farther away than nanoseconds count
	case at.Before(time.Unix(0, math.MinInt64)):
		return math.MinInt64
	case at.After(time.Unix(0, math.MaxInt64)):
		return math.MaxInt64
	}
	return at.UnixNano()
}

func stamp(ns int64) *timestamppb.Timestamp {
	if ns == 0 {
		return nil
	}
	return timestamppb.New(time.Unix(0, ns))
}

// NewRequest is an empty message that asks for an operation of that kind.
func NewRequest(kind history.Kind) proto.Message { return Request(kind, &history.Input{}, "") }

// NewResponse is an empty answer to an operation of that kind.
func NewResponse(kind history.Kind) proto.Message {
	switch kind {
	case history.Begin:
		return &pb.BeginTransactionResponse{}
	case history.StageWrite:
		return &pb.WriteResponse{}
	case history.StageDelete:
		return &pb.DeleteResponse{}
	case history.Commit:
		return &pb.CommitResponse{}
	case history.Abort:
		return &pb.AbortResponse{}
	case history.Transact:
		return &pb.TransactResponse{}
	case history.Get:
		return &pb.GetStateResponse{}
	case history.GetVersion:
		return &pb.GetStateAtVersionResponse{}
	case history.BatchGet:
		return &pb.BatchGetStateResponse{}
	case history.ListKeys:
		return &pb.ListKeysResponse{}
	case history.Scan:
		return &pb.ScanPrefixResponse{}
	case history.KeyHistory:
		return &pb.GetHistoryResponse{}
	case history.ListAgents:
		return &pb.ListAgentsResponse{}
	case history.ListSpaces:
		return &pb.ListNamespacesResponse{}
	case history.GetTxn:
		return &pb.GetTransactionResponse{}
	}
	return &pb.EventBatch{}
}
