package fuzz

import (
	"math/rand/v2"
	"time"

	"statehouse.dev/statehouse/sim"
	"statehouse.dev/statehouse/sim/intent"
	"statehouse.dev/statehouse/sim/simdisk"
	"statehouse.dev/statehouse/sim/step"
)

// newIntents is a recorder of what clients of a world are told.
func newIntents(w *sim.World) *intent.Recorder {
	return intent.NewRecorder(intent.Options{Now: w.Stamp, Name: w.TxnName})
}

// timeouts draws how long a client waits for a call, and for one try of it; -1: as long as it
// takes. They are short against what goes wrong, as they are in production.
func timeouts(rng *rand.Rand) (call, try time.Duration) {
	call, try = -1, -1
	if rng.IntN(3) == 0 {
		call = time.Duration(30+rng.IntN(400)) * time.Millisecond
	}
	if rng.IntN(3) == 0 {
		try = time.Duration(20+rng.IntN(200)) * time.Millisecond
	}
	return call, try
}

// judgeIntents adds to a result what the clients' users were told and should not have been.
// They are not in the steps, so that what is found here comes after what can be shrunk.
func judgeIntents(r *sim.Result, told *intent.Recorder) {
	doubled := make(map[int]bool)
	for i := range r.Steps {
		if s := &r.Steps[i]; s.Verb == step.Dup {
			doubled[s.Of] = true
		}
	}
	found := intent.Judge(r.History, told.History(), intent.Network{Doubled: doubled, Unheard: r.Unheard})
	for _, v := range found {
		r.Sum = simdisk.Derive(r.Sum, v.Check, step.FirstLine(v.Sentence))
	}
	r.Violations = append(r.Violations, found...)
}
