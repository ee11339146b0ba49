package scenario

import (
	"cmp"
	"slices"

	"statehouse.dev/statehouse/sim"
	"statehouse.dev/statehouse/sim/step"
)

// Happening is something that came of a step.
type Happening struct {
	Time int64
	Text string
}

// Happenings lists what came of the steps of a run, in the order of time: what clients
// were told, and what else the world has noted. What is only looked at in the end, to
// judge the run, is left out.
func Happenings(r *sim.Result) []Happening {
	var list []Happening
	add := func(time int64, text string) { list = append(list, Happening{time, text}) }
	for _, op := range r.History.Operations {
		if op.Client == sim.Observer {
			continue
		}
		for i := range op.Batches {
			add(op.Batches[i].Time, step.BatchTold(op, &op.Batches[i]))
		}
		if op.Return != 0 {
			add(op.Return, step.CallTold(op))
		}
	}
	for i := range r.History.Notes {
		if n := &r.History.Notes[i]; n.Text != "" {
			add(n.Time, step.Noted(n.Lane, n.Kind, n.Text))
		}
	}
	slices.SortStableFunc(list, func(a, b Happening) int { return cmp.Compare(a.Time, b.Time) })
	return list
}
