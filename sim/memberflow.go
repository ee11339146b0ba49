package sim

import (
	"time"

	"statehouse.dev/statehouse/sim/step"
)

// What a person who writes a scenario, and the end of a run, need not say step by step: everything between nodes
// moves until nothing does.

// nudge does the next thing that happens by itself in a cluster: a leader plans, or a message arrives. It
// reports whether there was one.
func (w *World) nudge() bool {
	for _, n := range w.nodes {
		if p := n.process; p != nil && p.member != nil && p.waited() &&
			w.Apply(step.Step{Verb: step.Plan, Node: n.name}) == nil {
			return true
		}
	}
	for _, n := range w.nodes {
		if p := n.process; p != nil && len(p.appends) > 0 && w.Apply(step.Step{Verb: step.Synced, Node: n.name}) == nil {
			return true
		}
	}
	for _, from := range w.nodes {
		for _, to := range w.nodes {
			if from != to && w.peers.Waiting(from.id, to.id) > 0 && w.Apply(step.Step{Verb: step.Deliver, Node: from.name, Peer: to.name}) == nil {
				return true
			}
		}
	}
	for _, h := range w.handed {
		for _, s := range []step.Step{{Node: h.call.node.name, Peer: h.to.name}, {Node: h.to.name, Peer: h.call.node.name}} {
			if s.Verb = step.Hand; w.Apply(s) == nil {
				return true
			}
		}
	}
	for _, n := range w.nodes {
		if n.fetches() && w.Apply(step.Step{Verb: step.Fetch, Node: n.name}) == nil || n.again && w.Apply(step.Step{Verb: step.Start, Node: n.name}) == nil {
			return true
		}
	}
	return false
}

// flow lets everything that is under way between nodes arrive, and what comes of it.
func (w *World) flow() {
	for range 10_000 {
		if w.Broken() || !w.nudge() {
			return
		}
	}
}

// tickAll lets time pass for every node that runs.
func (w *World) tickAll() {
	_ = w.Apply(step.Step{Verb: step.Advance, Duration: tickTime})
	for _, n := range w.nodes {
		_ = w.Apply(step.Step{Verb: step.Tick, Node: n.name})
	}
}

// tickTime is between two ticks of a node, and electionTicks how many of them are an election timeout.
const (
	tickTime      = 100 * time.Millisecond
	electionTicks = 10
)

// carryThroughNodes takes a call to its end in a world of several nodes.
func (w *World) carryThroughNodes(c *Call) {
	if !c.arrived {
		_ = w.Apply(step.Step{Verb: step.Deliver, Of: c.op.ID})
	}
	for ticks := 0; !c.done && !w.Broken() && ticks < 4*electionTicks; {
		switch {
		case w.Apply(step.Step{Verb: step.Reply, Of: c.op.ID}) == nil:
		case c.watches():
			return
		case !w.nudge():
			w.tickAll()
			ticks++
		}
	}
}
