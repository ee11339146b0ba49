package clusters

import (
	"fmt"
	"slices"

	"statehouse.dev/statehouse/sim"
	"statehouse.dev/statehouse/sim/peers"
	"statehouse.dev/statehouse/sim/step"
)

// What an operator does to a cluster: members join and leave, lose their disks and are replaced, and some that were
// removed are started again. An operator asks until it is so, whoever leads meanwhile; several plans may be under way.

type plan string

// The plans.
const (
	joins    plan = "joins"    // a new node does, and gets a vote
	watches  plan = "watches"  // a new node does, and gets none
	leaves   plan = "leaves"   // a member does
	replaced plan = "replaced" // a member loses its disk, and a new node takes its place
	returns  plan = "returns"  // a member that was removed is started again, or is to be added again
)

var allPlans = []plan{joins, joins, watches, leaves, replaced, replaced, returns}

// wish is what an operator asks for, one after the other.
type wish struct {
	steps []step.Step
	tried int // the first
}

// mostTries is how often an operator asks for the same.
const mostTries = 60

// operates begins a plan of an operator's.
func (d *driver) operates(what plan) {
	nodes := d.w.Nodes()
	ask := func(list ...step.Step) { d.wishes = append(d.wishes, &wish{steps: list}) }
	add, promote, remove := step.Step{Verb: step.Add, Node: fmt.Sprintf("n%d", len(nodes)+1)}, step.Step{Verb: step.Promote, Node: fmt.Sprintf("n%d", len(nodes)+1)}, step.Step{Verb: step.Remove}
	switch {
	case what == returns:
		d.comesBack(nodes)
		return
	case what != leaves && len(nodes)+d.added() >= peers.MostNodes:
		return
	}
	if n := d.added(); n > 0 { // others have been asked for, and are not there yet
		add.Node = fmt.Sprintf("n%d", len(nodes)+1+n)
		promote.Node = add.Node
	}
	switch what {
	case joins:
		ask(add, promote)
	case watches:
		ask(add)
	case leaves:
		if n := d.mayLeave(nodes); n != nil {
			remove.Node = n.Name
			ask(remove)
		}
	case replaced:
		n := d.mayLoseDisk(nodes)
		if n == nil {
			return
		}
		d.step(step.Step{Verb: step.Crash, Node: n.Name, Crash: d.crash()})
		d.step(step.Step{Verb: step.Wipe, Node: n.Name})
		if remove.Node = n.Name; d.nemesis.IntN(2) == 0 {
			ask(remove, add, promote)
		} else {
			ask(add, promote, remove)
		}
	}
}

// added counts the nodes that are to be added and do not exist yet.
func (d *driver) added() (n int) {
	known := d.w.Nodes()
	for _, w := range d.wishes {
		for i := range w.steps {
			if s := &w.steps[i]; s.Verb == step.Add && !slices.ContainsFunc(known, func(v sim.NodeView) bool { return v.Name == s.Node }) {
				n++
			}
		}
	}
	return n
}

func voters(nodes []sim.NodeView) (n int) {
	for i := range nodes {
		if nodes[i].Votes {
			n++
		}
	}
	return n
}

// lost reports whether a disk is lost of who is a member still, or is to be replaced.
func (d *driver) lost(nodes []sim.NodeView) bool {
	return slices.ContainsFunc(nodes, func(n sim.NodeView) bool { return n.Gone && n.Member }) || slices.ContainsFunc(d.wishes, func(w *wish) bool {
		return slices.ContainsFunc(w.steps, func(s step.Step) bool { return s.Verb == step.Remove })
	})
}

// mayLeave draws a member without which the others go on: two at least that have a vote, and none of them lost.
func (d *driver) mayLeave(nodes []sim.NodeView) *sim.NodeView {
	n := &nodes[d.nemesis.IntN(len(nodes))]
	if !n.Member || n.Votes && voters(nodes) < 3 || d.lost(nodes) {
		return nil
	}
	return n
}

// mayLoseDisk draws a member of at least three, of which every other one runs and has its disk: of what was
// acknowledged a majority has its share.
func (d *driver) mayLoseDisk(nodes []sim.NodeView) *sim.NodeView {
	at := d.nemesis.IntN(len(nodes))
	n := &nodes[at]
	if !n.Votes || voters(nodes) < 3 || d.lost(nodes) {
		return nil
	}
	for i := range nodes {
		if o := &nodes[i]; i != at && !o.Gone && (!o.Running || o.Paused) {
			return nil
		}
	}
	return n
}

// comesBack starts a node again that was removed, or asks for it as a member, which it must never be.
func (d *driver) comesBack(nodes []sim.NodeView) {
	for i := range nodes {
		if n := &nodes[i]; n.Gone && !n.Member {
			d.step(step.Step{Verb: step.Start, Node: n.Name})
			d.step(step.Step{Verb: step.Add, Node: n.Name})
			return
		}
	}
}

// asksAgain asks for the next thing of a wish, mostly whoever leads, and some time whoever thinks so.
func (d *driver) asksAgain(w *wish) {
	nodes := d.w.Nodes()
	s := w.steps[0]
	if i := slices.IndexFunc(nodes, func(n sim.NodeView) bool { return n.Name == s.Node }); s.Verb == step.Promote && i >= 0 && (!nodes[i].Running || nodes[i].Behind) && d.pick.IntN(8) > 0 {
		return // an operator sees that it has not caught up
	}
	if w.tried++; d.soNow(nodes, &s) || w.tried > mostTries {
		w.steps, w.tried = w.steps[1:], 0
		if len(w.steps) == 0 {
			d.wishes = slices.DeleteFunc(d.wishes, func(o *wish) bool { return o == w })
		}
		return
	}
	if at := &nodes[d.pick.IntN(len(nodes))]; at.Leads && at.Name != s.Node {
		s.Node, s.Peer = at.Name, s.Node
	}
	d.step(s)
}

// soNow reports whether what an operator asks for is so, by who leads.
func (d *driver) soNow(nodes []sim.NodeView, s *step.Step) bool {
	i := slices.IndexFunc(nodes, func(n sim.NodeView) bool { return n.Name == s.Node })
	leads := slices.ContainsFunc(nodes, func(n sim.NodeView) bool { return n.Leads })
	switch {
	case i < 0 || !leads:
		return false
	case s.Verb == step.Add:
		return nodes[i].Member || nodes[i].Gone
	case s.Verb == step.Promote:
		return nodes[i].Votes || nodes[i].Gone
	}
	return !nodes[i].Member
}

// insidesOfCopies are operations inside of which who fetches a copy, or begins again on one, can be made to lose power.
var insidesOfCopies = slices.Concat(insides, []string{
	"crash file=witness op=rename", "crash file=witness op=rename when=after", "crash file=other op=write", "crash file=other op=sync", "crash file=sstable op=create",
	"crash file=sstable op=sync", "crash file=dir op=dirsync when=after", "crash file=identity op=rename", "crash file=identity op=rename when=after",
})

// disturbsCopy has something go wrong for a node to which a copy is on its way.
func (d *driver) disturbsCopy(name string) {
	r := d.nemesis
	switch r.IntN(8) {
	case 0:
		d.step(step.Step{Verb: step.Crash, Node: name, Crash: d.crash()})
	case 1:
		d.step(step.Step{Verb: step.Kill, Node: name})
	case 2:
		d.isolate(name)
	case 3:
		d.step(step.Step{Verb: step.Kill, Node: d.victim()})
	case 4:
		d.arm(name, d.swarm.diskFaults[r.IntN(len(d.swarm.diskFaults))])
	default:
		d.arm(name, insidesOfCopies[r.IntN(len(insidesOfCopies))])
	}
}
