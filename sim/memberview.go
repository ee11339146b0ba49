package sim

import "slices"

// NodeView is what whoever drives a world of several nodes sees of one.
type NodeView struct {
	Name    string
	Running bool
	Paused  bool
	Leads   bool
	Asked   bool // somebody waits for it to go round
	Storing int  // what it gave its disk to store, and is not stored
	Refused int  // starts in a row that it refused
	Limited bool // its disk has a size
}

// Nodes lists the nodes of a world that has several.
func (w *World) Nodes() (list []NodeView) {
	for _, n := range w.nodes {
		v := NodeView{Name: n.name, Paused: n.paused, Refused: n.starts.refused, Limited: n.machine.capacity != 0}
		if p := n.process; p != nil && p.image == nil && p.member != nil {
			v.Running, v.Leads, v.Asked, v.Storing = true, p.member.Leads(), p.waited(), len(p.appends)
		}
		list = append(list, v)
	}
	return list
}

// LinkView is what whoever drives it sees of what one node sends another.
type LinkView struct {
	From, To string
	Waiting  int  // messages under way
	Handed   bool // a request that was handed on is, or its answer
	Stands   bool // the one at its end stands still
	Cut      bool
}

// Links lists them.
func (w *World) Links() (list []LinkView) {
	for _, from := range w.nodes {
		for _, to := range w.nodes {
			if from != to {
				list = append(list, LinkView{from.name, to.name, w.peers.Waiting(from.id, to.id), slices.ContainsFunc(w.handed, func(h *handed) bool { return h.goes(from, to) }), to.paused, w.peers.IsCut(from.id, to.id)})
			}
		}
	}
	return list
}
