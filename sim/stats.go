package sim

import (
	"maps"
	"slices"
	"strings"
)

// Stats counts what a run was made of.
type Stats struct {
	Steps      int            `json:"steps"`
	Operations int            `json:"operations"`
	Acked      int            `json:"acked"` // commits answered OK
	Deaths     map[string]int `json:"deaths,omitempty"`
	Faults     map[string]int `json:"faults,omitempty"` // that struck, of every sort
	Probes     map[string]int `json:"probes,omitempty"`
	Refusals   int            `json:"refusals,omitempty"` // starts that were refused
}

func newStats() Stats {
	return Stats{Deaths: make(map[string]int), Faults: make(map[string]int), Probes: make(map[string]int)}
}

func (s *Stats) deaths(how string) {
	kind, _, _ := strings.Cut(how, ":")
	s.Deaths[kind]++
	if kind == "power cut" || kind == "kill -9" { // the rest is an order, or came of a fault that is counted
		s.Faults[kind]++
	}
}

// probe notes that the run came by a place worth coming by.
func (w *World) probe(name string) { w.stats.Probes[name]++ }

// probes lists what the run came by.
func (s *Stats) probes() []string { return slices.Sorted(maps.Keys(s.Probes)) }
