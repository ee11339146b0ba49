package fuzz

import (
	"fmt"

	"statehouse.dev/statehouse/sim"
	"statehouse.dev/statehouse/sim/simdisk"
)

// drawSessions draws how many sessions clients share. It has a stream of its own: what else a seed
// draws does not depend on it.
func (s *Swarm) drawSessions(seed uint64) {
	r := simdisk.Stream(seed, "sessions")
	s.sessions, s.alone = []int{0, 1, 1, 2}[r.IntN(4)], []float64{0, 0.3}[r.IntN(2)]
	if s.Config.Capture { // it says by its peer who asked
		s.sessions = 0
	}
}

// newSessions makes them. It returns what draws the one that the next client's calls go in; nil:
// in none.
func newSessions(w *sim.World, s *Swarm) func() *sim.Session {
	r := simdisk.Stream(w.Seed(), "sharing")
	var list []*sim.Session
	for i := range s.sessions {
		most := 0 // the client's own bound
		if r.IntN(3) == 0 {
			most = 1 + r.IntN(3)
		}
		list = append(list, w.NewSession(fmt.Sprintf("s%d", i+1), most))
	}
	return func() *sim.Session {
		if len(list) == 0 || r.Float64() < s.alone {
			return nil
		}
		return list[r.IntN(len(list))]
	}
}
