package sim

import (
	"fmt"

	"statehouse.dev/statehouse/sim/simdisk"
	"statehouse.dev/statehouse/sim/step"
)

// machine is what the daemon runs on: the disk, and what befell it.
type machine struct {
	disk      *simdisk.Disk
	capacity  int64         // of the disk; 0: no limit
	pristine  *simdisk.Disk // the disk before a file on it was corrupted; nil: none was
	told      told
	powerLost bool // the daemon ended by a loss of power, the last time
	powerCut  simdisk.CrashOptions
	cutHere   func(Point) bool // reports whether the power fails inside an operation; may be nil
}

// Point is a place where the power can fail: inside one operation of the disk,
// named so that it means the same in every run of a scenario.
type Point struct {
	Process int // of the daemon, from 1
	Path    string
	Kind    simdisk.OpKind
	Count   int // of that kind on that path in that process
	Class   simdisk.Class
}

func (p Point) String() string {
	return fmt.Sprintf("process %d, %s %s #%d", p.Process, p.Kind, p.Path, p.Count)
}

// CutPower makes the power fail inside the operations of the daemon's disk for which here
// returns true. It is called inside every one.
func (w *World) CutPower(here func(Point) bool, crash simdisk.CrashOptions) {
	w.machine.cutHere, w.machine.powerCut = here, crash
}

// use makes the world go on with another disk: what the last one left.
func (w *World) use(disk *simdisk.Disk) {
	w.machine.disk = disk
	w.attach()
}

// attach hooks the world to its disk. This is where faults strike: all of them are
// carried out by the disk, which calls these hooks inside the operation it happens in.
func (w *World) attach() {
	n := w.node
	disk := n.machine.disk
	w.disarm()
	cut := func() {
		if n.process != nil && n.process.image == nil {
			image := disk.Crash(n.machine.powerCut)
			w.mu.Lock()
			defer w.mu.Unlock()
			n.process.die(image, "power cut inside an operation")
		}
	}
	disk.OnCrash(cut)
	disk.OnStall(func(simdisk.Op) { w.stall() })
	disk.OnOp(func(op simdisk.Op) {
		p := n.process
		if p == nil || n.machine.disk != disk {
			return
		}
		w.disturb.Strike()
		p.hold(&op)
		// After corruption a power cut may also destroy the evidence of it (G8), so such a run
		// would show nothing.
		if n.machine.cutHere != nil && n.machine.pristine == nil && n.machine.cutHere(Point{p.generation, op.Path, op.Kind, op.Count, op.Class}) {
			cut()
		}
	})
	disk.OnInject(n.struck)
}

// doDisk does what happens to the disk.
func (w *World) doDisk(s *step.Step) error {
	m := &w.machine
	switch s.Verb {
	case step.Fault:
		if s.Fault.Kind == simdisk.PowerCut {
			m.powerCut = s.Crash
		}
		if err := m.disk.Arm(s.Fault); err != nil {
			return misfit("%v", err)
		}
		w.arm(s.Fault)
	case step.Heal:
		m.disk.Heal()
		w.disarm()
	case step.Capacity:
		m.disk.SetCapacity(s.Bytes)
		m.capacity = s.Bytes
		if w.process != nil && s.Bytes != 0 {
			w.process.troubled = true
		}
		w.rec.note(w.lane("disk"), "capacity", "")
	case step.Room:
		u, err := m.disk.GetDiskUsage("/")
		if err != nil {
			return misfit("%v", err)
		}
		return w.doDisk(&step.Step{Verb: step.Capacity, Bytes: int64(u.UsedBytes) + s.Bytes})
	case step.Rot, step.Truncate, step.Remove:
		return w.corrupt(s)
	case step.Tamper:
		return w.tamper(s)
	default:
		return misfit("unknown verb %q", s.Verb)
	}
	return nil
}

// corrupt changes a file on the medium. While the daemon runs that would change what its
// page cache holds, which no rule of disks allows.
func (w *World) corrupt(s *step.Step) error {
	m := &w.machine
	if w.process != nil {
		return misfit("the daemon runs")
	}
	if m.powerLost {
		return misfit("the power failed: what the witness still knows may be older than the log, so corruption could go unnoticed (docs/GUARANTEES.md, G8)")
	}
	var files []simdisk.FileStat
	for _, f := range m.disk.Files() {
		if string(f.Class) == s.File && (f.Size > 0 || s.Verb == step.Remove) { // markers are empty: they can be lost, not rot
			files = append(files, f)
		}
	}
	if s.Nth < 1 || s.Nth > len(files) {
		return misfit("there are %d files of class %s", len(files), s.File)
	}
	f := files[s.Nth-1]
	offset := min(int64(s.Where*float64(f.Size)), f.Size-1)
	if m.pristine == nil {
		m.pristine = m.disk.Clone()
	}
	var err error
	switch s.Verb {
	case step.Rot:
		err = m.disk.FlipBit(f.Path, offset, s.Bit)
	case step.Truncate:
		err = m.disk.Truncate(f.Path, offset)
	case step.Remove:
		err = m.disk.RemoveFile(f.Path)
	}
	if err != nil {
		return misfit("%v", err)
	}
	w.rec.stats.Faults[string(s.Verb)+" "+s.File]++
	w.rec.note(w.lane("disk"), string(s.Verb), fmt.Sprintf("%s offset %d of %d", f.Path, offset, f.Size))
	return nil
}
