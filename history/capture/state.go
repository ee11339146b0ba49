package capture

import (
	"errors"
	"maps"
	"slices"

	"statehouse.dev/statehouse/history"
)

// scope is the state that a history speaks of.
type scope struct {
	names  map[history.Name]bool
	lists  map[history.Name]bool // of an agent: keys with a prefix (Key)
	agents map[history.Name]bool // of a namespace: agents with a prefix (Agent)
	spaces bool                  // all namespaces
}

func newScope() *scope {
	return &scope{names: make(map[history.Name]bool), lists: make(map[history.Name]bool), agents: make(map[history.Name]bool)}
}

// operation adds what an operation asks about.
func (s *scope) operation(op *history.Operation) {
	in := &op.In
	if in.Key != "" {
		s.names[history.Name{Namespace: in.Namespace, Agent: in.Agent, Key: in.Key}] = true
	}
	for i := range in.Writes {
		s.names[in.Writes[i].Name] = true
	}
	for i := range in.Keys {
		s.names[in.Keys[i].Name] = true
	}
	for _, n := range in.Names {
		s.names[n] = true
	}
	for _, h := range in.Heads {
		s.names[history.Name{Namespace: h.Namespace, Agent: h.Agent}] = true
	}
	if r := in.Reads; r != nil {
		for i := range r.Keys {
			s.names[r.Keys[i].Name] = true
		}
		for i := range r.Ranges {
			s.lists[history.Name{Namespace: r.Ranges[i].Namespace, Agent: r.Ranges[i].Agent, Key: r.Ranges[i].Prefix}] = true
		}
	}
	switch op.Kind {
	case history.Scan, history.ListKeys:
		s.lists[history.Name{Namespace: in.Namespace, Agent: in.Agent, Key: in.Prefix}] = true
	case history.ListAgents:
		s.agents[history.Name{Namespace: in.Namespace, Agent: in.Prefix}] = true
	case history.ListSpaces:
		s.spaces = true
	}
}

// state calls put with the state that the capture's first request met, as far as the
// history speaks of it: each key once, then each agent once.
func (d *dumper) state(put func(history.Line) error) error {
	at, src := d.base(), d.o.Source
	if at == 0 {
		return nil
	}
	names := maps.Clone(d.scope.names)
	agents := make(map[history.Name]history.Agent)
	for _, l := range slices.SortedFunc(maps.Keys(d.scope.lists), history.CompareNames) {
		if err := src.Records(at, l.Namespace, l.Agent, l.Key, func(r history.Record) error {
			names[r.Name] = true
			return d.tick()
		}); err != nil {
			return err
		}
	}
	if err := d.agents(names, agents); err != nil {
		return err
	}
	for _, n := range slices.SortedFunc(maps.Keys(names), history.CompareNames) {
		if n.Key == "" {
			continue // of a head condition
		}
		r, err := src.Record(at, n)
		if err != nil {
			return err
		}
		if r.Version == 0 {
			continue // never written
		}
		r.Value = normal(r.Value)
		if err := errors.Join(d.tick(), put(history.Line{Record: &r})); err != nil {
			return err
		}
	}
	for _, n := range slices.SortedFunc(maps.Keys(agents), history.CompareNames) {
		a := agents[n]
		if err := put(history.Line{Agent: &a}); err != nil {
			return err
		}
	}
	return nil
}

// agents finds the agents of names, and those that were listed.
func (d *dumper) agents(names map[history.Name]bool, found map[history.Name]history.Agent) error {
	at, src := d.base(), d.o.Source
	add := func(a history.Agent) error {
		found[history.Name{Namespace: a.Namespace, Agent: a.Agent}] = a
		return d.tick()
	}
	wanted := maps.Clone(d.scope.agents)
	if d.scope.spaces {
		spaces, err := src.Namespaces(at)
		if err != nil {
			return err
		}
		for _, ns := range spaces {
			wanted[history.Name{Namespace: ns}] = true
		}
	}
	for _, w := range slices.SortedFunc(maps.Keys(wanted), history.CompareNames) {
		if err := src.Agents(at, w.Namespace, w.Agent, add); err != nil {
			return err
		}
	}
	exact := make(map[history.Name]bool)
	for n := range names { // into a map: order cannot matter
		exact[history.Name{Namespace: n.Namespace, Agent: n.Agent}] = true
	}
	for _, w := range slices.SortedFunc(maps.Keys(exact), history.CompareNames) {
		err := src.Agents(at, w.Namespace, w.Agent, func(a history.Agent) error {
			if a.Agent == w.Agent {
				return errors.Join(add(a), errFound)
			}
			return errFound // it would be the first
		})
		if err != nil && !errors.Is(err, errFound) {
			return err
		}
	}
	return nil
}

var errFound = errors.New("found")
