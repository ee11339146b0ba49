package engine

import "slices"

// planFork decides whether an agent can be made a fork, now that it is its turn. head is the
// agent's last commit. It looks at nothing but heads, however many keys there are to inherit.
func (pl *planner) planFork(part *agentPart, head CommitTS) error {
	f := &fork{agent: part.agent, at: pl.head.ts + 1, parent: AgentName{part.agent.Namespace, part.fork.Parent}, upTo: part.fork.upTo}
	if head != 0 {
		return failf(ErrPrecondition, "precondition failed: agent %q exists, its last commit is %d: a fork is a new agent", f.agent.Agent, head).
			with("namespace", f.agent.Namespace).with("agent_id", f.agent.Agent).
			with("expected_head", "0").with("current_head", head.String())
	}
	var had CommitTS
	var err error
	if f.upTo == 0 {
		f.upTo = pl.head.ts
		had, err = pl.agentHead(f.parent)
	} else {
		had, err = pl.state.agentHeadAt(f.parent, f.upTo)
	}
	if err != nil {
		return err
	}
	forks := pl.state.forks()
	switch floor := pl.state.floor(f.agent.Namespace); {
	case f.upTo < floor:
		return belowFloor(f.agent.Namespace, f.upTo, floor)
	case had == 0:
		return noParent(f.parent, f.upTo)
	case forks.depth(f.parent) >= deepestFork:
		return failf(ErrLimit, "agent %q is a fork of a fork, %d deep, which is the limit: what it inherits is being copied, try again", f.parent.Agent, deepestFork).
			with(limitDetail, "16").with("what", "forks of forks")
	}
	part.made = f
	return nil
}

// meetsFork reports whether p is about an agent that was made a fork in this step. The store does
// not show it yet, and so not what it inherited.
func (pl *planner) meetsFork(p *proposal) bool {
	for _, c := range pl.step {
		for i := range c.p.agents {
			if f := c.p.agents[i].made; f != nil && p.names(f.agent) {
				return true
			}
		}
	}
	return false
}

// names reports whether what p asks for is about an agent.
func (p *proposal) names(a AgentName) bool {
	for i := range p.agents {
		if part := &p.agents[i]; part.agent == a || part.fork != nil && part.fork.Parent == a.Agent && part.agent.Namespace == a.Namespace {
			return true
		}
	}
	prefix := string(agentPrefix(recordTag, a))
	reads := func(r readMark) bool { return len(r.prefix) > len(prefix) && r.prefix[:len(prefix)] == prefix }
	return slices.ContainsFunc(p.reads, reads) ||
		slices.ContainsFunc(p.keys, func(k keyCondition) bool { return k.Name.AgentName() == a }) ||
		slices.ContainsFunc(p.heads, func(h HeadPrecondition) bool { return h.Agent == a }) ||
		slices.ContainsFunc(p.listed, func(l listed) bool { return l.agent == a })
}

// refuseForks refuses to fork what is being erased: the fork would have some of it, or lose it later.
func (e *Engine) refuseForks(p *proposal) error {
	for i := range p.agents {
		part := &p.agents[i]
		if part.fork == nil {
			continue
		}
		for _, x := range e.chores.erasures {
			if x.Namespace == part.agent.Namespace && (x.Agent == "" || x.Agent == part.fork.Parent || x.Agent == part.agent.Agent) {
				return failf(ErrPrecondition, "precondition failed: agent %q is being erased: fork it when that is done", part.fork.Parent).
					with("namespace", x.Namespace).with("agent_id", part.fork.Parent).with("reason", "erasure")
			}
		}
	}
	return nil
}
