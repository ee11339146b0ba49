package engine

import (
	"slices"

	"statehouse.dev/statehouse/engine/layout"
	"statehouse.dev/statehouse/engine/words"
)

// planFork decides whether an agent can be made a fork, now that it is its turn. It looks at
// nothing but heads, however many keys there are to inherit.
func (pl *planner) planFork(a AgentName, asked *Fork) (*fork, error) {
	f := &fork{agent: a, at: pl.head.ts + 1, parent: AgentName{Namespace: a.Namespace, Agent: asked.Parent}, upTo: asked.upTo}
	head, err := pl.agentHead(a)
	if err != nil {
		return nil, err
	}
	if head := head.Last; head != 0 {
		return nil, words.Failf(ErrPrecondition, "precondition failed: agent %q exists, its last commit is %d: a fork is a new agent", f.agent.Agent, head).
			With("namespace", f.agent.Namespace).With("agent_id", f.agent.Agent).
			With("expected_head", "0").With("current_head", head.String())
	}
	if f.upTo == 0 {
		f.upTo = pl.head.ts
		head, err = pl.agentHead(f.parent)
	} else {
		head, err = pl.state.agentHeadAt(f.parent, f.upTo)
	}
	if err != nil {
		return nil, err
	}
	forks := pl.state.forks()
	switch floor := pl.state.floor(f.agent.Namespace); {
	case f.upTo < floor:
		return nil, belowFloor(f.agent.Namespace, f.upTo, floor)
	case head.Last == 0:
		return nil, noParent(f.parent, f.upTo)
	case forks.depth(f.parent) >= deepestFork:
		return nil, words.Failf(ErrLimit, "agent %q is a fork of a fork, %d deep, which is the limit: what it inherits is being copied, try again", f.parent.Agent, deepestFork).
			With(limitDetail, "16").With("what", "forks of forks")
	}
	return f, nil
}

// meetsAct reports whether p is about an agent that an act of this step is about. The store does not
// show it yet, and so not what it comes to.
func (pl *planner) meetsAct(p *proposal) bool {
	for _, c := range pl.step {
		for i := range c.p.agents {
			if part := &c.p.agents[i]; part.isAct() && p.names(part.agent) {
				return true
			}
		}
	}
	return false
}

func (p *agentPart) isAct() bool { return p.made != nil || p.acted != nil }

// names reports whether what p asks for is about an agent.
func (p *proposal) names(a AgentName) bool {
	for i := range p.asked {
		if f, is := p.asked[i].eval.(Fork); is && f.Parent == a.Agent && p.asked[i].name.Namespace == a.Namespace {
			return true
		}
	}
	prefix := string(layout.AgentPrefix(layout.RecordTag, a))
	reads := func(r readMark) bool { return len(r.prefix) > len(prefix) && r.prefix[:len(prefix)] == prefix }
	return slices.ContainsFunc(p.agents, func(part agentPart) bool { return part.agent == a }) ||
		slices.ContainsFunc(p.reads, reads) ||
		slices.ContainsFunc(p.keys, func(k keyCondition) bool { return k.Name.AgentName() == a }) ||
		slices.ContainsFunc(p.heads, func(h HeadPrecondition) bool { return h.Agent == a }) ||
		slices.ContainsFunc(p.listed, func(l listed) bool { return l.agent == a })
}

// refuseForks refuses to fork what is being erased: the fork would have some of it, or lose it later.
func (e *Engine) refuseForks(p *proposal) error {
	for i := range p.asked {
		op := &p.asked[i]
		f, is := op.eval.(Fork)
		for _, x := range e.chores.erasures {
			if is && x.Namespace == op.name.Namespace && (x.Agent == "" || x.Agent == f.Parent || x.Agent == op.name.Agent) {
				return words.Failf(ErrPrecondition, "precondition failed: agent %q is being erased: fork it when that is done", f.Parent).
					With("namespace", x.Namespace).With("agent_id", f.Parent).With("reason", "erasure")
			}
		}
	}
	return nil
}
