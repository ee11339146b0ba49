package serial

import (
	"cmp"
	"maps"
	"math/rand/v2"
	"slices"

	"statehouse.dev/statehouse/history"
)

// judgeSamples judges stretches of what happened to a few keys, without the log.
func (p *judge) judgeSamples(h *history.History, c *constraints, o Options) {
	rng := rand.New(rand.NewPCG(o.Seed, 0x706f726375)) // its own: no other draws depend on it
	size, count := cmp.Or(o.SampleSize, defaultSample), cmp.Or(o.Samples, defaultCount)
	commits := slices.DeleteFunc(slices.Clone(c.placed), func(a *constraint) bool { return !a.commit })
	if len(commits) == 0 {
		return
	}
	for i := 0; i < count && len(p.Violations) == 0; i++ {
		names := make(map[history.Name]bool)
		for range 2 {
			commits[rng.IntN(len(commits))].touch(names)
		}
		if w := c.sample(h, names, rng.IntN(len(c.placed)), size); w != nil {
			p.search(w)
		}
	}
}

// sample cuts the constraints down to some keys and a stretch around one of them. A sample
// that does not begin with the history begins in an unknown state. There a commit of unknown
// outcome says nothing, and makes the search endless: the keys that it writes are left out.
func (c *constraints) sample(h *history.History, names map[history.Name]bool, around, size int) *window {
	if around >= size {
		for _, a := range c.free {
			for i := range a.does {
				delete(names, a.does[i].name)
			}
		}
	}
	list := slices.SortedFunc(maps.Keys(names), history.CompareNames)
	placed := project(c.placed, names, list)
	if len(placed) == 0 {
		return nil
	}
	s := newLogState(h, c)
	w := &window{know: s.facts, base: s.ts, points: c.points()}
	from := 0
	if around < size {
		w.free = project(c.free, names, list)
	} else if from = max(0, len(placed)*around/len(c.placed)-size/2); from > 0 {
		for from > 0 && !placed[from].commit {
			from--
		}
		w.know = nothing
	}
	w.placed = placed[from:min(from+size, len(placed))]
	w.dropLater()
	return w
}

// nothing is what is known of a key in the middle of a history without its log.
func nothing(history.Name) facts { return facts{} }

// touch adds the names that a constraint writes or wants.
func (a *constraint) touch(names map[history.Name]bool) {
	for i := range a.does {
		names[a.does[i].name] = true
	}
	for i := range a.sees {
		names[a.sees[i].name] = true
	}
}

// project cuts constraints down to some keys, given as a set and sorted. An order of the
// whole is one of the part.
func project(all []*constraint, names map[history.Name]bool, list []history.Name) []*constraint {
	var out []*constraint
	for _, a := range all {
		b := *a
		b.sees, b.does, b.lists = nil, nil, nil
		for _, s := range a.sees {
			if names[s.name] {
				b.sees = append(b.sees, s)
			}
		}
		for _, e := range a.does {
			if names[e.name] {
				b.does = append(b.does, e)
			}
		}
		for _, n := range list {
			if a.missed(n) {
				b.sees = append(b.sees, sight{n, facts{known: knowsExists}})
			}
		}
		if b.commit = len(b.does) > 0; b.commit || len(b.sees) > 0 {
			out = append(out, &b)
		}
	}
	return out
}

// missed reports whether a constraint has listed where a key would stand, and not seen it.
func (a *constraint) missed(n history.Name) bool {
	for i := range a.lists {
		s := &a.lists[i]
		if s.agent.Namespace == n.Namespace && s.agent.Agent == n.Agent && s.covers(n.Key) && !s.shown[n] {
			return true
		}
	}
	return false
}
