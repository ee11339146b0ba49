package server

import (
	"statehouse.dev/statehouse/engine"
	"statehouse.dev/statehouse/server/limiter"
)

// Held is what requests hold of the service at a moment, in groups as engine.Held has
// them. When no request is under way and no transaction open, all of it is zero.
type Held struct {
	engine.Held
	Requests, Streams, Probes, HealthWatches struct{ UnderWay int }
	Handed                                   struct{ UnderWay int } // on by other members

	Sessions struct{ Open, Requests, Bytes int } // and what is under way in them

	Reading struct{ Streams, Waiting int } // of the store, and for their turn
	Making  struct{ Bytes, Waiting int }   // of answers, and for their turn
	Unsent  struct{ Bytes int }
}

// Held reports what is held now.
func (s *Service) Held() Held {
	h := Held{Held: s.engine.Held()}
	under := func(l *limiter.Limiter) int { return l.Limit() - l.Free() }
	h.Requests.UnderWay, h.Streams.UnderWay = under(&s.requests), under(&s.streams)
	h.Probes.UnderWay, h.HealthWatches.UnderWay = under(&s.probes), under(&s.healthWatches)
	h.Handed.UnderWay = under(&s.handed)
	for _, turns := range []*limiter.Semaphore{s.reading, s.following} {
		reading, waiting := turns.Usage()
		h.Reading.Streams, h.Reading.Waiting = h.Reading.Streams+int(reading), h.Reading.Waiting+waiting
	}
	in := &s.sessions
	h.Sessions.Open, h.Sessions.Requests, h.Sessions.Bytes = int(in.Sessions.Load()), int(in.Requests.Load()), int(in.Bytes.Load())
	u := s.unsent.Usage()
	h.Making.Bytes, h.Making.Waiting, h.Unsent.Bytes = int(u.Making), u.Waiting, int(u.Unsent())
	return h
}

// leaked is what is held still by nothing: when all that was under way has ended. Open
// transactions are not, they end with the process.
func (h Held) leaked() Held {
	h.Txns = Held{}.Txns
	h.Commits = Held{}.Commits // of those who gave up waiting: Close decides them
	return h
}
