package server

import (
	"strings"

	healthpb "google.golang.org/grpc/health/grpc_health_v1"

	pb "statehouse.dev/statehouse/proto/statehouse/v1"
	"statehouse.dev/statehouse/server/limiter"
	"statehouse.dev/statehouse/server/unsent"
)

// Whoever watches over the daemon must be answered when a crowd waits for the disk:
// else a supervisor ends a daemon that is only busy. These methods wait for nothing,
// so few places are enough (Tuning.Probes).
var probes = map[string]bool{
	pb.StatehouseService_Health_FullMethodName:    true,
	pb.StatehouseService_Version_FullMethodName:   true,
	pb.StatehouseService_GetStatus_FullMethodName: true,
	healthpb.Health_Check_FullMethodName:          true,
}

// administration is what is served, beside probes, on connections that are kept back.
var administration = map[string]bool{
	pb.CaptureService_StartCapture_FullMethodName:     true,
	pb.CaptureService_StopCapture_FullMethodName:      true,
	pb.CaptureService_GetCaptureStatus_FullMethodName: true,
}

// commits are the methods whose refusal may leave an outcome in doubt: a copy of the request
// may be under way, or applied already. Only the transaction id, in the body, decides.
var commits = map[string]bool{
	pb.StatehouseService_Commit_FullMethodName:   true,
	pb.StatehouseService_Transact_FullMethodName: true,
}

// quick are the methods that read or note so little that the goroutine that reads a session
// answers them itself: another one would cost more than they do.
var quick = map[string]bool{
	pb.StatehouseService_Health_FullMethodName:            true,
	pb.StatehouseService_Version_FullMethodName:           true,
	pb.StatehouseService_GetStatus_FullMethodName:         true,
	pb.StatehouseService_GetState_FullMethodName:          true,
	pb.StatehouseService_GetStateAtVersion_FullMethodName: true,
}

// costs of the answers that are read.
var costs = map[string]int64{
	pb.StatehouseService_GetState_FullMethodName:          unsent.ValueCost,
	pb.StatehouseService_GetStateAtVersion_FullMethodName: unsent.ValueCost,
	pb.StatehouseService_BatchGetState_FullMethodName:     unsent.PageCost,
	pb.StatehouseService_ListKeys_FullMethodName:          unsent.PageCost,
	pb.StatehouseService_ScanPrefix_FullMethodName:        unsent.PageCost,
	pb.StatehouseService_GetHistory_FullMethodName:        unsent.PageCost,
	pb.StatehouseService_GetTransaction_FullMethodName:    unsent.ValueCost,
	pb.StatehouseService_ListAgents_FullMethodName:        unsent.NamesCost,
	pb.StatehouseService_ListNamespaces_FullMethodName:    unsent.NamesCost,
	pb.StatehouseService_ListLeases_FullMethodName:        unsent.NamesCost,
	pb.StatehouseService_ListRefusals_FullMethodName:      unsent.PageCost,
	pb.StatehouseService_ListStreams_FullMethodName:       unsent.PageCost,
	pb.StatehouseService_Find_FullMethodName:              unsent.PageCost,
	pb.StatehouseService_Diff_FullMethodName:              unsent.PageCost,
}

var ownMethods = "/" + pb.StatehouseService_ServiceDesc.ServiceName + "/"

// isOwn reports whether a method is of the StatehouseService.
func isOwn(method string) bool { return strings.HasPrefix(method, ownMethods) }

// answerOf is what is known of a method's answers.
func answerOf(method string) unsent.Answer {
	return unsent.Answer{Cost: costs[method], State: probes[method] || !isOwn(method)}
}

// limiterOf is the limiter that a method passes.
func (s *Service) limiterOf(method string, stream bool) *limiter.Limiter {
	switch {
	case probes[method]:
		return &s.probes
	case method == healthpb.Health_Watch_FullMethodName:
		return &s.healthWatches
	case stream:
		return &s.streams
	}
	return &s.requests
}
