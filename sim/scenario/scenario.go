// Package scenario reads, runs and judges scenarios: runs in files, one a file, as people
// write them and as shrinking leaves them. scenarios/README.md is their grammar.
//
// A scenario lists steps (package sim/step) and says how its run ends: every guarantee is
// kept, or corruption is detected, or a guarantee is broken. The last is a canary, which
// shows that the judges are awake. Besides, a call may say what its client is told ("=> ts=1"),
// and the scenario what its run has to come by ("must").
//
// Run holds a run to more than the guarantees, since a scenario that does not do what it
// says shows nothing: a step that does not fit ends it, and that is a violation, as is a
// fault that never strikes or an answer other than the expected. Such violations name
// Guarantee where others name G1 to G10.
//
// Of makes a scenario of any run. Happenings and TriedBy say in words what came of one.
package scenario

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"

	"gopkg.in/yaml.v3"
	"statehouse.dev/statehouse/linearizability/verdict"
	"statehouse.dev/statehouse/sim"
	"statehouse.dev/statehouse/sim/step"
)

// Scenario is a run in a file: steps written by a person, or left of a run when it was
// shrunk. Nothing in it is random; scenarios/README.md is its grammar.
type Scenario struct {
	ID     string    `yaml:"scenario"`
	Title  string    `yaml:"title"`
	Story  string    `yaml:"story,omitempty"`
	Class  sim.Class `yaml:"class"`
	Expect Expect    `yaml:"expect"`
	// Violation that must be found, when Expect is violation.
	Violation *Breach `yaml:"violation,omitempty"`
	// Must lists probes that the run has to come by: what it is about.
	Must   []string    `yaml:"must,omitempty"`
	Seed   uint64      `yaml:"seed,omitempty"` // of ids and of what a disk draws
	Config sim.Config  `yaml:"config,omitempty"`
	Steps  []step.Step `yaml:"steps"`
}

// Expect says how a run ends.
type Expect string

// The ends.
const (
	ExpectOK        Expect = "ok"        // every guarantee is kept
	ExpectDetected  Expect = "detected"  // the daemon refuses a store with a corrupt file
	ExpectViolation Expect = "violation" // a guarantee is broken: a canary
)

// Breach names a broken guarantee and the check that saw it.
type Breach struct {
	Guarantee string `yaml:"promise"`
	Check     string `yaml:"check,omitempty"`
}

func (b Breach) Matches(v *verdict.Violation) bool {
	return b.Guarantee == v.Promise && (b.Check == "" || b.Check == v.Check)
}

// guaranteeName is the name of a guarantee of docs/GUARANTEES.md.
var guaranteeName = regexp.MustCompile(`^G([1-9]|10)$`)

var scenarioID = regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`)

// Read reads a scenario. A field that it does not know is an error.
func Read(r io.Reader) (*Scenario, error) {
	var s Scenario
	d := yaml.NewDecoder(r)
	d.KnownFields(true)
	if err := d.Decode(&s); err == io.EOF {
		return nil, fmt.Errorf("it is empty")
	} else if err != nil {
		return nil, err
	}
	if err := d.Decode(new(any)); err != io.EOF {
		return nil, fmt.Errorf("there is more than one document")
	}
	if err := s.validate(); err != nil {
		return nil, err
	}
	s.number()
	return &s, nil
}

func (s *Scenario) validate() error {
	switch {
	case !scenarioID.MatchString(s.ID):
		return fmt.Errorf("scenario: %q is not an id of lower-case words joined by hyphens", s.ID)
	case s.Title == "":
		return fmt.Errorf("title: a sentence is wanted")
	case s.Class != sim.Recoverable && s.Class != sim.Detectable && s.Class != sim.Fatal:
		return fmt.Errorf("class: %q, want one of %v", s.Class, sim.Classes())
	case s.Expect != ExpectOK && s.Expect != ExpectDetected && s.Expect != ExpectViolation:
		return fmt.Errorf("expect: %q, want ok, detected or violation", s.Expect)
	case (s.Expect == ExpectViolation) != (s.Violation != nil):
		return fmt.Errorf("violation: say which, if and only if expect is violation")
	case s.Violation != nil && !guaranteeName.MatchString(s.Violation.Guarantee):
		return fmt.Errorf("violation: %q is no guarantee, want G1 to G10", s.Violation.Guarantee)
	case len(s.Steps) == 0:
		return fmt.Errorf("steps: there are none")
	}
	return s.Config.Validate()
}

// number gives an id to the calls that have none.
func (s *Scenario) number() {
	taken := make(map[int]bool)
	for i := range s.Steps {
		taken[s.Steps[i].ID] = true
	}
	next := 1
	for i := range s.Steps {
		if st := &s.Steps[i]; st.Verb == step.Call && st.ID == 0 {
			for taken[next] {
				next++
			}
			st.ID, taken[next] = next, true
		}
	}
}

// Write writes a scenario.
func (s *Scenario) Write(w io.Writer) error {
	var b bytes.Buffer
	enc := yaml.NewEncoder(&b)
	enc.SetIndent(2)
	if err := enc.Encode(s); err != nil {
		return err
	}
	_, err := w.Write(b.Bytes())
	return err
}

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
	return verdict.Violation{Promise: Guarantee, Check: "step-does-not-fit", Time: time, Sentence: text}
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
			Promise: Guarantee, Check: "fault-never-struck", Time: r.Did[n].Until,
			Sentence: fmt.Sprintf("step %d (%s): the fault never struck, so nothing is known of what it was to show; %q at its end says that it need not", n+1, r.Did[n].Step, step.Maybe),
		})
	}
}

// Of is a run as a scenario: the steps that were done, and that every guarantee is
// to be kept. A fault that did not strike is marked as one that need not.
func Of(r *sim.Result, id, title string) *Scenario {
	s := &Scenario{ID: id, Title: title, Class: r.Class, Expect: ExpectOK, Seed: r.Seed, Config: r.Config, Steps: slices.Clone(r.Steps)}
	for _, fault := range r.Armed {
		if fault.Struck == 0 {
			s.Steps[fault.Step].Maybe = true
		}
	}
	return s
}

// Verdict reports whether a run of the scenario ended as it says, and if not, how. What of
// the scenario was not done comes first: it may be why the rest is as it is.
func (s *Scenario) Verdict(r *Run) error {
	if r.Failed() && s.Expect != ExpectViolation {
		return fmt.Errorf("%s", describe(r.Violations))
	}
	for i := range r.Violations {
		if r.Violations[i].Promise == Guarantee {
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
		if r.Stats.Probes["harm found at start"] == 0 && r.Stats.Probes["harm found by a read"] == 0 {
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
	text := fmt.Sprintf("%s is broken (%s): %s", v.Promise, v.Check, v.Sentence)
	if v.Promise == Guarantee {
		text = fmt.Sprintf("the scenario does not go as it says (%s): %s", v.Check, v.Sentence)
	}
	if len(list) > 1 {
		text += fmt.Sprintf(" (and %d more)", len(list)-1)
	}
	return text
}
