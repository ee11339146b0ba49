package fuzz

import (
	"math/rand/v2"
	"slices"
	"time"

	"statehouse.dev/statehouse/sim"
	"statehouse.dev/statehouse/sim/simdisk"
	"statehouse.dev/statehouse/sim/workload"
)

// Swarm is what a seed draws first: who takes part, how the world is set up, and
// how likely everything is (swarm testing, Groce et al. 2012: a run that leaves
// some things out goes deeper into others).
type Swarm struct {
	Class     sim.Class
	Config    sim.Config
	clients   int
	workloads []int // of workload.All, which the clients share out
	agents    int   // that they write to
	ops       int   // rounds of each client
	deaths    int   // of the daemon, and
	faults    int   // of other sorts, that the nemesis plans

	// How likely each choice is, against the others that there are; 0: never.
	run, deliver, reply, plan, settle, start float64
	loss, dup, again, timeout, cut           float64
	tick, flush, compact, pause              float64

	// The world that clients share: see worlds.go.
	names    *workload.Names
	sessions int     // that clients share; 0: their calls are their own
	alone    float64 // how likely a client does not
	structs  float64 // how likely a client sends some of its values as Structs
	imports  float64 // how likely an operator imports something
	abroad   float64 // and lives in another namespace than the default one
	chaos    bool    // there is a client that calls anything

	crashInside float64 // share of the deaths that are a power cut inside an operation
	nested      float64 // how likely a start that follows such a death dies, too
	crashModes  []simdisk.CrashMode
	diskFaults  []string
}

// Draw draws the swarm of a seed. The class is drawn, too, unless it is given.
func Draw(seed uint64, class sim.Class) Swarm {
	r := simdisk.Stream(seed, "mix")
	s := Swarm{
		Class: sim.Recoverable, clients: 4 + r.IntN(4), agents: 1 + r.IntN(3), ops: 22 + r.IntN(14), deaths: 2 + r.IntN(4),
		run: 10, deliver: 10, reply: 10, plan: spread(r, 6), settle: spread(r, 4), start: spread(r, 3),
		tick: spread(r, 0.05), flush: rarely(r, 0.7, 0.06), compact: rarely(r, 0.5, 0.02), pause: spread(r, 0.1),
		loss: rarely(r, 0.6, 0.1), dup: rarely(r, 0.5, 0.4), again: []float64{5, 0.3}[r.IntN(2)], timeout: rarely(r, 0.5, 0.03), cut: 0.4,
		crashInside: r.Float64(), nested: rarely(r, 0.5, 0.4),
	}
	switch x := r.Float64(); {
	case x < 0.2:
		s.Class = sim.Fatal
	case x < 0.35:
		s.Class = sim.Detectable
	}
	if class != "" {
		s.Class = class
	}
	s.faults = 4 + r.IntN(8)
	all := len(workload.All())
	for range 1 + r.IntN(5) {
		s.workloads = append(s.workloads, r.IntN(all))
	}
	s.crashModes = subset(r, simdisk.CrashModes())
	s.diskFaults = subset(r, faultsOf(s.Class))
	s.Config = drawConfig(r)
	if s.Config.Refuse() || s.Config.Rate > 0 { // who asks for little gets it
		s.workloads = slices.Insert(s.workloads, 0, slices.IndexFunc(workload.All(), func(l workload.Workload) bool { return l.Name == "register" }))
	}
	if s.Config.CachedAgents > 0 {
		s.agents = 20 + r.IntN(60) // more than caches have room for
	}
	s.drawWorld(seed)
	s.Config.Unsynced = s.Class == sim.Recoverable && r.IntN(12) == 0
	return s
}

func drawConfig(r *rand.Rand) sim.Config {
	var c sim.Config
	if r.IntN(3) == 0 {
		c.TxnTimeout = time.Duration(100+r.IntN(2000)) * time.Millisecond
	}
	c.Bounds = drawBounds(r)
	if r.IntN(10) == 0 {
		c.Rate = 10 + r.IntN(60)
	}
	if r.IntN(6) == 0 {
		c.OutcomeAge, c.OutcomeCount = time.Duration(1+r.IntN(20))*time.Minute, 1+r.IntN(20)
	}
	return c
}

// WithoutFaults leaves out what goes wrong but for deaths of the daemon and lost messages.
func (s *Swarm) WithoutFaults() { s.Class, s.faults = sim.Recoverable, 0 }

// OnlySchedule leaves out everything that goes wrong: what is left is who moves next.
func (s *Swarm) OnlySchedule() {
	s.WithoutFaults()
	s.deaths, s.loss, s.dup, s.timeout = 0, 0, 0, 0
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
	if len(list) == 0 && len(all) > 0 {
		list = append(list, all[r.IntN(len(all))])
	}
	return list
}
