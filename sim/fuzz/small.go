package fuzz

import (
	"cmp"
	"slices"
	"time"

	"statehouse.dev/statehouse/linearizability/verdict"
	"statehouse.dev/statehouse/sim"
	"statehouse.dev/statehouse/sim/clients"
	"statehouse.dev/statehouse/sim/clusters"
	"statehouse.dev/statehouse/sim/scenario"
)

// Size bounds what takes part in a run that is made up. The zero value bounds nothing.
type Size struct {
	Clients int  `json:"clients"`
	Rounds  int  `json:"rounds"`         // of each client
	Calm    bool `json:"calm,omitempty"` // no deaths of the daemon and no faults; messages may be lost
	// Nodes is how many keep the store between them; 0: the daemon is alone.
	Nodes int `json:"nodes,omitempty"`
}

// bound leaves out of a swarm what is more than its size.
func (s *Swarm) bound(z Size) {
	if z.Clients == 0 {
		return
	}
	s.clients, s.ops = min(s.clients, z.Clients), min(s.ops, z.Rounds)
	if s.workloads = s.workloads[:min(len(s.workloads), s.clients)]; z.Calm {
		s.deaths, s.faults = 0, 0
	}
}

// GenerateSmall makes up the run of a seed with less in it.
func GenerateSmall(seed uint64, z Size, o sim.Options) *sim.Result {
	if z.Nodes > 0 {
		return clusters.Generate(seed, clusters.Size(z), o)
	}
	s := Draw(seed, o.Class)
	s.bound(z)
	o.Class = s.Class
	w := sim.NewWorld(seed, s.Config, o)
	told := play(w, s)
	r := w.Finish()
	clients.Judge(r, told)
	return r
}

// sizes are tried in this order: small ones first.
func sizes(nodes int) (list []Size) {
	for _, rounds := range []int{1, 2, 3, 5, 8} {
		for clients := range 3 {
			list = append(list, Size{clients + 1, rounds, true, nodes}, Size{clients + 1, rounds, false, nodes})
		}
	}
	slices.SortStableFunc(list, func(x, y Size) int { return cmp.Compare(x.Clients*x.Rounds, y.Clients*y.Rounds) })
	return list
}

// trialsPerSize is how many seeds are tried of each size.
const trialsPerSize = 1000

// Small is a small run that was found.
type Small struct {
	Seed   uint64
	Size   Size
	Result *sim.Result
}

// Smallest looks for a small run in which a guarantee breaks as it did in a large one. It is for
// what a client's program saw: that is not in the steps, so the steps cannot be shrunk, and the
// programs have to run again. Of the smallest size of which one fails, and the next, it is the shortest.
func Smallest(b scenario.Breach, class sim.Class, nodes int, deadline time.Time, now func() time.Time, between func()) *Small {
	var best *Small
	for _, z := range sizes(nodes) {
		if best != nil && (best.Result.Stats.Steps <= enough || z.Clients*z.Rounds > best.Size.Clients*best.Size.Rounds+1) {
			break
		}
		for seed := uint64(1); seed <= trialsPerSize; seed++ {
			if now().After(deadline) {
				return best
			}
			r := GenerateSmall(seed, z, sim.Options{Class: class})
			if slices.ContainsFunc(r.Violations, func(v verdict.Violation) bool { return b.Matches(&v) }) && (best == nil || r.Stats.Steps < best.Result.Stats.Steps) {
				best = &Small{seed, z, r}
			}
			between()
		}
	}
	return best
}
