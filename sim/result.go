package sim

import (
	"strings"

	"statehouse.dev/statehouse/history"
	"statehouse.dev/statehouse/linearizability"
	"statehouse.dev/statehouse/linearizability/verdict"
	"statehouse.dev/statehouse/sim/step"
)

// Result is what became of a run.
type Result struct {
	Class      Class
	Seed       uint64
	Config     Config
	Violations []verdict.Violation // none: every guarantee was kept, as far as was checked
	Judged     linearizability.Result
	History    *history.History
	Steps      []step.Step
	Digests    []uint64 // one a step
	Sum        uint64   // of everything
	Stats      Stats
	Armed      []Armed // the faults that steps armed
	// Detected: a wrong read spoilt the store, and the daemon said so and did not start again.
	// Its history is judged by the disk as it was before.
	Detected bool
	// Unheard are the calls in sessions whose answers reached their client's connection when
	// whoever waited had gone.
	Unheard map[int]bool
}

// Failed reports whether a guarantee was broken.
func (r *Result) Failed() bool { return len(r.Violations) > 0 }

// Judging is how the history of a run is judged.
func (r *Result) Judging() linearizability.Options {
	return linearizability.Options{Seed: r.Seed, Samples: 2, SampleSize: 60}
}

// Vacuous reports whether a run did so little that it proves nothing.
func (r *Result) Vacuous() bool {
	return r.Stats.Acked < 10 || r.Stats.Operations < 100 || len(r.Stats.Deaths) < 2
}

// Stats counts what a run was made of.
type Stats struct {
	Steps      int            `json:"steps"`
	Operations int            `json:"operations"`
	Acked      int            `json:"acked"` // commits answered OK
	Deaths     map[string]int `json:"deaths,omitempty"`
	Faults     map[string]int `json:"faults,omitempty"` // that struck, of every sort
	Probes     map[string]int `json:"probes,omitempty"`
	Refusals   int            `json:"refusals,omitempty"` // starts that were refused
	// Unjudged: the log could not be read at the end, so no judge has seen the history.
	Unjudged bool `json:"unjudged,omitempty"`
}

func newStats() Stats {
	return Stats{Deaths: make(map[string]int), Faults: make(map[string]int), Probes: make(map[string]int)}
}

// died counts a death of the daemon.
func (s *Stats) died(how string) {
	kind, _, _ := strings.Cut(how, ":")
	if kind == beginsAgain || kind == wasRemoved {
		return // as it should
	}
	s.Deaths[kind]++
	if kind == "power cut" || kind == "kill -9" { // the rest is an order, or came of a fault that is counted
		s.Faults[kind]++
	}
}
