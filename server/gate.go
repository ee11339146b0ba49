package server

import (
	"fmt"
	"sync/atomic"

	healthpb "google.golang.org/grpc/health/grpc_health_v1"

	"statehouse.dev/statehouse/engine"
	pb "statehouse.dev/statehouse/proto/statehouse/v1"
)

// gate lets a number of requests in and refuses the rest: a clear no, not a
// queue (G9).
type gate struct {
	free  atomic.Int64
	limit int
	what  string // passes it
}

func (g *gate) init(limit int, what string) {
	g.limit, g.what = limit, what
	g.free.Store(int64(limit))
}

func (g *gate) enter() error {
	if g.free.Add(-1) < 0 {
		g.free.Add(1)
		return g.refusal()
	}
	return nil
}

// look is enter without entering: what is refused on the header is refused before
// its body.
func (g *gate) look() error {
	if g.free.Load() <= 0 {
		return g.refusal()
	}
	return nil
}

func (g *gate) refusal() error {
	return fail(engine.ErrLimit, fmt.Sprintf("%s under way: the limit of %d is reached; nothing was applied: retry later", g.what, g.limit))
}

func (g *gate) leave() { g.free.Add(1) }

// Whoever watches over the daemon must be answered when a crowd waits for the disk:
// else a supervisor ends a daemon that is only busy. These methods wait for nothing,
// so few places are enough.
const (
	probesAtOnce        = 64
	healthWatchesAtOnce = 64
)

var probes = map[string]bool{
	pb.StatehouseService_Health_FullMethodName:    true,
	pb.StatehouseService_Version_FullMethodName:   true,
	pb.StatehouseService_GetStatus_FullMethodName: true,
	healthpb.Health_Check_FullMethodName:          true,
}

// administration is what is served on connections that are kept back for it.
var administration = map[string]bool{
	pb.CaptureService_StartCapture_FullMethodName:     true,
	pb.CaptureService_StopCapture_FullMethodName:      true,
	pb.CaptureService_GetCaptureStatus_FullMethodName: true,
}

// tokenless is what answers without the token: a supervisor's probe has none, and
// learns no more than that the daemon is well.
var tokenless = map[string]bool{
	healthpb.Health_Check_FullMethodName: true,
	healthpb.Health_Watch_FullMethodName: true,
}

// gateOf is the gate that a method passes.
func (s *Service) gateOf(method string, stream bool) *gate {
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
