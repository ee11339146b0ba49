package sim

import (
	"fmt"
	"strings"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	"statehouse.dev/statehouse/history"
	"statehouse.dev/statehouse/history/record"
	"statehouse.dev/statehouse/linearizability/verdict"
	pb "statehouse.dev/statehouse/proto/statehouse/v1"
	"statehouse.dev/statehouse/sim/simdisk"
)

// epoch is when every world begins.
var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// stepTime is what one step takes, and stallTime what a disk that stalls does.
const (
	stepTime  = time.Millisecond
	stallTime = 3 * time.Second
)

// World is a simulated machine with a daemon on it, and the network between it
// and its clients. Nothing happens in it but by Apply.
type World struct {
	seed   uint64
	config Config
	mu     sync.Mutex // see rest; held by nobody for long

	elapsed time.Duration // since epoch; only rises
	jumped  time.Duration // what somebody has set the wall clock forward by
	events  int64         // the history's time: one an entry

	disk       *simdisk.Disk
	daemon     *daemon // nil while none runs
	generation int
	inflight   bool // between plan and settle
	powerCut   simdisk.CrashOptions

	current  *task
	handlers []*call // whose handler has not ended, oldest first
	calls    map[int]*call
	last     map[string]*call // the last call of a client
	order    []*call
	open     []*call        // those that something may still happen to, and some more
	begun    map[int]string // the name that the begin of that id gives its transaction
	names    names

	history       history.History
	violations    []verdict.Violation
	steps         []Step // applied
	digests       []uint64
	sum           uint64
	stats         Stats
	why           string           // the daemon could not start, because
	recoveries    int              // starts in a row that did not come to an end
	lossFound     int              // starts refused because of damage
	refusedStarts int              // starts in a row that were refused
	hurt          bool             // a start was refused because of damage
	pristine      *simdisk.Disk    // as it was before somebody harmed it; nil: nobody did
	powerLost     bool             // the daemon ended by a loss of power, the last time
	unflushed     int              // steps of the writer since what is in memory went to tables
	capacity      int64            // of the disk; 0: no limit
	over          bool             // clients are to end
	onOp          func(Point) bool // tells whether the power fails inside an operation
	struck        []string         // faults of the disk in this step
	armed         []armed
	reserved      map[int]bool // ids that steps to come have
	trace         func(format string, args ...any)
	number        int    // of the next step, for the trace; 0: it has none
	pending       string // the step that is being tried, not traced yet
	disturb       *disturbance
}

// NewWorld makes a world with an empty disk and no daemon on it yet.
func NewWorld(seed uint64, config Config, o Options) *World {
	w := &World{
		seed: seed, config: config, trace: o.Trace, disturb: newDisturbance(o.Disturb),
		calls: make(map[int]*call), last: make(map[string]*call), begun: make(map[int]string), names: newNames(),
		stats: newStats(),
	}
	w.disk = simdisk.NewDisk(simdisk.DiskOptions{Seed: simdisk.Derive(seed, "disk"), Clock: w.wallClock, Capacity: config.Capacity})
	w.attach()
	w.history.Header = history.Header{Format: history.Format, Version: history.Version, Source: "sim", Unit: "step", Command: o.Command}
	return w
}

// wallClock is the time that the daemon reads.
func (w *World) wallClock() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return epoch.Add(w.elapsed + w.jumped)
}

// stamp is the next moment of the history.
func (w *World) stamp() int64 { w.events++; return w.events }

// note writes something that happened into the history.
func (w *World) note(lane, kind, text string) {
	w.history.Notes = append(w.history.Notes, history.Note{Time: w.stamp(), Lane: lane, Kind: kind, Text: text})
	if text != "" {
		w.say("%s", noted(lane, kind, text))
	}
}

// violate reports a broken promise that the world itself has seen.
func (w *World) violate(promise, check string, op int, sentence string) {
	w.violations = append(w.violations, verdict.Violation{Promise: promise, Check: check, Op: op, Time: w.events, Sentence: sentence})
}

// logged is the daemon's log. A panic that an interceptor caught ends there.
func (w *World) logged(event string, attrs ...any) {
	if w.daemon != nil && w.daemon.image != nil {
		return // the last words of a process that is dead
	}
	if event == "a request panicked" {
		w.violate("G9", "panic", 0, "a request panicked: "+fmt.Sprint(attrs...))
	}
	w.say("log: %s", strings.TrimSpace(event+" "+firstLine(fmt.Sprintln(attrs...))))
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}

// output is what an answer says, in the world's names.
func (w *World) output(kind history.Kind, in *history.Input, m proto.Message) (history.Output, string) {
	out, next := record.Output(kind, in, m)
	out.TxnID = w.names.fromWire(out.TxnID)
	for i := range out.Records {
		out.Records[i].TxnID = w.names.fromWire(out.Records[i].TxnID)
	}
	return out, next
}

func (w *World) batch(m proto.Message) history.Batch {
	b := record.Batch(w.stamp(), m.(*pb.EventBatch))
	for i := range b.Events {
		b.Events[i].TxnID = w.names.fromWire(b.Events[i].TxnID)
	}
	return b
}

// attach hooks the world to its disk.
func (w *World) attach() {
	disk := w.disk
	w.disarm()
	cut := func() {
		if w.daemon != nil && w.daemon.image == nil {
			image := disk.Crash(w.powerCut)
			w.mu.Lock()
			defer w.mu.Unlock()
			w.daemon.image, w.daemon.how = image, "power cut inside an operation"
		}
	}
	disk.OnCrash(cut)
	disk.OnStall(func(simdisk.Op) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.elapsed += stallTime
	})
	disk.OnOp(func(op simdisk.Op) {
		d := w.daemon
		if d == nil || w.disk != disk {
			return
		}
		w.disturb.strike()
		d.hold(&op)
		// Once a file was harmed, a loss of power can take what the harm would be found by
		// (docs/GUARANTEES.md, G8): there is nothing to be learned of one.
		if w.onOp != nil && w.pristine == nil && w.onOp(Point{w.generation, op.Path, op.Kind, op.Count, op.Class}) {
			cut()
		}
	})
	disk.OnInject(func(i simdisk.Injection) {
		w.mu.Lock()
		defer w.mu.Unlock()
		kind := string(i.Fault.Kind)
		if i.Fault.Kind == simdisk.PowerCut {
			kind = "power cut inside an operation"
		}
		w.stats.Faults[kind]++
		w.struck = append(w.struck, i.String())
		w.struckBy(i.Fault)
	})
}
