package sim

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"

	"gopkg.in/yaml.v3"
	"statehouse.dev/statehouse/linearizability/verdict"
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
	Guarantee string `yaml:"promise"`
	Check     string `yaml:"check,omitempty"`
}

func (b Breach) matches(v *verdict.Violation) bool {
	return b.Guarantee == v.Guarantee && (b.Check == "" || b.Check == v.Check)
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

// promiseName is the name of a promise of docs/GUARANTEES.md.
var promiseName = regexp.MustCompile(`^G([1-9]|10)$`)

var scenarioID = regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`)

// ReadScenario reads a story. A field that it does not know is an error.
func ReadScenario(r io.Reader) (*Scenario, error) {
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
	case s.Class != Recoverable && s.Class != Detectable && s.Class != Fatal:
		return fmt.Errorf("class: %q, want one of %v", s.Class, Classes())
	case s.Expect != ExpectOK && s.Expect != ExpectDetected && s.Expect != ExpectViolation:
		return fmt.Errorf("expect: %q, want ok, detected or violation", s.Expect)
	case (s.Expect == ExpectViolation) != (s.Violation != nil):
		return fmt.Errorf("violation: say which, if and only if expect is violation")
	case s.Violation != nil && !promiseName.MatchString(s.Violation.Guarantee):
		return fmt.Errorf("violation: %q is no promise, want G1 to G10", s.Violation.Guarantee)
	case len(s.Steps) == 0:
		return fmt.Errorf("steps: there are none")
	}
	return s.Config.validate()
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
// it for. So is a fault that never strikes. Every promise is judged all the same.
func (s *Scenario) Run(o Options) (*Result, error) {
	w := NewWorld(s.Seed, s.Config, o)
	w.reserved = make(map[int]bool)
	for i := range s.Steps {
		w.reserved[s.Steps[i].ID] = true
	}
	var did []Did
	var misfit error
	for i, step := range s.Steps {
		w.number = i + 1
		if misfit = w.Apply(step); misfit != nil {
			break
		}
		did = append(did, Did{Step: step, Until: w.events, armed: len(w.armed)})
	}
	if misfit != nil && !errors.Is(misfit, errSkip) {
		return nil, fmt.Errorf("step %d (%s): %w", len(did)+1, s.Steps[len(did)], misfit)
	}
	done, at := s.Steps[:len(did)], w.events
	if misfit != nil {
		w.sayNotRun(s.Steps[len(done):], misfit)
	}
	r := w.Finish()
	r.Class, r.Did = s.Class, did
	if misfit != nil {
		r.Violations = append(r.Violations, s.misfit(len(done), at, misfit))
	}
	checkAnswers(done, w, r)
	w.checkStruck(r, misfit != nil)
	return r, nil
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
	return verdict.Violation{Guarantee: StoryPromise, Check: "step-does-not-fit", Time: time, Sentence: text}
}

// checkStruck holds the faults that the story arms to what it arms them for. One that was
// cut short, where a step did not fit, has perhaps not done what would make them strike.
func (w *World) checkStruck(r *Result, cut bool) {
	for i := range w.armed {
		n := slices.IndexFunc(r.Did, func(d Did) bool { return d.armed > i })
		if r.Did[n].Struck = w.armed[i].struck; r.Did[n].Struck > 0 || r.Did[n].Step.Maybe || cut {
			continue
		}
		r.Violations = append(r.Violations, verdict.Violation{
			Guarantee: StoryPromise, Check: "fault-never-struck", Time: r.Did[n].Until,
			Sentence: fmt.Sprintf("step %d (%s): the fault never struck, so nothing is known of what it was to show; %q at its end says that it need not", n+1, r.Did[n].Step, maybe),
		})
	}
}

// Story is a run as a scenario: the steps that were done, and that every promise is
// to be kept. A fault that did not strike is marked as one that need not.
func (r *Result) Story(id, title string) *Scenario {
	s := &Scenario{ID: id, Title: title, Class: r.Class, Expect: ExpectOK, Seed: r.Seed, Config: r.Config, Steps: slices.Clone(r.Steps)}
	for _, at := range r.unstruck {
		s.Steps[at].Maybe = true
	}
	return s
}

// Verdict tells whether a run of the story ended as it says, and if not, how. What of
// the story was not done comes first: it may be why the rest is as it is.
func (s *Scenario) Verdict(r *Result) error {
	if r.Failed() && s.Expect != ExpectViolation {
		return fmt.Errorf("%s", describe(r.Violations))
	}
	for i := range r.Violations {
		if r.Violations[i].Guarantee == StoryPromise {
			return fmt.Errorf("%s", describe(r.Violations[i:]))
		}
	}
	for _, p := range s.Must {
		if r.Stats.Probes[p] == 0 {
			return fmt.Errorf("it does not come by %q, which it is about; it came by %v", p, r.Stats.probes())
		}
	}
	switch s.Expect {
	case ExpectViolation:
		for i := range r.Violations {
			if s.Violation.matches(&r.Violations[i]) {
				return nil
			}
		}
		return fmt.Errorf("the canary lives: %s %s was to be found, and was not; found: %s", s.Violation.Guarantee, s.Violation.Check, describe(r.Violations))
	case ExpectDetected:
		if r.Stats.Probes["harm found at start"] == 0 && r.Stats.Probes["harm found by a read"] == 0 {
			return fmt.Errorf("the damage was not detected")
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
	if v.Guarantee == StoryPromise {
		text = fmt.Sprintf("the story does not go as it says (%s): %s", v.Check, v.Sentence)
	}
	if len(list) > 1 {
		text += fmt.Sprintf(" (and %d more)", len(list)-1)
	}
	return text
}
