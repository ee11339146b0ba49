package sim

import (
	"fmt"
	"strings"
	"sync"
	"time"

	"statehouse.dev/statehouse/server"
	"statehouse.dev/statehouse/sim/peers"
	"statehouse.dev/statehouse/sim/sched"
	"statehouse.dev/statehouse/sim/simdisk"
	"statehouse.dev/statehouse/sim/step"
)

// Options says how a run is watched.
type Options struct {
	// Class is what the faults of the run may do; empty: a made-up run draws it.
	Class   Class
	Trace   func(format string, args ...any) // what "statehouse-sim run -v" prints; see the package doc
	Command string                           // that makes this run again, for the report
	// Disturb is the seed of moments at which goroutines lose the processor, as they do
	// on a busy machine: the run must be the same. 0: at none.
	Disturb uint64
	// Idle is how long the daemon may stand still before it counts as hanging; 0: as long as is
	// beyond doubt. Less is for a run that hangs, to be run again and again.
	Idle time.Duration
	// Before is called before each step, unless nil: it is the last that is known of a run which
	// ends its process.
	Before func(step.Step)
}

// World is a simulated machine with a daemon on it, or several, and the network between daemons
// and their clients. Nothing happens in it but by Apply. Each of its parts has one concern
// and a file of its own.
type World struct {
	*node         // that what happens is about
	nodes []*node // all of them

	peers   *peers.Network  // between them; nil: there is one node
	members []uint64        // the ids of a cluster
	judge   *peers.Judge    // of its nodes
	decided map[string]bool // transactions that were answered
	handed  []*handed
	came    map[string]int64 // when a transaction was to be committed first, in messages of nodes

	seed   uint64
	config Config
	served server.Config // that config is to the daemon, with every default
	class  Class

	clock    clock   // simulated time
	network  network // calls, from their client to the daemon and back
	keys     keys    // of the daemon, and what they may do
	imports  []*imported
	names    names         // of transactions, and their ids on the wire
	programs programs      // of clients
	idle     time.Duration // Options.Idle
	before   func(step.Step)
	tasks    sched.Tasks // coroutines: programs, and handlers of requests
	rec      recorder    // the history, the trace, the digests

	// mu guards what the hooks of the disk change, which run on goroutines of Pebble: the
	// clock, the faults, the end of the process. See quiesce.
	mu      sync.Mutex
	disturb *sched.Disturbance
}

// NewWorld makes a world with an empty disk and no daemon on it yet.
func NewWorld(seed uint64, config Config, o Options) *World {
	w := &World{
		seed: seed, class: o.Class, idle: o.Idle, before: o.Before,
		network: newNetwork(), keys: newKeys(), names: newNames(), rec: newRecorder(o),
	}
	if o.Disturb != 0 {
		w.disturb = sched.NewDisturbance(simdisk.Stream(o.Disturb, "disturbance"))
	}
	w.configure(config)
	if config.Nodes > 1 {
		w.makeCluster(config)
		return w
	}
	w.node = w.newNode("")
	w.machine.disk = simdisk.NewDisk(simdisk.DiskOptions{Seed: simdisk.Derive(seed, "disk"), Clock: w.now, Capacity: config.Capacity})
	w.attach()
	return w
}

// Seed is what ids, and what the disk draws, follow from.
func (w *World) Seed() uint64 { return w.seed }

// Running reports whether a daemon runs.
func (w *World) Running() bool { return w.process != nil }

// InFlight reports whether the writer is between plan and settle.
func (w *World) InFlight() bool { return w.process != nil && w.process.inflight }

// Unflushed counts the steps of the writer since what is in memory went to tables.
func (w *World) Unflushed() int { return w.process.unflushed }

// Limited reports whether a step has given the disk a size.
func (w *World) Limited() bool { return w.machine.capacity != 0 }

// DiedStarting counts the starts, up to the last, that the process died in.
func (w *World) DiedStarting() int { return w.starts.died }

// RefusedStarts counts the starts, up to the last, that the daemon refused.
func (w *World) RefusedStarts() int { return w.starts.refused }

// Operations counts the requests that clients have made.
func (w *World) Operations() int { return w.rec.stats.Operations }

// Applied counts the steps that were applied.
func (w *World) Applied() int { return len(w.rec.steps) }

// Time is the last moment of the history.
func (w *World) Time() int64 { return w.rec.events }

// Broken reports whether a guarantee is known to be broken.
func (w *World) Broken() bool { return len(w.rec.violations) > 0 }

// Violate reports a broken guarantee that whoever drives the world has seen.
func (w *World) Violate(guarantee, check, sentence string) {
	w.rec.violate(guarantee, check, 0, sentence)
}

// log is the daemon's log. A panic that an interceptor caught shows up there.
func (p *process) log(event string, attrs ...any) {
	w := p.w
	if p.n.process != nil && p.n.process.image != nil {
		return // the last words of a process that is dead
	}
	if event == "a request panicked" {
		w.rec.violate("G9", "panic", 0, "a request panicked: "+fmt.Sprint(attrs...))
	}
	w.rec.say("log: %s", strings.TrimSpace(event+" "+step.FirstLine(fmt.Sprintln(attrs...))))
}

// clock is simulated time. Times in a run's steps are counted from epoch.
type clock struct {
	elapsed time.Duration // since epoch; only rises
}

// StepTime is what one step takes, and stallTime what a disk that stalls does.
const (
	StepTime  = time.Millisecond
	stallTime = 3 * time.Second
)

// Now is the time that clients read: that of the machine, if there is only one.
func (w *World) Now() time.Time {
	if len(w.nodes) == 1 {
		return w.nodes[0].now()
	}
	return step.Epoch.Add(w.clock.elapsed)
}

// stall lets the time pass that a disk stalls for.
func (w *World) stall() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.clock.elapsed += stallTime
}

// jump sets the wall clock, as can happen to a machine at any time.
func (w *World) jump(by time.Duration) {
	w.jumped += by
	w.rec.note("clock", "jump", by.String())
	w.rec.stats.Faults["clock jump"]++
}
