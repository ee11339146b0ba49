package tamper_test

import (
	"testing"

	"statehouse.dev/statehouse/sim"
	"statehouse.dev/statehouse/sim/simtest"
	"statehouse.dev/statehouse/sim/step"
)

// TestEveryTamper: each can be done to a small store, and is found.
func TestEveryTamper(t *testing.T) {
	simtest.Single(t)
	for _, tamper := range step.Tampers() {
		t.Run(tamper.File+" "+tamper.How, func(t *testing.T) {
			w := sim.NewWorld(1, sim.Config{}, sim.Options{})
			for _, text := range []string{
				"start", `c transact t1 put a/k {"n":1} put b/k {"n":2}`, `c transact t2 put other:a/k {"n":3}`, `c transact t3 put a/l {"n":4} del a/k`, "stop",
				tamper.String(),
			} {
				s, err := step.Parse(text)
				if err != nil {
					t.Fatal(err)
				}
				s.Wait = s.Verb == step.Call
				if s.Verb == step.Call {
					s.ID = int(text[len("c transact t")] - '0')
				}
				if err := w.Apply(s); err != nil {
					t.Fatal(err)
				}
			}
			r := w.Finish()
			if len(r.Violations) > 0 || r.Stats.Probes["tampering found by verify"] != 1 {
				t.Errorf("found %d times, violations: %v", r.Stats.Probes["tampering found by verify"], r.Violations)
			}
		})
	}
}
