package linearizability

import (
	"cmp"
	"slices"
	"strings"
)

// rolling is the state at a commit that goes on: of each key the last version, and so
// what of a long history has to stay in memory.
type rolling struct {
	ts     uint64
	agents map[agentName]*rollingAgent
}

type rollingAgent struct {
	first, head uint64
	keys        map[string]Record // tombstones among them
}

func newRolling(b *Base) *rolling {
	s := &rolling{agents: make(map[agentName]*rollingAgent)}
	if b == nil {
		return s
	}
	s.ts = b.CommitTS
	for i := range b.Records {
		r := b.Records[i]
		s.agent(agentName{r.Namespace, r.Agent}).keys[r.Key] = r
	}
	for _, a := range b.Agents {
		known := s.agent(agentName{a.Namespace, a.Agent})
		known.first, known.head = a.FirstTS, a.HeadTS
	}
	return s
}

func (s *rolling) agent(n agentName) *rollingAgent {
	a := s.agents[n]
	if a == nil {
		a = &rollingAgent{keys: make(map[string]Record)}
		s.agents[n] = a
	}
	return a
}

// add goes on by a commit. What it keeps, it copies: an event is cut out of its line.
func (s *rolling) add(ev *Event) {
	s.ts = ev.CommitTS
	for i := range ev.Ops {
		o := &ev.Ops[i]
		a := s.agents[agentName{o.Namespace, o.Agent}]
		if a == nil {
			a = s.agent(agentName{strings.Clone(o.Namespace), strings.Clone(o.Agent)})
			a.first = ev.CommitTS
		}
		a.head = ev.CommitTS
		name, known := a.keys[o.Key]
		if !known {
			name.Name = Name{strings.Clone(o.Namespace), strings.Clone(o.Agent), strings.Clone(o.Key)}
		}
		a.keys[name.Key] = Record{
			Name: name.Name, Exists: !o.Delete, Version: o.Version,
			CommitTS: ev.CommitTS, CommitTime: ev.CommitTime, Value: strings.Clone(o.Value),
		}
	}
}

// base is what a part of a history needs of the state: the keys that its operations
// and its log name, and those that its listings can show.
func (s *rolling) base(h *History) *Base {
	b := &Base{CommitTS: s.ts}
	names := spoken(h)
	for i := range h.Log {
		for k := range h.Log[i].Ops {
			names[h.Log[i].Ops[k].Name] = true
		}
	}
	listed, all := make(map[agentName]bool), false
	for _, op := range h.Operations {
		switch op.Kind {
		case Scan, ListKeys:
			listed[agentName{op.In.Namespace, op.In.Agent}] = true
		case ListAgents, ListSpaces:
			all = true
		}
		for _, w := range op.In.Heads {
			listed[agentName{w.Namespace, w.Agent}] = true
		}
	}
	for a := range listed { // sorted below
		if known := s.agents[a]; known != nil {
			for _, r := range known.keys { // sorted below
				b.Records = append(b.Records, r)
			}
		}
	}
	for n := range names { // sorted below
		a := agentName{n.Namespace, n.Agent}
		if known := s.agents[a]; known != nil && !listed[a] {
			if r, ever := known.keys[n.Key]; ever {
				b.Records = append(b.Records, r)
			}
		}
	}
	for n, a := range s.agents { // sorted below
		if (all || listed[n]) && a.head > 0 {
			b.Agents = append(b.Agents, Agent{n.ns, n.agent, a.first, a.head})
		}
	}
	slices.SortFunc(b.Records, func(x, y Record) int { return compareNames(x.Name, y.Name) })
	slices.SortFunc(b.Agents, func(x, y Agent) int {
		return cmp.Or(strings.Compare(x.Namespace, y.Namespace), strings.Compare(x.Agent, y.Agent))
	})
	return b
}
