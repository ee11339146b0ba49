package sim

import (
	"slices"

	cluster "statehouse.dev/statehouse/cluster/node"
)

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
	Gone    bool // it is no member any more, and never will be
	Behind  bool // a copy of another's store is on its way to it, or should be
	Again   bool // one is here, and it is to begin again
	// By what the node that leads knows, and has applied: it is a member, and has a vote.
	Member, Votes bool
}

// Nodes lists the nodes of a world that has several.
func (w *World) Nodes() (list []NodeView) {
	members := w.membersNow()
	for _, n := range w.nodes {
		v := NodeView{Name: n.name, Paused: n.paused, Refused: n.starts.refused, Limited: n.machine.capacity != 0, Gone: n.gone(), Behind: n.fetches(), Again: n.again}
		if p := n.process; n.takesPart() {
			v.Running, v.Leads, v.Asked, v.Storing = true, p.member.Leads(), p.waited(), len(p.appends)
		}
		if i := slices.IndexFunc(members, func(m cluster.Member) bool { return int(m.ID) == n.id }); i >= 0 {
			v.Member, v.Votes = true, !members[i].Learner
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
