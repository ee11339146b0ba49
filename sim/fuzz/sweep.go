package fuzz

import (
	"fmt"

	"statehouse.dev/statehouse/sim"
	"statehouse.dev/statehouse/sim/scenario"
	"statehouse.dev/statehouse/sim/simdisk"
	"statehouse.dev/statehouse/sim/step"
)

// SweepModes are what becomes of unsynced data at each point.
func SweepModes() []simdisk.CrashMode {
	return []simdisk.CrashMode{simdisk.DropAll, simdisk.KeepAll, simdisk.Torn}
}

// Points runs a scenario and lists every operation of its disk that the daemon did.
func Points(s *scenario.Scenario) ([]sim.Point, error) {
	var list []sim.Point
	w := sim.NewWorld(s.Seed, s.Config, sim.Options{})
	w.CutPower(func(p sim.Point) bool {
		list = append(list, p)
		return false
	}, simdisk.CrashOptions{})
	for i, st := range s.Steps {
		if err := w.Apply(st); err != nil {
			return nil, fmt.Errorf("step %d (%s): %w", i+1, st, err)
		}
	}
	w.CutPower(nil, simdisk.CrashOptions{})
	w.Finish()
	return list, nil
}

// CrashAt runs a scenario, cuts the power at a point of it, starts the daemon again,
// goes on with what of the scenario still fits, and judges. struck reports whether the
// run came by the point.
func CrashAt(s *scenario.Scenario, p sim.Point, crash simdisk.CrashOptions) (r *sim.Result, struck bool) {
	w := sim.NewWorld(s.Seed, s.Config, sim.Options{Class: s.Class})
	w.CutPower(func(q sim.Point) bool {
		if struck || p != q {
			return false
		}
		struck = true
		return true
	}, crash)
	for _, st := range s.Steps {
		_ = w.Apply(st)
		if struck && !w.Running() {
			_ = w.Apply(step.Step{Verb: step.Start})
		}
	}
	return w.Finish(), struck
}
