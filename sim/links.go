package sim

import (
	"statehouse.dev/statehouse/sim/peers"
	"statehouse.dev/statehouse/sim/step"
)

// doLink does what happens to a message between two nodes.
func (w *World) doLink(s *step.Step) error {
	from, to, nth := w.nodeNamed(s.Node), w.nodeNamed(s.Peer), max(s.Nth, 1)
	if w.peers.Waiting(from.id, to.id) < nth {
		return misfit("%s has sent %s no such message", from.name, to.name)
	}
	if s.Verb == step.Dup {
		w.peers.Double(from.id, to.id, nth)
		w.rec.stats.Faults["message doubled"]++
		return nil
	}
	if s.Verb == step.Deliver && to.paused {
		return misfit("%s stands still", to.name)
	}
	m, sent := w.peers.Take(from.id, to.id, nth)
	if w.rec.trace.print != nil {
		w.rec.say("%s", peers.Text(m))
	}
	if s.Verb == step.Drop {
		w.rec.stats.Faults["message lost"]++
		return nil
	}
	defer w.about(to)()
	p := to.process
	w.judge.Heard(m, sent)
	p.act(func() { p.member.Receive(m) })
	w.goRound(p)
	return nil
}

// cut cuts a link, or all of a node's; or it mends them.
func (w *World) cut(s *step.Step, cut bool) {
	n := w.nodeNamed(s.Node)
	if s.Peer != "" {
		w.cutLink(n, w.nodeNamed(s.Peer), cut)
	} else {
		for _, other := range w.nodes {
			if other != n {
				w.cutLink(n, other, cut)
				w.cutLink(other, n, cut)
			}
		}
	}
	if cut {
		w.rec.stats.Faults["link cut"]++
	}
}

func (w *World) cutLink(from, to *node, cut bool) {
	if w.peers.Cut(from.id, to.id, cut); cut {
		w.breakHanded(func(h *handed) bool { return h.call.node == from && h.to == to || h.to == from && h.call.node == to })
		w.breakCopies(func(at, source *node) bool { return at == from && source == to || at == to && source == from })
	}
}

// mend heals what a step names: a link, a node's disk and links, or everything.
func (w *World) mend(s *step.Step) {
	switch {
	case s.Peer != "":
		w.cut(s, false)
	case s.Node != "":
		w.cut(s, false)
		w.machine.disk.Heal()
		w.disarm()
	default:
		for _, n := range w.nodes {
			w.cut(&step.Step{Node: n.name}, false)
			n.machine.disk.Heal()
		}
		w.each(w.disarm)
	}
}
