package scenario

import (
	"fmt"

	"statehouse.dev/statehouse/linearizability/verdict"
	"statehouse.dev/statehouse/sim"
	"statehouse.dev/statehouse/sim/step"
)

// Guarantee stands where a violation names a guarantee, for what a scenario itself says:
// the answers that it expects, and that its steps fit.
const Guarantee = "story"

// checkExpectations compares what clients were told with what the steps that were done say.
func checkExpectations(done []step.Step, w *sim.World, r *sim.Result) {
	for i := range done {
		st := &done[i]
		if st.Expect == "" {
			continue
		}
		op := w.Operation(st.ID)
		if got := step.Answer(op, st.Expect); got != st.Expect {
			r.Violations = append(r.Violations, verdict.Violation{
				Guarantee: Guarantee, Check: "expected-answer", Op: op.ID, Time: op.Return,
				Sentence: fmt.Sprintf("%q was answered %s", st.String(), got), Expected: st.Expect, Got: got,
			})
		}
	}
}
