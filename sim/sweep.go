package sim

import (
	"fmt"

	"statehouse.dev/statehouse/sim/simdisk"
)

// Point is a place where the power can fail: inside one operation of the disk,
// named so that it means the same in every run of a story.
type Point struct {
	Life  int // of the daemon, from 1
	Path  string
	Kind  simdisk.OpKind
	Count int // of that kind on that path in that life
	Class simdisk.Class
}

func (p Point) String() string {
	return fmt.Sprintf("life %d, %s %s #%d", p.Life, p.Kind, p.Path, p.Count)
}

// SweepModes are what becomes of unsynced data at each point.
func SweepModes() []simdisk.CrashMode {
	return []simdisk.CrashMode{simdisk.DropAll, simdisk.KeepAll, simdisk.Torn}
}

// Points runs a story and lists every operation of its disk that the daemon did.
func (s *Scenario) Points() ([]Point, error) {
	var list []Point
	w := NewWorld(s.Seed, s.Config, Options{})
	w.watchOps(func(p Point) bool {
		list = append(list, p)
		return false
	})
	for i, step := range s.Steps {
		if err := w.Apply(step); err != nil {
			return nil, fmt.Errorf("step %d (%s): %w", i+1, step, err)
		}
	}
	w.onOp = nil
	w.Finish()
	return list, nil
}

// CrashAt runs a story, cuts the power at a point of it, starts the daemon again,
// goes on with what of the story still fits, and judges. struck tells whether the
// run came by the point.
func (s *Scenario) CrashAt(p Point, crash simdisk.CrashOptions) (r *Result, struck bool) {
	w := NewWorld(s.Seed, s.Config, Options{})
	w.powerCut = crash
	w.watchOps(func(q Point) bool {
		if struck || p != q {
			return false
		}
		struck = true
		return true
	})
	for _, step := range s.Steps {
		_ = w.Apply(step)
		if struck && w.daemon == nil {
			_ = w.Apply(Step{Verb: Start})
		}
	}
	r = w.Finish()
	r.Class = s.Class
	return r, struck
}

// watchOps calls f inside every operation of the daemon's disk. Where f says so,
// the power fails there.
func (w *World) watchOps(f func(Point) bool) {
	w.onOp = f
	w.attach()
}
