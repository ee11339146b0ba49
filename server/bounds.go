package server

import (
	"maps"
	"sync/atomic"

	"statehouse.dev/statehouse/engine"
	"statehouse.dev/statehouse/server/answer"
)

// Tuning bounds what is answered and read at a time.
type Tuning = answer.Tuning

// MaxAnswerBytes bounds an answer, unless Tuning says otherwise.
const MaxAnswerBytes = answer.MaxBytes

// LargestEvent is the size of the largest event that a transaction within l can
// leave, as a message with JSON values. One past MaxAnswerBytes could be committed
// and never be replayed.
func LargestEvent(l engine.Limits) int {
	const (
		aroundOperation = 64 // tags, lengths, version
		metadataFactor  = 5  // an entry of 2 bytes and what stands around it
	)
	return l.TxnBytes + aroundOperation*l.TxnOps + metadataFactor*l.MetadataBytes + engine.MaxPrincipalBytes + engine.MaxTraceIDBytes
}

// reached counts how often each bound of Config and Tuning was reached, in a field of the
// bound's name: as engine.Engine.Reached does. What methods reach is counted where they are.
type reached struct {
	Requests, Streams, Probes, HealthWatches atomic.Uint64

	SessionRequests, SessionBytes, SessionFrame atomic.Uint64
}

// counting counts each of its calls.
func counting(n *atomic.Uint64) func() { return func() { n.Add(1) } }

// Reached reports how often each bound was reached since the start, by the name of its field
// in Config and Tuning, and in those of the engine.
func (s *Service) Reached() map[string]uint64 {
	counts := s.Bounds()
	maps.DeleteFunc(counts, func(_ string, n uint64) bool { return n == 0 })
	return counts
}

// Bounds is Reached with those that were not reached.
func (s *Service) Bounds() map[string]uint64 {
	counts := s.engine.Bounds()
	maps.Copy(counts, engine.Counts(&s.reached))
	maps.Copy(counts, s.Service.Bounds())
	return counts
}
