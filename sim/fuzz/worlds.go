package fuzz

import (
	"statehouse.dev/statehouse/sim"
	"statehouse.dev/statehouse/sim/simdisk"
	"statehouse.dev/statehouse/sim/workload"
)

// drawWorld draws the names that clients share, the forms of their values, and the modes of the
// daemon. It has a stream of its own: what else a seed draws does not depend on it.
func (s *Swarm) drawWorld(seed uint64) {
	r := simdisk.Stream(seed, "world")
	s.names = workload.Plain(s.agents)
	if r.IntN(3) > 0 {
		s.names = workload.DrawNames(r, s.agents)
	}
	s.structs = []float64{0, 0.5, 1}[r.IntN(3)]
	s.abroad = []float64{0, 0.3}[r.IntN(2)]
	s.chaos = r.IntN(6) == 0
	s.Config.Token = r.IntN(4) == 0
	s.Config.Capture = r.IntN(8) == 0 && s.Class == sim.Recoverable && !s.Config.Unsynced
	s.drawSessions(seed)
	s.drawKeys(seed)
	s.drawImports(seed)
}

// drawImports draws whether an operator imports something, from a stream of its own.
func (s *Swarm) drawImports(seed uint64) {
	if s.Class == sim.Recoverable && simdisk.Stream(seed, "imports").IntN(6) == 0 {
		s.imports = 0.3
	}
}

// drawKeys draws whether the daemon has keys beside its token, from a stream of its own.
func (s *Swarm) drawKeys(seed uint64) {
	r := simdisk.Stream(seed, "keys")
	if s.Class == sim.Recoverable && r.IntN(6) == 0 { // by chaos, which uses them
		s.chaos, s.Config.Token, s.Config.Keys = true, true, true
	}
}

// home is the namespace that a client lives in.
func (s *Swarm) home(client string, seed uint64) string {
	r := simdisk.Stream(seed, "home", client)
	if r.Float64() >= s.abroad {
		return s.names.Spaces[0]
	}
	return s.names.Spaces[r.IntN(len(s.names.Spaces))]
}
