package server

import (
	"fmt"
	"time"
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
