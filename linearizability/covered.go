package linearizability

import (
	"fmt"
	"slices"
)

// A client of a store in use records its own requests, which touch some agents of many.
// What it needs of the rest of the store to be judged is the state of those agents when
// it began and what was done to them since (Base.Covers): whatever else was committed
// meanwhile cannot have changed an answer about them. What is about others is not judged.

// maxCovered is how many commits a part of the log may stand for.
const maxCovered = 1 << 24

// check refuses a base that is none.
func (b *Base) check() error {
	if b == nil || b.Covers == 0 {
		return nil
	}
	if b.Covers < b.CommitTS || b.Covers-b.CommitTS > maxCovered {
		return fmt.Errorf("the base at commit %d covers up to commit %d: it must be from there on, and %d commits at most", b.CommitTS, b.Covers, maxCovered)
	}
	return nil
}

// covered are the agents that the log tells of; nil: all.
func (h *History) covered() map[agentName]bool {
	b := h.Header.Base
	if b == nil || b.Covers == 0 {
		return nil
	}
	list := make(map[agentName]bool, len(b.Agents))
	for _, a := range b.Agents {
		list[agentName{a.Namespace, a.Agent}] = true
	}
	return list
}

// outside reports whether an operation is about what the log does not tell of.
func outside(covered map[agentName]bool, op *Operation) bool {
	if covered == nil {
		return false
	}
	in := &op.In
	switch op.Kind {
	case ListAgents, ListSpaces:
		return true
	case Replay, Watch:
		if in.AllAgents {
			return true
		}
	}
	if in.AtTime != 0 { // which commit was the last by then nobody knows
		return true
	}
	return slices.ContainsFunc(in.agents(), func(a agentName) bool { return !covered[a] })
}

// agents are those that a request names.
func (in *Input) agents() []agentName {
	var list []agentName
	add := func(ns, agent string) {
		if agent != "" {
			list = append(list, agentName{ns, agent})
		}
	}
	add(in.Namespace, in.Agent)
	for i := range in.Writes {
		add(in.Writes[i].Namespace, in.Writes[i].Agent)
	}
	for i := range in.Keys {
		add(in.Keys[i].Namespace, in.Keys[i].Agent)
	}
	for i := range in.Heads {
		add(in.Heads[i].Namespace, in.Heads[i].Agent)
	}
	for _, n := range in.Names {
		add(n.Namespace, n.Agent)
	}
	return list
}

// padded is a log in which each commit has a place, also one of which nothing is known
// but that it touched nothing that is covered.
func padded(log []Event, base, head uint64) []Event {
	out := make([]Event, 0, head-base)
	for i := range log {
		for uint64(len(out))+base+1 < log[i].CommitTS {
			out = append(out, Event{CommitTS: uint64(len(out)) + base + 1})
		}
		out = append(out, log[i])
	}
	for uint64(len(out))+base < head {
		out = append(out, Event{CommitTS: uint64(len(out)) + base + 1})
	}
	return out
}
