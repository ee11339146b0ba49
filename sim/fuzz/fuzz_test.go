package fuzz

import (
	"bytes"
	"reflect"
	"testing"

	"statehouse.dev/statehouse/sim"
	"statehouse.dev/statehouse/sim/scenario"
	"statehouse.dev/statehouse/sim/simtest"
	"statehouse.dev/statehouse/sim/step"
)

// seeds that a test of everyday goes through.
const seeds = 40

// TestGuarantees makes up runs and judges them.
func TestGuarantees(t *testing.T) {
	simtest.Single(t)
	vacuous := 0
	for seed := range uint64(seeds) {
		r := Generate(seed+1, sim.Options{})
		for _, v := range r.Violations {
			t.Errorf("seed %d (%s): %s %s: %s", seed+1, r.Class, v.Guarantee, v.Check, v.Sentence)
		}
		if r.Vacuous() {
			vacuous++
		}
	}
	if vacuous > seeds/4 {
		t.Errorf("%d of %d runs did next to nothing", vacuous, seeds)
	}
}

// TestNotation prints every step of some runs, parses it, and gets the same step.
func TestNotation(t *testing.T) {
	simtest.Single(t)
	for seed := range uint64(20) {
		for _, s := range Generate(seed+1, sim.Options{}).Steps {
			got, err := step.Parse(s.String())
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(got, s) {
				t.Fatalf("%s\nwas %+v\nis  %+v", s, s, got)
			}
		}
	}
}

// TestReplay does the steps of a generated run again, from their text: it is the
// same run.
func TestReplay(t *testing.T) {
	simtest.Single(t)
	for seed := range uint64(20) {
		r := Generate(seed+1, sim.Options{})
		var text bytes.Buffer
		if err := scenario.Of(r, "x", "x").Write(&text); err != nil {
			t.Fatal(err)
		}
		read, err := scenario.Read(&text)
		if err != nil {
			t.Fatal(err)
		}
		again, err := read.Run(sim.Options{})
		if err != nil {
			t.Fatal(err)
		}
		for i := range r.Digests {
			if i >= len(again.Digests) || r.Digests[i] != again.Digests[i] {
				t.Fatalf("seed %d: step %d (%s) of %d went otherwise the second time", seed+1, i+1, r.Steps[min(i, len(r.Steps)-1)], len(r.Digests))
			}
		}
		if again.Sum != r.Sum {
			t.Fatalf("seed %d: the steps went alike, the log or the verdict did not", seed+1)
		}
	}
}

// TestDisturbed takes the processor from goroutines in the middle of what they do: the
// runs are the same.
func TestDisturbed(t *testing.T) {
	simtest.Single(t)
	for seed := range uint64(seeds) {
		calm, disturbed := Generate(seed+1, sim.Options{}), Generate(seed+1, sim.Options{Disturb: seed + 1})
		for i := range calm.Digests {
			if i >= len(disturbed.Digests) || calm.Digests[i] != disturbed.Digests[i] {
				t.Fatalf("seed %d: step %d (%s) went otherwise when disturbed", seed+1, i+1, calm.Steps[min(i, len(calm.Steps)-1)])
			}
		}
		if calm.Sum != disturbed.Sum {
			t.Fatalf("seed %d: the steps went alike, the log or the verdict did not", seed+1)
		}
	}
}
