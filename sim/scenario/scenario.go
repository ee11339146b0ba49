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
	"fmt"
	"io"
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

// Matches reports whether a violation is of that guarantee, and seen by that check if one is named.
func (b Breach) Matches(v *verdict.Violation) bool {
	return b.Guarantee == v.Guarantee && (b.Check == "" || b.Check == v.Check)
}

// guaranteeName is the name of a guarantee of docs/GUARANTEES.md, or of an invariant of clusters (package peers).
var guaranteeName = regexp.MustCompile(`^[GR]([1-9]|10)$`)

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
		return fmt.Errorf("violation: %q is no guarantee, want G1 to G10, or R1 to R10", s.Violation.Guarantee)
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
