package fuzz

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"statehouse.dev/statehouse/sim"
	"statehouse.dev/statehouse/sim/scenario"
	"statehouse.dev/statehouse/sim/simdisk"
	"statehouse.dev/statehouse/sim/simtest"
	"statehouse.dev/statehouse/sim/step"
)

// TestStoreOps holds the table of what a store does on its files to what it is seen to do
// in the scenarios and in some runs: a fault that could strike must not be refused, and one
// that never can must be.
func TestStoreOps(t *testing.T) {
	simtest.Single(t)
	type pair struct {
		class simdisk.Class
		op    simdisk.OpKind
	}
	seen := make(map[pair]string)
	watch := func(w *sim.World) {
		w.CutPower(func(p sim.Point) bool {
			seen[pair{p.Class, p.Kind}] = p.Path
			return false
		}, simdisk.CrashOptions{})
	}
	files, err := filepath.Glob("../../scenarios/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, path := range files {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		s, err := scenario.Read(bytes.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		w := sim.NewWorld(s.Seed, s.Config, sim.Options{})
		watch(w)
		for _, st := range s.Steps {
			if err := w.Apply(st); err != nil {
				t.Fatalf("%s: %v", s.ID, err)
			}
		}
		w.Finish()
	}
	for seed := range uint64(seeds / 2) {
		s := Draw(seed+1, "")
		w := sim.NewWorld(seed+1, s.Config, sim.Options{})
		watch(w)
		play(w, s)
		w.Finish()
	}
	for p, path := range seen { // each on its own: order cannot matter
		if !step.StoreDoes(p.class, p.op) {
			t.Errorf("%s on %s of class %s is not in storeOps, so a fault of it would be refused", p.op, path, p.class)
		}
	}
	for _, class := range simdisk.Classes() {
		for _, op := range simdisk.OpKinds() {
			if _, ok := seen[pair{class, op}]; !ok && step.StoreDoes(class, op) {
				t.Errorf("%s on a file of class %s never happens, so a fault of it could never strike", op, class)
			}
		}
	}
}

// TestFaultsOfSeedsCanStrike: what the nemesis arms is nothing that a scenario may not.
func TestFaultsOfSeedsCanStrike(t *testing.T) {
	var all []string
	for _, class := range sim.Classes() {
		all = append(all, faultsOf(class)...)
	}
	for _, in := range insides {
		all = append(all, in.fault)
	}
	for _, text := range all {
		if _, err := step.Parse("fault " + text); err != nil {
			t.Error(err)
		}
	}
}
