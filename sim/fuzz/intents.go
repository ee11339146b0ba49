package fuzz

import (
	"statehouse.dev/statehouse/sim"
	"statehouse.dev/statehouse/sim/intent"
	"statehouse.dev/statehouse/sim/simdisk"
	"statehouse.dev/statehouse/sim/step"
)

// newIntents is a recorder of what clients of a world are told. They have no timeouts: a call
// ends when its context does.
func newIntents(w *sim.World) *intent.Recorder {
	return intent.NewRecorder(intent.Options{Now: w.Stamp, Name: w.TxnName, Tireless: true})
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
	found := intent.Judge(r.History, told.History(), doubled)
	for _, v := range found {
		r.Sum = simdisk.Derive(r.Sum, v.Check, step.FirstLine(v.Sentence))
	}
	r.Violations = append(r.Violations, found...)
}
