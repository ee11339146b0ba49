package clusters

import (
	"fmt"
	"slices"
	"time"

	"statehouse.dev/statehouse/sim"
	"statehouse.dev/statehouse/sim/simdisk"
	"statehouse.dev/statehouse/sim/step"
)

// trouble is something that goes wrong and need end no process.
type trouble string

// The troubles.
const (
	isolated trouble = "isolated" // nothing of a node arrives, or nothing reaches it, or both
	oneWay   trouble = "one way"  // a link is cut
	stands   trouble = "stands"   // a process stands still
	skewed   trouble = "skewed"   // a clock is set
	moved    trouble = "moved"    // leadership is
	elected  trouble = "elected"  // a node stands for election, though somebody leads
	disk     trouble = "disk"     // a disk fails at something
	full     trouble = "full"     // a disk has little room
)

var allTroubles = []trouble{isolated, isolated, oneWay, stands, skewed, moved, elected, disk, full}

// What a disk fails at, of a node that survives it, and of one that must stop.
var (
	passingFaults = []string{"sync-error file=sstable", "write-error file=sstable", "create-error file=sstable", "read-error file=sstable", "enospc file=sstable count=2", "remove-error file=sstable", "stall file=wal op=sync"}
	fatalFaults   = append(slices.Clone(passingFaults), "sync-error file=wal", "sync-error file=wal count=forever", "sync-error-after file=wal", "write-error file=wal", "enospc file=wal",
		"sync-error file=manifest", "write-error file=manifest", "create-error file=wal", "dirsync-error", "rename-error", "write-error file=witness")
)

// insides are operations inside of which a node can be made to lose power. Each is of one class of files: while tables are
// written and logs begun, which of several files comes first is not the same in two runs.
var insides = []string{
	"crash file=wal op=write", "crash file=wal op=sync", "crash file=wal op=sync", "crash file=witness op=write", "crash file=sstable op=write",
	"crash file=manifest op=sync", "crash file=wal op=create", "crash file=dir op=dirsync", "crash file=manifest op=write", "crash file=sstable op=sync",
}

// planned is what is to go wrong once so many requests were made.
type planned struct {
	at   int
	what trouble // empty: a node dies
	plan plan    // of an operator's, in place of both
}

// mend is what ends a trouble after so many steps.
type mend struct {
	at   int
	step step.Step
}

func (d *driver) planTroubles(operations int) {
	for range d.swarm.deaths {
		d.plans = append(d.plans, planned{at: 1 + d.nemesis.IntN(operations)})
	}
	for range d.swarm.troubles {
		d.plans = append(d.plans, planned{at: 1 + d.nemesis.IntN(operations), what: d.swarm.kinds[d.nemesis.IntN(len(d.swarm.kinds))]})
	}
	for range d.swarm.changes {
		d.plans = append(d.plans, planned{at: 1 + d.nemesis.IntN(operations), plan: d.swarm.plans[d.nemesis.IntN(len(d.swarm.plans))]})
	}
}

// goesWrong does what the nemesis has planned for now, if anything, or what ends it.
func (d *driver) goesWrong() bool {
	for i, m := range d.mends {
		if m.at <= d.w.Applied() {
			d.mends = slices.Delete(d.mends, i, i+1)
			d.step(m.step)
			return true
		}
	}
	for i, p := range d.plans {
		if p.at <= d.w.Operations() {
			d.plans = slices.Delete(d.plans, i, i+1)
			switch {
			case p.plan != "":
				d.operates(p.plan)
			case p.what == "":
				d.death()
			default:
				d.goWrong(p.what)
			}
			return true
		}
	}
	return false
}

// victim is a node that runs, mostly who leads.
func (d *driver) victim() string {
	nodes := d.w.Nodes()
	if d.nemesis.IntN(3) > 0 {
		for i := range nodes {
			if nodes[i].Leads && !nodes[i].Paused {
				return nodes[i].Name
			}
		}
	}
	return nodes[d.nemesis.IntN(len(nodes))].Name
}

func (d *driver) crash() simdisk.CrashOptions {
	return simdisk.CrashOptions{Mode: d.swarm.crashModes[d.nemesis.IntN(len(d.swarm.crashModes))], Seed: d.nemesis.Uint64N(1000)}
}

// death ends a node, or all of them.
func (d *driver) death() {
	r, name := d.nemesis, d.victim()
	switch r.IntN(10) {
	case 0: // the power of the house
		for _, n := range d.w.Nodes() {
			d.step(step.Step{Verb: step.Crash, Node: n.Name, Crash: d.crash()})
		}
	case 1, 2, 3:
		d.step(step.Step{Verb: step.Kill, Node: name})
	case 4:
		d.step(step.Step{Verb: step.Stop, Node: name})
	case 5, 6:
		d.arm(name, insides[r.IntN(len(insides))])
	default:
		d.step(step.Step{Verb: step.Crash, Node: name, Crash: d.crash()})
	}
}

func (d *driver) arm(name, text string) {
	f, err := simdisk.ParseFault(fmt.Sprintf("%s nth=%d", text, 1+d.nemesis.IntN(3)))
	if err != nil {
		panic("clusters: " + err.Error())
	}
	// What a log is not told to sync Pebble writes when it comes to it, alone or with the next: the second write of one
	// run may be the first of another.
	if f.File == "wal" && f.Target() == simdisk.OpWrite {
		f.Nth = 1
	}
	s := step.Step{Verb: step.Fault, Node: name, Fault: f}
	if f.Kind == simdisk.PowerCut {
		s.Crash = d.crash()
	}
	d.step(s)
}

// later ends a trouble some steps from now.
func (d *driver) later(s step.Step) {
	d.mends = append(d.mends, mend{d.w.Applied() + 20 + d.nemesis.IntN(600), s})
}

func (d *driver) goWrong(what trouble) {
	r, name := d.nemesis, d.victim()
	switch what {
	case isolated:
		d.isolate(name)
	case oneWay:
		if links := d.w.Links(); len(links) > 0 {
			l := links[r.IntN(len(links))]
			d.step(step.Step{Verb: step.Cut, Node: l.From, Peer: l.To})
			d.later(step.Step{Verb: step.Heal, Node: l.From, Peer: l.To})
		}
	case stands:
		if d.step(step.Step{Verb: step.Pause, Node: name}) {
			d.later(step.Step{Verb: step.Resume, Node: name})
		}
	case skewed:
		by := []time.Duration{5 * time.Second, -5 * time.Second, time.Hour, -time.Hour, 300 * time.Millisecond, -300 * time.Millisecond, 24 * time.Hour}
		d.step(step.Step{Verb: step.Skew, Node: name, Duration: by[r.IntN(len(by))]})
	case moved:
		d.step(step.Step{Verb: step.Transfer, Node: d.w.Nodes()[r.IntN(len(d.w.Nodes()))].Name})
	case elected:
		name := d.w.Nodes()[r.IntN(len(d.w.Nodes()))].Name
		if d.step(step.Step{Verb: step.Campaign, Node: name}); r.IntN(3) == 0 { // before its disk has what it says
			d.step(step.Step{Verb: step.Crash, Node: name, Crash: d.crash()})
		}
	case disk:
		d.arm(name, d.swarm.diskFaults[r.IntN(len(d.swarm.diskFaults))])
		if r.IntN(2) == 0 {
			d.step(step.Step{Verb: step.Flush, Node: name})
		}
	case full:
		d.step(step.Step{Verb: step.Room, Node: name, Bytes: r.Int64N(4 * sim.DiskReserve)})
		d.later(step.Step{Verb: step.Capacity, Node: name})
	}
}

// isolate cuts what a node sends, what is sent to it, or both.
func (d *driver) isolate(name string) {
	how := d.nemesis.IntN(4)
	if how > 1 {
		d.step(step.Step{Verb: step.Cut, Node: name})
	}
	for _, l := range d.w.Links() {
		if how == 0 && l.From == name || how == 1 && l.To == name {
			d.step(step.Step{Verb: step.Cut, Node: l.From, Peer: l.To})
		}
	}
	d.later(step.Step{Verb: step.Heal, Node: name})
}

// start starts a node again, which may go wrong, too.
func (d *driver) start(n *sim.NodeView) {
	if d.nemesis.IntN(8) == 0 && d.swarm.Class == sim.Recoverable {
		d.arm(n.Name, insides[d.nemesis.IntN(len(insides))])
	}
	if n.Limited && d.nemesis.IntN(2) == 0 || n.Refused > 2 {
		d.step(step.Step{Verb: step.Capacity, Node: n.Name})
	}
	if n.Refused > 2 { // the operator has looked into it
		d.step(step.Step{Verb: step.Heal, Node: n.Name})
	}
	d.step(step.Step{Verb: step.Start, Node: n.Name})
}
