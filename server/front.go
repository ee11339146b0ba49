package server

import (
	"net/http"
	"time"

	"google.golang.org/grpc"
)

// Front is another way in than the listeners of Serve: it takes requests over HTTP, and hands
// them to Handler.
type Front interface {
	// Serve serves until Shutdown, and returns nil then.
	Serve() error
	// Shutdown takes in no more requests, and returns when those under way have ended. It cuts
	// off what has not ended by itself within a time.
	Shutdown(within time.Duration)
}

// Handler answers gRPC requests that net/http has read. They pass what those of Serve's listeners
// pass, from their header on: who asks, the limits, the recorder, the counting of answers. What
// connections bound, the front must: how many there are, how large and how slow a body may be.
// It is to be asked for once, before Serve.
func (s *Service) Handler() http.Handler {
	s.fronted = grpc.NewServer(s.options()...)
	s.Register(registrar{s.fronted, s})
	return s.fronted
}

// AddFront has Serve serve f, too, and end it with the listeners.
func (s *Service) AddFront(f Front) { s.fronts = append(s.fronts, f) }
