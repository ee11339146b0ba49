package serial

import (
	"slices"

	"statehouse.dev/statehouse/history"
)

// window is what is judged at a time: constraints, and the state that they begin in.
type window struct {
	placed, free []*constraint
	refused      []*constraint
	know         func(history.Name) facts
	existing     func(*stretch) []history.Name // keys of that state in a stretch; nil: none is known
	base         uint64                        // where the window begins
	// points are the places of all placed commits, in the window or not, in order. A
	// free commit can only be at one that is not taken, for they are dense: that rules
	// out most of what a search would try.
	points []uint64
}

// room is how many places between two points are not taken, the first exclusive.
func (w *window) room(after, upTo uint64) int {
	i, _ := slices.BinarySearch(w.points, after+1)
	k, _ := slices.BinarySearch(w.points, upTo+1)
	return int(upTo-after) - (k - i)
}

// dropLater drops the free commits that were asked for when all the rest was over.
func (w *window) dropLater() {
	var end int64
	for _, a := range w.placed {
		end = max(end, a.ret)
	}
	w.free = slices.DeleteFunc(w.free, func(a *constraint) bool { return a.call > end })
}

// part of a window, and the keys that it is about.
type part struct {
	names        []history.Name
	index        map[history.Name]int
	placed, free []*constraint
	refused      []*constraint
}

// split cuts a window into parts that share no key. A listing becomes a sight of each key that
// it might have shown.
func (w *window) split() []*part {
	u := newUnion()
	byAgent := make(map[history.AgentName][]history.Name)
	add := func(n history.Name) {
		if u.add(n) {
			a := history.AgentName{Namespace: n.Namespace, Agent: n.Agent}
			byAgent[a] = append(byAgent[a], n)
		}
	}
	all := slices.Concat(w.placed, w.free, w.refused)
	for _, a := range all {
		for i := range a.sees {
			add(a.sees[i].name)
		}
		for i := range a.does {
			add(a.does[i].name)
		}
		for i := range a.lists {
			if w.existing != nil {
				for _, n := range w.existing(&a.lists[i]) {
					add(n)
				}
			}
		}
	}
	for i, a := range all {
		if len(a.lists) > 0 {
			b := *a
			b.sees = append(b.sees[:len(b.sees):len(b.sees)], a.missing(byAgent)...)
			all[i], a = &b, &b
		}
		u.join(a)
	}
	return u.parts(all)
}

// missing lists what a constraint has listed the places of without seeing it.
func (a *constraint) missing(byAgent map[history.AgentName][]history.Name) []sight {
	var out []sight
	for i := range a.lists {
		s := &a.lists[i]
		for _, n := range byAgent[s.agent] {
			if n.Key != "" && s.covers(n.Key) && !s.shown[n] {
				out = append(out, sight{n, facts{known: knowsExists}})
			}
		}
	}
	return out
}

// union finds which names hang together.
type union struct {
	index  map[history.Name]int
	parent []int
}

func newUnion() *union { return &union{index: make(map[history.Name]int)} }

func (u *union) add(n history.Name) bool {
	if _, known := u.index[n]; known {
		return false
	}
	u.index[n] = len(u.parent)
	u.parent = append(u.parent, len(u.parent))
	return true
}

func (u *union) find(i int) int {
	for u.parent[i] != i {
		u.parent[i] = u.parent[u.parent[i]]
		i = u.parent[i]
	}
	return i
}

// first is where a constraint's names hang; -1: it has none.
func (u *union) first(a *constraint) int {
	switch {
	case len(a.does) > 0:
		return u.find(u.index[a.does[0].name])
	case len(a.sees) > 0:
		return u.find(u.index[a.sees[0].name])
	}
	return -1
}

func (u *union) join(a *constraint) {
	root := u.first(a)
	for i := range a.does {
		u.parent[u.find(u.index[a.does[i].name])] = root
	}
	for i := range a.sees {
		u.parent[u.find(u.index[a.sees[i].name])] = root
	}
}

// parts puts the constraints where their names hang, in the order of the constraints.
func (u *union) parts(all []*constraint) []*part {
	var list []*part
	at := make(map[int]*part)
	for _, a := range all {
		root := u.first(a)
		if root < 0 {
			continue // it saw nothing, as a listing of what is empty does
		}
		p := at[root]
		if p == nil {
			p = &part{index: make(map[history.Name]int)}
			at[root] = p
			list = append(list, p)
		}
		switch {
		case a.placed:
			p.placed = append(p.placed, a)
		case a.firm:
			p.refused = append(p.refused, a)
		default:
			p.free = append(p.free, a)
		}
		for i := range a.does {
			p.add(a.does[i].name)
		}
		for i := range a.sees {
			p.add(a.sees[i].name)
		}
	}
	return list
}

func (p *part) add(n history.Name) {
	if _, known := p.index[n]; !known {
		p.index[n] = len(p.names)
		p.names = append(p.names, n)
	}
}
