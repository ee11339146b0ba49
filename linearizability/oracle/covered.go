package oracle

import (
	"slices"

	"statehouse.dev/statehouse/history"
)

// A client of a store in use records its own requests, which touch some agents of many. To be
// judged it needs of the rest of the store the state of those agents when it began, and what
// was done to them since (Base.Covers): no other commit can have changed an answer about them.
// What is about other agents is not judged.

// outside reports whether an operation is about what the log does not tell of.
func outside(covered map[history.AgentName]bool, op *history.Operation) bool {
	if covered == nil {
		return false
	}
	in := &op.In
	switch op.Kind {
	case history.ListAgents, history.ListSpaces:
		return true
	case history.Replay, history.Watch:
		if in.AllAgents {
			return true
		}
	}
	if in.AtTime != 0 { // it is not known which commit was the last by then
		return true
	}
	return slices.ContainsFunc(in.AgentNames(), func(a history.AgentName) bool { return !covered[a] })
}
