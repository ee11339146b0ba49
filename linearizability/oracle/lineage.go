package oracle

import (
	"slices"

	"statehouse.dev/statehouse/history"
)

// A replay with lineage is of one agent at each commit: of what was forked last, from after the commit
// that it has the state of, and before that of its parent, up to there.

// agentAt is the agent of which a stream shows the commit ts.
func (j *judge) agentAt(in *history.Input, ts uint64) string {
	a := history.AgentName{Namespace: in.Namespace, Agent: in.Agent}
	if !in.Lineage {
		return a.Agent
	}
	for f := j.model.Forks[a]; f != nil && ts <= f.At; f = j.model.Forks[a] {
		a = f.Parent
	}
	return a.Agent
}

// asForked is a stream as it is judged: one that showed nothing may have been asked for before the agent
// was forked, so that it has no lineage.
func (j *judge) asForked(op *history.Operation) *history.Operation {
	f := j.model.Forks[history.AgentName{Namespace: op.In.Namespace, Agent: op.In.Agent}]
	if !op.In.Lineage || f == nil || slices.ContainsFunc(op.Batches, func(b history.Batch) bool { return len(b.Events) > 0 }) {
		return op
	}
	if low, _ := j.bounds.low(op.Call); f.TS <= low {
		return op
	}
	before := *op
	before.In.Lineage = false
	return &before
}
