package fuzz

import (
	"slices"

	"statehouse.dev/statehouse/sim/step"
)

// flows has everything between nodes arrive where a run of steps had some of it arrive, everywhere and then
// here and there: what matters is mostly what did not.
func (s *Shrinker) flows() {
	if s.Config.Nodes == 0 || s.try(flowing(s.steps, 0, len(s.steps)), s.Config) {
		return
	}
	for size := max(len(s.steps)/4, 1); size > 8 && !s.spent(); size /= 2 {
		for at := 0; at < len(s.steps); at += size {
			s.try(flowing(s.steps, at, min(at+size, len(s.steps))), s.Config)
		}
	}
}

// flowing is steps with one flow in the place of those that stand together, from one place to another, and move
// something between nodes.
func flowing(steps []step.Step, from, to int) []step.Step {
	next := slices.Clone(steps[:from])
	for _, st := range steps[from:to] {
		moves := st.Verb == step.Synced || st.Verb == step.Hand || st.Verb == step.Flow || st.Peer != "" && st.Verb == step.Deliver
		switch {
		case !moves:
			next = append(next, st)
		case len(next) == 0 || next[len(next)-1].Verb != step.Flow:
			next = append(next, step.Step{Verb: step.Flow})
		}
	}
	return append(next, steps[to:]...)
}
