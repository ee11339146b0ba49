// Package clusters makes up runs of worlds of several nodes from a seed, as package fuzz does of one.
//
// A seed draws a Swarm: how many clients there are and what they do, how fast messages and time go by, and
// what goes wrong. A driver then draws step after step: a client goes on, a message of it or of a node
// arrives, is lost, doubled or overtaken, time passes for a node, a leader plans, a node fetches a stretch of a copy; the
// nemesis kills nodes, cuts links, lets processes stand still and sets clocks, mostly of whoever leads; and operators
// have members join, leave and be replaced.
package clusters

import (
	"math/rand/v2"
	"time"

	"statehouse.dev/statehouse/sim"
	"statehouse.dev/statehouse/sim/simdisk"
	"statehouse.dev/statehouse/sim/workload"
)

// Swarm is what a seed draws first.
type Swarm struct {
	Class     sim.Class
	Config    sim.Config
	clients   int
	workloads []int // of workload.All
	agents    int
	ops       int // rounds of each client
	names     *workload.Names
	structs   float64

	deaths, troubles int // that the nemesis plans
	changes          int // that operators do

	// How likely each choice is, against the others that there are; 0: never.
	run, deliver, reply, plan, start         float64
	loss, dup, again, timeout, cut           float64
	arrive, lost, doubled, overtakes, synced float64 // of messages between nodes, and their disks
	tick, flush, compact, pause              float64
	fetch, operate, disturb                  float64 // copies of stores, what operators ask for, what goes wrong with copies
	revoke                                   float64 // keys
	sleepy                                   float64 // how likely a node sits a tick out
	crashModes                               []simdisk.CrashMode
	diskFaults                               []string
	kinds                                    []trouble // that happen
	plans                                    []plan    // of operators
}

// Draw draws the swarm of a seed, of so many nodes.
func Draw(seed uint64, nodes int, class sim.Class) Swarm {
	r := simdisk.Stream(seed, "cluster")
	s := Swarm{
		Class: sim.Recoverable, Config: sim.Config{Nodes: nodes}, clients: 3 + r.IntN(3), agents: 1 + r.IntN(3), ops: 14 + r.IntN(12),
		deaths: 1 + r.IntN(4), troubles: 2 + r.IntN(8),
		run: 10, deliver: 10, reply: 10, plan: spread(r, 6), start: spread(r, 0.5),
		loss: rarely(r, 0.5, 0.1), dup: rarely(r, 0.4, 0.4), again: []float64{5, 0.3}[r.IntN(2)], timeout: rarely(r, 0.4, 0.03), cut: 0.4,
		arrive: spread(r, 14), lost: rarely(r, 0.5, 0.15), doubled: rarely(r, 0.4, 0.15), overtakes: rarely(r, 0.4, 0.1),
		synced: spread(r, 8), tick: spread(r, 0.25), flush: rarely(r, 0.5, 0.03), compact: rarely(r, 0.3, 0.01), pause: spread(r, 0.1),
		sleepy: []float64{0, 0.1, 0.3}[r.IntN(3)],
	}
	if class != "" {
		s.Class = class
	}
	all := len(workload.All())
	for range 1 + r.IntN(4) {
		s.workloads = append(s.workloads, r.IntN(all))
	}
	s.names = workload.Plain(s.agents)
	if r.IntN(2) == 0 {
		s.names = workload.DrawNames(r, s.agents)
	}
	s.structs = []float64{0, 0.5}[r.IntN(2)]
	s.crashModes = subset(r, simdisk.CrashModes())
	s.kinds = subset(r, allTroubles)
	if s.Class == sim.Fatal {
		s.diskFaults = subset(r, fatalFaults)
	} else {
		s.diskFaults = subset(r, passingFaults)
	}
	// Drawn last: what runs without any of this do is as it was before there was.
	s.Config.KeepLog = []uint64{0, 0, 500, 2000, 8000}[r.IntN(5)]
	s.changes, s.plans = []int{0, 0, 1, 3, 6}[r.IntN(5)], subset(r, allPlans)
	s.fetch, s.operate, s.disturb = spread(r, 6), spread(r, 0.5), rarely(r, 0.6, 0.15)
	if r.IntN(3) == 0 {
		s.Config.OutcomeAge, s.Config.OutcomeCount = time.Duration(1+r.IntN(20))*time.Minute, 1+r.IntN(20)
	}
	if r.IntN(3) == 0 {
		s.Config.Token, s.Config.Keys, s.revoke = true, true, rarely(r, 0.7, 0.03)
	}
	return s
}

// spread varies a weight by a factor of up to four either way.
func spread(r *rand.Rand, weight float64) float64 {
	return weight * (0.25 + 3.75*r.Float64()*r.Float64())
}

// rarely is zero but for a share p of the runs.
func rarely(r *rand.Rand, p, weight float64) float64 {
	if r.Float64() >= p {
		return 0
	}
	return spread(r, weight)
}

// subset draws some, at least one.
func subset[T any](r *rand.Rand, all []T) []T {
	var list []T
	for _, x := range all {
		if r.IntN(2) == 0 {
			list = append(list, x)
		}
	}
	if len(list) == 0 {
		list = append(list, all[r.IntN(len(all))])
	}
	return list
}
