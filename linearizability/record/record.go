// Package record translates between the contract and histories: what goes over
// the wire as protobuf, package linearizability keeps as operations. Simulated
// and real connections are recorded by the same code.
package record

import (
	"math"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	lin "statehouse.dev/statehouse/linearizability"
	pb "statehouse.dev/statehouse/proto/statehouse/v1"
)

// kindOf and methodOf pair the methods of the contract with the kinds of
// operations. Replay is recorded in its batched form only: the other differs in
// framing.
var kindOf = map[string]lin.Kind{
	pb.StatehouseService_BeginTransaction_FullMethodName:  lin.Begin,
	pb.StatehouseService_Write_FullMethodName:             lin.StageWrite,
	pb.StatehouseService_Delete_FullMethodName:            lin.StageDelete,
	pb.StatehouseService_Commit_FullMethodName:            lin.Commit,
	pb.StatehouseService_Abort_FullMethodName:             lin.Abort,
	pb.StatehouseService_Transact_FullMethodName:          lin.Transact,
	pb.StatehouseService_GetState_FullMethodName:          lin.Get,
	pb.StatehouseService_GetStateAtVersion_FullMethodName: lin.GetVersion,
	pb.StatehouseService_BatchGetState_FullMethodName:     lin.BatchGet,
	pb.StatehouseService_ListKeys_FullMethodName:          lin.ListKeys,
	pb.StatehouseService_ScanPrefix_FullMethodName:        lin.Scan,
	pb.StatehouseService_GetHistory_FullMethodName:        lin.KeyHistory,
	pb.StatehouseService_ListAgents_FullMethodName:        lin.ListAgents,
	pb.StatehouseService_ListNamespaces_FullMethodName:    lin.ListSpaces,
	pb.StatehouseService_GetTransaction_FullMethodName:    lin.GetTxn,
	pb.StatehouseService_ReplayBatches_FullMethodName:     lin.Replay,
	pb.StatehouseService_Watch_FullMethodName:             lin.Watch,
}

var methodOf = invert(kindOf)

func invert(m map[string]lin.Kind) map[lin.Kind]string {
	out := make(map[lin.Kind]string, len(m))
	for method, kind := range m { // into a map: order cannot matter
		out[kind] = method
	}
	return out
}

// KindOf tells what kind of operation a method is; false for one that is not
// recorded (Health, Version, GetStatus).
func KindOf(method string) (lin.Kind, bool) {
	k, ok := kindOf[method]
	return k, ok
}

// MethodOf is the method that makes an operation of that kind.
func MethodOf(kind lin.Kind) string { return methodOf[kind] }

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
func NewRequest(kind lin.Kind) proto.Message { return Request(kind, &lin.Input{}, "") }

// NewResponse is an empty answer to an operation of that kind.
func NewResponse(kind lin.Kind) proto.Message {
	switch kind {
	case lin.Begin:
		return &pb.BeginTransactionResponse{}
	case lin.StageWrite:
		return &pb.WriteResponse{}
	case lin.StageDelete:
		return &pb.DeleteResponse{}
	case lin.Commit:
		return &pb.CommitResponse{}
	case lin.Abort:
		return &pb.AbortResponse{}
	case lin.Transact:
		return &pb.TransactResponse{}
	case lin.Get:
		return &pb.GetStateResponse{}
	case lin.GetVersion:
		return &pb.GetStateAtVersionResponse{}
	case lin.BatchGet:
		return &pb.BatchGetStateResponse{}
	case lin.ListKeys:
		return &pb.ListKeysResponse{}
	case lin.Scan:
		return &pb.ScanPrefixResponse{}
	case lin.KeyHistory:
		return &pb.GetHistoryResponse{}
	case lin.ListAgents:
		return &pb.ListAgentsResponse{}
	case lin.ListSpaces:
		return &pb.ListNamespacesResponse{}
	case lin.GetTxn:
		return &pb.GetTransactionResponse{}
	}
	return &pb.EventBatch{}
}
