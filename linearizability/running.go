package linearizability

import (
	"cmp"
	"slices"
	"strings"

	"statehouse.dev/statehouse/history"
)

// running is the running state: each key's last version at a commit which moves on through
// the log. It is what of a long history has to stay in memory.
type running struct {
	ts     uint64
	agents map[history.AgentName]*runningAgent
}

type runningAgent struct {
	first, head uint64
	keys        map[string]history.Record // tombstones among them
}

func newRunning(b *history.Base) *running {
	s := &running{agents: make(map[history.AgentName]*runningAgent)}
	if b == nil {
		return s
	}
	s.ts = b.CommitTS
	for i := range b.Records {
		r := b.Records[i]
		s.agent(history.AgentName{Namespace: r.Namespace, Agent: r.Agent}).keys[r.Key] = r
	}
	for _, a := range b.Agents {
		known := s.agent(history.AgentName{Namespace: a.Namespace, Agent: a.Agent})
		known.first, known.head = a.FirstTS, a.HeadTS
	}
	return s
}

func (s *running) agent(n history.AgentName) *runningAgent {
	a := s.agents[n]
	if a == nil {
		a = &runningAgent{keys: make(map[string]history.Record)}
		s.agents[n] = a
	}
	return a
}

// add moves the state on by a commit. It copies what it keeps: an event is cut out of its line.
func (s *running) add(ev *history.Event) {
	s.ts = ev.CommitTS
	for i := range ev.Ops {
		o := &ev.Ops[i]
		a := s.agents[history.AgentName{Namespace: o.Namespace, Agent: o.Agent}]
		if a == nil {
			a = s.agent(history.AgentName{Namespace: strings.Clone(o.Namespace), Agent: strings.Clone(o.Agent)})
			a.first = ev.CommitTS
		}
		a.head = ev.CommitTS
		name, known := a.keys[o.Key]
		if !known {
			name.Name = history.Name{Namespace: strings.Clone(o.Namespace), Agent: strings.Clone(o.Agent), Key: strings.Clone(o.Key)}
		}
		a.keys[name.Key] = history.Record{
			Name: name.Name, Exists: !o.Delete, Version: o.Version,
			CommitTS: ev.CommitTS, CommitTime: ev.CommitTime, Value: strings.Clone(o.Value),
		}
	}
}

// base is what a section of a history needs of the state: the keys that its operations and its
// log name, and those that its listings can show.
func (s *running) base(h *history.History) *history.Base {
	b := &history.Base{CommitTS: s.ts}
	names := h.Spoken()
	for i := range h.Log {
		for k := range h.Log[i].Ops {
			names[h.Log[i].Ops[k].Name] = true
		}
	}
	listed, all := make(map[history.AgentName]bool), false
	for _, op := range h.Operations {
		switch op.Kind {
		case history.Scan, history.ListKeys:
			listed[history.AgentName{Namespace: op.In.Namespace, Agent: op.In.Agent}] = true
		case history.ListAgents, history.ListSpaces:
			all = true
		}
		for _, w := range op.In.Heads {
			listed[history.AgentName{Namespace: w.Namespace, Agent: w.Agent}] = true
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
		a := history.AgentName{Namespace: n.Namespace, Agent: n.Agent}
		if known := s.agents[a]; known != nil && !listed[a] {
			if r, ever := known.keys[n.Key]; ever {
				b.Records = append(b.Records, r)
			}
		}
	}
	for n, a := range s.agents { // sorted below
		if (all || listed[n]) && a.head > 0 {
			b.Agents = append(b.Agents, history.Agent{Namespace: n.Namespace, Agent: n.Agent, FirstTS: a.first, HeadTS: a.head})
		}
	}
	slices.SortFunc(b.Records, func(x, y history.Record) int { return history.CompareNames(x.Name, y.Name) })
	slices.SortFunc(b.Agents, func(x, y history.Agent) int {
		return cmp.Or(strings.Compare(x.Namespace, y.Namespace), strings.Compare(x.Agent, y.Agent))
	})
	return b
}
