package scenario

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"statehouse.dev/statehouse/linearizability/verdict"
	"statehouse.dev/statehouse/sim"
	"statehouse.dev/statehouse/sim/step"
)

// Run does what the scenario says and judges it. A step that does not fit ends the
// scenario there, and is a violation of its own: the world is not what the scenario takes
// it for. So is a fault that never strikes. Every guarantee is judged all the same.
func (s *Scenario) Run(o sim.Options) (*Run, error) {
	o.Class = s.Class
	w := sim.NewWorld(s.Seed, s.Config, o)
	for i := range s.Steps {
		w.Reserve(s.Steps[i].ID)
	}
	var did []Did
	var misfit error
	for i, st := range s.Steps {
		w.Number(i + 1)
		if misfit = w.Apply(st); misfit != nil {
			break
		}
		did = append(did, Did{Step: st, Until: w.Time(), applied: w.Applied()})
	}
	if misfit != nil && !errors.Is(misfit, sim.ErrMisfit) {
		return nil, fmt.Errorf("step %d (%s): %w", len(did)+1, s.Steps[len(did)], misfit)
	}
	done, at := s.Steps[:len(did)], w.Time()
	if misfit != nil && o.Trace != nil {
		traceNotRun(o.Trace, s.Steps[len(done):], misfit)
	}
	r := &Run{Result: w.Finish(), Did: did}
	if misfit != nil {
		r.Violations = append(r.Violations, s.misfit(len(done), at, misfit))
	}
	checkExpectations(done, w, r.Result)
	r.checkStruck(misfit != nil)
	return r, nil
}

// Run is a run of a scenario.
type Run struct {
	*sim.Result
	Did []Did // what was done, in the scenario's own steps
}

// Did is a step of a scenario that was done.
type Did struct {
	Step    step.Step
	Until   int64 // what happened after the step before it, up to this time, came of it
	Struck  int   // of a fault: how often it struck, then or later
	applied int   // how many steps the world had applied by then
}

// When says a time of the run's history as the step that it came of.
func (r *Run) When(time int64) string {
	for i := range r.Did {
		if r.Did[i].Until >= time {
			return fmt.Sprintf("at step %d", i+1)
		}
	}
	return "at the end"
}

// traceNotRun prints the steps that were not run, the first of which did not fit.
func traceNotRun(print func(format string, args ...any), steps []step.Step, err error) {
	for i := range steps {
		print("       %s", steps[i])
		if i == 0 {
			print("         %v", err)
		} else {
			print("         not run")
		}
	}
}

// misfit is the violation that a step is which does not fit.
func (s *Scenario) misfit(at int, time int64, err error) verdict.Violation {
	text := fmt.Sprintf("step %d (%s): %v", at+1, s.Steps[at], err)
	switch left := len(s.Steps) - at - 1; left {
	case 0:
	case 1:
		text += "; the step after it was not run"
	default:
		text += fmt.Sprintf("; the %d steps after it were not run", left)
	}
	return verdict.Violation{Guarantee: Guarantee, Check: "step-does-not-fit", Time: time, Sentence: text}
}

// checkStruck holds the faults that the scenario arms to what it arms them for. One that was
// cut short, where a step did not fit, has perhaps not done what would make them strike.
func (r *Run) checkStruck(cut bool) {
	for _, fault := range r.Armed {
		n := slices.IndexFunc(r.Did, func(d Did) bool { return d.applied > fault.Step })
		if r.Did[n].Struck = fault.Struck; fault.Struck > 0 || r.Did[n].Step.Maybe || cut {
			continue
		}
		r.Violations = append(r.Violations, verdict.Violation{
			Guarantee: Guarantee, Check: "fault-never-struck", Time: r.Did[n].Until,
			Sentence: fmt.Sprintf("step %d (%s): the fault never struck, so nothing is known of what it was to show; %q at its end says that it need not", n+1, r.Did[n].Step, step.Maybe),
		})
	}
}

// Verdict reports whether a run of the scenario ended as it says, and if not, how. What of
// the scenario was not done comes first: it may be why the rest is as it is.
func (s *Scenario) Verdict(r *Run) error {
	if r.Failed() && s.Expect != ExpectViolation {
		return fmt.Errorf("%s", describe(r.Violations))
	}
	for i := range r.Violations {
		if r.Violations[i].Guarantee == Guarantee {
			return fmt.Errorf("%s", describe(r.Violations[i:]))
		}
	}
	for _, p := range s.Must {
		if r.Stats.Probes[p] == 0 {
			return fmt.Errorf("it does not come by %q, which it is about; it came by %v", p, slices.Sorted(maps.Keys(r.Stats.Probes)))
		}
	}
	switch s.Expect {
	case ExpectViolation:
		for i := range r.Violations {
			if s.Violation.Matches(&r.Violations[i]) {
				return nil
			}
		}
		return fmt.Errorf("the canary lives: %s %s was to be found, and was not; found: %s", s.Violation.Guarantee, s.Violation.Check, describe(r.Violations))
	case ExpectDetected:
		if r.Stats.Probes["harm found at start"] == 0 && r.Stats.Probes["harm found by a read"] == 0 && r.Stats.Probes["tampering found by verify"] == 0 {
			return fmt.Errorf("the corruption was not detected")
		}
	}
	return nil
}

func describe(list []verdict.Violation) string {
	if len(list) == 0 {
		return "nothing"
	}
	v := &list[0]
	text := fmt.Sprintf("%s is broken (%s): %s", v.Guarantee, v.Check, v.Sentence)
	if v.Guarantee == Guarantee {
		text = fmt.Sprintf("the scenario does not go as it says (%s): %s", v.Check, v.Sentence)
	}
	if len(list) > 1 {
		text += fmt.Sprintf(" (and %d more)", len(list)-1)
	}
	return text
}
