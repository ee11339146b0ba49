package sim

import (
	"strconv"

	cluster "statehouse.dev/statehouse/cluster/node"
	"statehouse.dev/statehouse/sim/peers"
	"statehouse.dev/statehouse/sim/step"
)

// Members come and go: an operator asks whoever leads, or a node that thinks it does, for a change.

// subject is the node that a change is about.
func subject(s *step.Step) string {
	if s.Peer != "" {
		return s.Peer
	}
	return s.Node
}

// changed names changes that were made, in probes.
var changed = map[step.Verb]string{step.Add: "member added", step.Promote: "member promoted", step.Remove: "member removed"}

// change asks for a change of members. What becomes of it is known when the node that is asked knows.
func (w *World) change(s *step.Step) error {
	name, asked := subject(s), w.leader()
	if s.Peer != "" {
		asked = w.nodeNamed(s.Node)
	}
	id, err := strconv.Atoi(name[1:])
	switch {
	case err != nil || id > peers.MostNodes:
		return misfit("there can be no node %s", name)
	case asked == nil || !asked.takesPart() || asked.process.service == nil || asked.paused:
		return misfit("nobody leads who could be asked")
	}
	if w.nodeNamed(name) == nil { // a machine, which the operator has got
		w.newMachine(id, w.emptyDisk(name, 0)).joins = true
	}
	p, what := asked.process, string(s.Verb)+" "+name
	done := func(err error) {
		switch {
		case p.image != nil: // nobody hears of it
		case err != nil:
			w.rec.note(asked.name, what, step.FirstLine(err.Error()))
			w.rec.probe("change of members refused")
		default:
			w.rec.note(asked.name, what, "done")
			w.rec.probe(changed[s.Verb])
		}
	}
	if s.Verb == step.Remove {
		w.nodeNamed(name).toLeave = true
	}
	defer w.about(asked)()
	p.act(func() {
		switch s.Verb {
		case step.Add:
			p.member.AddLearner(uint64(id), done)
		case step.Promote:
			p.member.Promote(uint64(id), done)
		case step.Remove:
			p.member.Remove(uint64(id), done)
		}
	})
	w.goRound(p)
	return nil
}

// membersNow are the members as the node that leads knows them; none: none does.
func (w *World) membersNow() []cluster.Member {
	lead := w.leader()
	if lead == nil {
		return nil
	}
	return lead.process.member.Status().Members
}

// memberNodes are their nodes.
func (w *World) memberNodes() (list []*node) {
	for _, m := range w.membersNow() {
		if n := w.nodeOfID(m.ID); n != nil {
			list = append(list, n)
		}
	}
	return list
}
