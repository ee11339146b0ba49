package clusters_test

import (
	"testing"

	"statehouse.dev/statehouse/sim"
	"statehouse.dev/statehouse/sim/clusters"
	"statehouse.dev/statehouse/sim/simtest"
)

// TestSeeds: made-up runs of three nodes keep every guarantee, do something, and are the same when their
// goroutines lose the processor.
func TestSeeds(t *testing.T) {
	simtest.Single(t)
	vacuous, handed, copied, added := 0, 0, 0, 0
	for _, seed := range []uint64{1, 2, 3, 4, 5, 6, 105} { // the last was not the same, once
		r := clusters.Generate(seed, clusters.Size{Nodes: 3}, sim.Options{})
		for i := range r.Violations {
			t.Errorf("seed %d: %s %s: %s", seed, r.Violations[i].Guarantee, r.Violations[i].Check, r.Violations[i].Sentence)
		}
		again := clusters.Generate(seed, clusters.Size{Nodes: 3}, sim.Options{Disturb: seed})
		for i := range r.Digests {
			if i >= len(again.Digests) || again.Digests[i] != r.Digests[i] {
				t.Fatalf("seed %d: step %d (%s) went otherwise the second time", seed, i+1, r.Steps[min(i, len(r.Steps)-1)])
			}
		}
		if again.Sum != r.Sum {
			t.Errorf("seed %d ends otherwise the second time", seed)
		}
		if r.Vacuous() {
			vacuous++
		}
		handed += r.Stats.Probes["request handed on"]
		copied += r.Stats.Probes["copy of a store installed"]
		added += r.Stats.Probes["member added"]
	}
	if vacuous > 2 || handed == 0 || copied == 0 || added == 0 {
		t.Errorf("%d runs did too little, %d requests were handed on, %d copies installed and %d members added", vacuous, handed, copied, added)
	}
}
