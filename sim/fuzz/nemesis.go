package fuzz

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"statehouse.dev/statehouse/sim"
	"statehouse.dev/statehouse/sim/simdisk"
	"statehouse.dev/statehouse/sim/step"
)

// insides are the operations of the disk inside of which a daemon can be made to
// die, with what it takes for them to happen: "" is a commit.
var insides = []struct {
	fault string
	needs step.Verb
}{
	{"crash file=wal op=write", ""},
	{"crash file=wal op=sync", ""},
	{"crash file=wal op=sync", ""},
	{"crash file=witness op=write", ""},
	{"crash file=sstable op=create", step.Flush},
	{"crash file=sstable op=write", step.Flush},
	{"crash file=sstable op=sync", step.Flush},
	{"crash file=manifest op=write", step.Flush},
	{"crash file=manifest op=sync", step.Flush},
	{"crash file=wal op=create", step.Flush},
	{"crash file=wal op=remove", step.Flush},
	{"crash file=dir op=dirsync", step.Flush},
	{"crash file=sstable op=write", step.Compact},
	{"crash file=sstable op=remove", step.Compact},
	{"crash file=manifest op=sync", step.Compact},
	{"crash file=manifest op=create", step.Start},
	{"crash file=marker op=create", step.Start},
	{"crash file=other op=sync", step.Start},
	{"crash file=marker op=remove", step.Start},
	{"crash file=other op=write", step.Start},
	{"crash file=options op=rename", step.Start},
	{"crash file=dir op=dirsync", step.Start},
	{"crash file=wal op=create", step.Start},
	{"crash file=wal op=read", step.Start},
	{"crash file=sstable op=sync", step.Start},
	{"crash file=witness op=write", step.Start},
	{"crash file=identity op=rename", step.Start},
	{"crash op=write", step.Start},
	{"crash op=sync", step.Start},
}

// faultsOf lists what else a disk may do to a daemon, by the class of the run.
func faultsOf(c sim.Class) []string {
	transient := []string{
		"sync-error file=sstable", "write-error file=sstable", "create-error file=sstable", "write-error file=sstable count=3",
		"remove-error file=sstable", "remove-error file=wal", "enospc file=sstable count=2", "read-error file=sstable",
		"short-write file=sstable", "stall file=wal op=sync", "stall file=sstable op=write count=5",
	}
	switch c {
	case sim.Fatal:
		return append(transient,
			"sync-error file=wal", "sync-error file=wal", "sync-error file=wal count=forever", "sync-error-after file=wal", "write-error file=wal", "enospc file=wal",
			"short-write file=wal", "short-enospc file=wal",
			"write-error file=wal count=forever", "sync-error file=manifest", "write-error file=manifest", "create-error file=wal",
			"create-error file=manifest", "dirsync-error", "rename-error file=options", "create-error file=marker", "write-error file=witness",
			"sync-error file=witness", "sync-error-after file=manifest", "rename-error", "sync-error",
		)
	case sim.Detectable:
		return append(transient, "bitflip file=sstable", "bitflip file=wal", "bitflip file=manifest", "bitflip file=witness", "bitflip file=identity",
			"bitflip", "bitflip file=sstable count=3", "misread file=sstable", "misread file=wal", "misread file=manifest", "read-error file=wal", "read-error file=manifest")
	}
	return transient
}

// goesWrong does what the nemesis has planned for now, if anything.
func (d *Driver) goesWrong() bool {
	w := d.w
	if !w.Running() {
		return false
	}
	if due(&d.deaths, w.Operations()) {
		// Most dangerous while a sync is pending: wait for one now and then.
		if !w.InFlight() && d.nemesis.IntN(3) > 0 && w.WriterAsked() {
			d.step(step.Step{Verb: step.Plan})
		}
		d.death()
		return true
	}
	if due(&d.faults, w.Operations()) {
		d.fault()
		return true
	}
	return false
}

// due takes one that is due from a list.
func due(list *[]int, now int) bool {
	for i, at := range *list {
		if at <= now {
			*list = slices.Delete(*list, i, i+1)
			return true
		}
	}
	return false
}

func (d *Driver) crash() simdisk.CrashOptions {
	return simdisk.CrashOptions{Mode: d.swarm.crashModes[d.nemesis.IntN(len(d.swarm.crashModes))], Seed: d.nemesis.Uint64N(1000)}
}

func (d *Driver) death() {
	if d.swarm.Config.Unsynced { // the power stays on
		d.step(step.Step{Verb: []step.Verb{step.Kill, step.Kill, step.Stop, step.Drain}[d.nemesis.IntN(4)]})
		return
	}
	if d.nemesis.Float64() < d.swarm.crashInside {
		d.deathInside()
		return
	}
	switch x := d.nemesis.Float64(); {
	case x < 0.6:
		d.step(step.Step{Verb: step.Crash, Crash: d.crash()})
	case x < 0.82:
		d.step(step.Step{Verb: step.Kill})
	case x < 0.87:
		d.step(step.Step{Verb: step.Stop})
	default:
		d.step(step.Step{Verb: step.Drain})
	}
}

// drainChoices are what may befall a daemon that was asked to stop: it is asked again, or
// loses its patience, or that of whoever asked is over.
func (d *Driver) drainChoices(add func(float64, func())) {
	add(0.5, func() { d.step(step.Step{Verb: step.Stop}) })
	add(0.7, func() { d.step(step.Step{Verb: step.Advance, Duration: 21 * time.Second}) })
	add(0.3, func() { d.step(step.Step{Verb: step.Kill}) })
}

// deathInside cuts the power inside an operation of the disk.
func (d *Driver) deathInside() {
	in := insides[d.nemesis.IntN(len(insides))]
	if in.needs == step.Start {
		d.step(step.Step{Verb: step.Crash, Crash: d.crash()})
	}
	d.arm(in.fault, 1+d.nemesis.IntN(3))
	if in.needs == step.Flush || in.needs == step.Compact {
		d.step(step.Step{Verb: in.needs})
	}
}

// arm arms a fault to strike at the nth operation from now that fits.
func (d *Driver) arm(text string, nth int) {
	f, err := simdisk.ParseFault(fmt.Sprintf("%s nth=%d", text, nth))
	if err != nil {
		panic("fuzz: " + err.Error())
	}
	s := step.Step{Verb: step.Fault, Fault: f}
	if f.Kind == simdisk.PowerCut {
		s.Crash = d.crash()
	}
	d.step(s)
}

// fault lets something go wrong that need not end the daemon.
func (d *Driver) fault() {
	r := d.nemesis
	switch r.IntN(8) {
	case 0:
		jumps := []time.Duration{-time.Hour, time.Hour, -3 * time.Second, 10 * 365 * 24 * time.Hour, -10 * time.Millisecond, 24 * time.Hour}
		d.step(step.Step{Verb: step.Jump, Duration: jumps[r.IntN(len(jumps))]})
	case 1:
		d.fillDisk()
	case 2:
		d.step(step.Step{Verb: step.Flush})
	case 3:
		d.step(step.Step{Verb: step.Compact})
	default:
		if len(d.swarm.diskFaults) > 0 {
			fault := d.swarm.diskFaults[r.IntN(len(d.swarm.diskFaults))]
			d.arm(fault, 1+r.IntN(3))
			if strings.Contains(fault, "sync-error") && r.IntN(2) == 0 {
				// What a failed sync has done shows when the power fails soon after.
				d.deaths = append(d.deaths, d.w.Operations()+r.IntN(12))
				return
			}
			if r.IntN(2) == 0 {
				d.step(step.Step{Verb: []step.Verb{step.Flush, step.Compact}[r.IntN(2)]})
			}
		}
	}
}

// fillDisk leaves the disk with little room, or gives it back.
func (d *Driver) fillDisk() {
	w := d.w
	if w.Limited() {
		d.step(step.Step{Verb: step.Capacity})
		return
	}
	d.step(step.Step{Verb: step.Room, Bytes: d.nemesis.Int64N(4 * sim.DiskReserve)})
	d.step(step.Step{Verb: step.Tick})
}

// start starts the daemon again, which may go wrong, too.
func (d *Driver) start() {
	w, r := d.w, d.nemesis
	if d.swarm.Config.Unsynced {
		d.step(step.Step{Verb: step.Capacity})
		d.step(step.Step{Verb: step.Start})
		return
	}
	if w.DiedStarting() > 0 && w.DiedStarting() < 3 && r.Float64() < d.swarm.nested || r.Float64() < d.swarm.nested/3 {
		var starts []string
		for _, in := range insides {
			if in.needs == step.Start {
				starts = append(starts, in.fault)
			}
		}
		d.arm(starts[r.IntN(len(starts))], 1+r.IntN(2))
	}
	if w.Limited() && r.IntN(2) == 0 {
		d.step(step.Step{Verb: step.Capacity})
	}
	if d.tampers.IntN(8) == 0 {
		d.tamper(1, false)
	}
	if r.IntN(5) == 0 { // what a dead daemon left unsynced is not safe yet
		d.step(step.Step{Verb: step.Crash, Crash: d.crash()})
	}
	if w.RefusedStarts() > 2 { // the operator has looked into it
		d.step(step.Step{Verb: step.Heal})
		d.step(step.Step{Verb: step.Capacity})
	}
	d.step(step.Step{Verb: step.Start})
}

// corruptible are the classes of files that may be corrupted while no daemon runs, what is
// more interesting more often.
var corruptible = []simdisk.Class{
	simdisk.ClassWAL, simdisk.ClassWAL, simdisk.ClassSSTable, simdisk.ClassSSTable, simdisk.ClassManifest, simdisk.ClassMarker,
	simdisk.ClassWitness, simdisk.ClassIdentity, simdisk.ClassOptions,
}

// corrupt ends the daemon and corrupts one file of its store. From there on it is only
// read.
func (d *Driver) corrupt() {
	w, r := d.w, d.nemesis
	d.step(step.Step{Verb: step.Heal})
	if !w.Running() {
		d.step(step.Step{Verb: step.Capacity})
		d.step(step.Step{Verb: step.Start})
	}
	if !w.Running() {
		return
	}
	d.step(step.Step{Verb: []step.Verb{step.Kill, step.Stop}[r.IntN(2)]})
	last := d.tampers.IntN(2) == 0
	if d.tamper(3, last); last {
		d.step(step.Step{Verb: step.Start})
		return
	}
	s := step.Step{Verb: []step.Verb{step.Rot, step.Rot, step.Truncate, step.Remove}[r.IntN(4)], File: string(corruptible[r.IntN(len(corruptible))]), Nth: 1 + r.IntN(3)}
	if s.Verb == step.Rot || s.Verb == step.Truncate {
		if s.Where = r.Float64(); r.IntN(2) == 0 { // ends are more interesting
			s.Where = 1 - s.Where*s.Where*s.Where
		}
	}
	if s.Verb == step.Rot {
		s.Bit = r.IntN(8)
	}
	for s.Nth > 1 && !d.step(s) {
		s.Nth--
	}
	if s.Nth == 1 {
		d.step(s)
	}
	d.step(step.Step{Verb: step.Start})
}
