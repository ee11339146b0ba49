package server

import (
	"fmt"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
)

// Host is what a service runs in: Serve's gRPC server and goroutines in production, their
// counterparts in the simulator.
type Host interface {
	// Unhealthy tells those who watch the daemon's health that it is going.
	Unhealthy()
	// StopServing takes in no more requests, and returns when those under way have
	// ended. It cuts off what has not ended by itself within a time.
	StopServing(within time.Duration)
	// StopEngine ends the engine's loop, and returns when it has ended.
	StopEngine()
}

// Shutdown ends what a service does: watches are told where to go on, requests under
// way are answered, and only then does the engine, which answers them, end. The service can
// be closed after it.
func (s *Service) Shutdown(h Host) {
	h.Unhealthy()
	s.drain()
	h.StopServing(drainTimeout)
	h.StopEngine()
	if held := s.Held().leaked(); held != (Held{}) {
		s.env.Log("all requests have ended, yet something is held", "held", fmt.Sprintf("%+v", held))
	}
}

// host is Serve's.
type host struct {
	grpc       *grpc.Server
	health     *health.Server
	serving    func() // waits until no listener is served
	stopEngine func()
}

func (h *host) Unhealthy() { h.health.Shutdown() }

func (h *host) StopServing(within time.Duration) {
	late := time.AfterFunc(within, h.grpc.Stop)
	h.grpc.GracefulStop()
	late.Stop()
	h.serving()
}

func (h *host) StopEngine() { h.stopEngine() }
