package sim

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"

	"gopkg.in/yaml.v3"

	lin "statehouse.dev/statehouse/linearizability"
)

// Scenario is a story: steps written by a person, or left of a run when it was
// shrunk. Nothing in it is random; scenarios/README.md is its grammar.
type Scenario struct {
	ID     string `yaml:"scenario"`
	Title  string `yaml:"title"`
	Story  string `yaml:"story,omitempty"`
	Class  Class  `yaml:"class"`
	Expect Expect `yaml:"expect"`
	// Violation that must be found, when Expect is violation.
	Violation *Breach `yaml:"violation,omitempty"`
	// Must lists probes that the story has to come by: what it is about.
	Must   []string `yaml:"must,omitempty"`
	Seed   uint64   `yaml:"seed,omitempty"` // of ids and of what a disk draws
	Config Config   `yaml:"config,omitempty"`
	Steps  []Step   `yaml:"steps"`
}

// Expect says how a story ends.
type Expect string

// The ends.
const (
	ExpectOK        Expect = "ok"        // every promise is kept
	ExpectDetected  Expect = "detected"  // the daemon refuses a store that was harmed
	ExpectViolation Expect = "violation" // a promise is broken: a canary
)

// Breach names a broken promise and the check that saw it.
type Breach struct {
	Promise string `yaml:"promise"`
	Check   string `yaml:"check,omitempty"`
}

func (b Breach) matches(v *lin.Violation) bool {
	return b.Promise == v.Promise && (b.Check == "" || b.Check == v.Check)
}

// UnmarshalYAML reads a step in its notation.
func (s *Step) UnmarshalYAML(n *yaml.Node) error {
	var text string
	if err := n.Decode(&text); err != nil {
		return err
	}
	parsed, err := ParseStep(text)
	if err != nil {
		return fmt.Errorf("line %d: %w", n.Line, err)
	}
	*s = parsed
	return nil
}

// MarshalYAML writes a step in its notation.
func (s Step) MarshalYAML() (any, error) { return s.String(), nil }

var scenarioID = regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`)

// ReadScenario reads a story. A field that it does not know is an error.
func ReadScenario(r io.Reader) (*Scenario, error) {
	var s Scenario
	d := yaml.NewDecoder(r)
	d.KnownFields(true)
	if err := d.Decode(&s); err != nil {
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
	case s.Class != Recoverable && s.Class != Detectable && s.Class != Fatal:
		return fmt.Errorf("class: %q, want one of %v", s.Class, Classes())
	case s.Expect != ExpectOK && s.Expect != ExpectDetected && s.Expect != ExpectViolation:
		return fmt.Errorf("expect: %q, want ok, detected or violation", s.Expect)
	case (s.Expect == ExpectViolation) != (s.Violation != nil):
		return fmt.Errorf("violation: say which, if and only if expect is violation")
	case len(s.Steps) == 0:
		return fmt.Errorf("steps: there are none")
	}
	return nil
}

// number gives an id to the calls that have none.
func (s *Scenario) number() {
	taken := make(map[int]bool)
	for i := range s.Steps {
		taken[s.Steps[i].ID] = true
	}
	next := 1
	for i := range s.Steps {
		if st := &s.Steps[i]; st.Verb == Call && st.ID == 0 {
			for taken[next] {
				next++
			}
			st.ID, taken[next] = next, true
		}
	}
}

// Write writes a story.
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

// Run does what the story says and judges it. A step that does not fit ends the
// story there, and is a violation of its own: the world is not what the story takes
// it for. Every promise is judged all the same.
func (s *Scenario) Run(o Options) (*Result, error) {
	w := NewWorld(s.Seed, s.Config, o)
	var misfit []lin.Violation
	for i, step := range s.Steps {
		err := w.Apply(step)
		if errors.Is(err, errSkip) {
			misfit = append(misfit, lin.Violation{
				Promise: storyPromise, Check: "step-does-not-fit", Time: w.events, Sentence: fmt.Sprintf("step %d (%s): %v", i+1, step, err),
			})
			break
		}
		if err != nil {
			return nil, fmt.Errorf("step %d (%s): %w", i+1, step, err)
		}
	}
	r := w.Finish()
	r.Class = s.Class
	r.Violations = append(r.Violations, misfit...)
	s.checkAnswers(w, r)
	return r, nil
}

// Story is a run as a scenario: the steps that were done, and that every promise is
// to be kept.
func (r *Result) Story(id, title string) *Scenario {
	return &Scenario{ID: id, Title: title, Class: r.Class, Expect: ExpectOK, Seed: r.Seed, Config: r.Config, Steps: r.Steps}
}

// Verdict tells whether a run of the story ended as it says, and if not, how.
func (s *Scenario) Verdict(r *Result) error {
	for _, p := range s.Must {
		if r.Stats.Probes[p] == 0 {
			return fmt.Errorf("it does not come by %q, which it is about; it came by %v", p, r.Stats.probes())
		}
	}
	switch s.Expect {
	case ExpectViolation:
		for i := range r.Violations {
			if r.Violations[i].Promise == storyPromise {
				return fmt.Errorf("%s", describe(r.Violations[i:]))
			}
		}
		for i := range r.Violations {
			if s.Violation.matches(&r.Violations[i]) {
				return nil
			}
		}
		return fmt.Errorf("the canary lives: %s %s was to be found, and was not; found: %s", s.Violation.Promise, s.Violation.Check, describe(r.Violations))
	case ExpectDetected:
		if r.Stats.Probes["harm found at start"] == 0 && r.Stats.Probes["harm found by a read"] == 0 {
			return fmt.Errorf("the damage was not detected")
		}
	}
	if r.Failed() {
		return fmt.Errorf("%s", describe(r.Violations))
	}
	return nil
}

func describe(list []lin.Violation) string {
	if len(list) == 0 {
		return "nothing"
	}
	v := &list[0]
	text := fmt.Sprintf("%s is broken (%s): %s", v.Promise, v.Check, v.Sentence)
	if len(list) > 1 {
		text += fmt.Sprintf(" (and %d more)", len(list)-1)
	}
	return text
}
