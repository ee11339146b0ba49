package answer

import (
	"context"
	"time"

	"statehouse.dev/statehouse/engine"
	pb "statehouse.dev/statehouse/proto/statehouse/v1"
	"statehouse.dev/statehouse/server/access"
	"statehouse.dev/statehouse/server/limiter"
	"statehouse.dev/statehouse/server/lookout"
)

// Config is what the methods stand on, beside the engine.
type Config struct {
	Tuning Tuning // with its defaults
	Access *access.Control
	// Turns to read from the store: of replays, and of watches.
	Reading, Following *limiter.Semaphore
	// Draining ends watches, when it ends.
	Draining context.Context
	// Now is the time.
	Now func() time.Time
	// Refusals are counted where requests come by. Streams are those of the methods, and of sessions.
	Refusals *lookout.Refusals
	Streams  *lookout.Streams
}

// Service answers the methods of StatehouseService that are about records. Make one with New.
type Service struct {
	pb.UnimplementedStatehouseServiceServer
	engine *engine.Engine
	config Config
	access *access.Control

	reading, following *limiter.Semaphore
	reached            Reached
	draining           context.Context
	began              time.Time
}

// New answers from an engine.
func New(e *engine.Engine, c Config) *Service {
	return &Service{engine: e, config: c, access: c.Access, reading: c.Reading, following: c.Following, draining: c.Draining, began: c.Now()}
}

// Bounds reports how often each bound was reached, by its name.
func (s *Service) Bounds() map[string]uint64 { return engine.Counts(&s.reached) }

// Watching reports how many watches there are, and how far the last of them is behind published.
func (s *Service) Watching(published engine.CommitTS) (watches int, lag uint64) {
	return s.config.Streams.Watches(uint64(published))
}
