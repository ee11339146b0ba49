package sim

import (
	"time"

	"statehouse.dev/statehouse/server"
	"statehouse.dev/statehouse/sim/deserved"
	"statehouse.dev/statehouse/sim/step"
)

// node is a machine, the daemon on it, and what there is to know of the two. A world has one, or
// several that keep one store.
type node struct {
	w    *World
	name string // n1, n2 …; empty: it is alone
	id   int    // in its cluster; 0: it is alone

	jumped   time.Duration // how far its wall clock has been set forward
	machine  machine       // the disk, and what befell it
	faults   faults        // that steps armed
	process  *process      // the daemon; nil while none runs
	starts   starts        // how the daemon's starts went
	handlers []*Call       // whose handler has not ended, oldest first
	ring     ring          // what the daemon captures
	work     work          // what the daemon read
	held     server.Held   // by requests, when that was last checked
	leaked   bool          // the daemon holds what it should not, and that was reported
	reasons  reasons       // why requests may be refused
	paused   bool          // its process stands still
	joins    bool          // it is none of those with which the cluster began
	again    bool          // its process has ended since a copy of another's store is here, and is to begin again
	toLeave  bool          // somebody was asked to remove it, whatever became of that
	removed  bool          // it is no member any more, and knows it
	diskLost bool          // its disk is, so that it can never be a member again
}

func (w *World) newNode(name string) *node {
	n := &node{w: w, name: name, reasons: reasons{judge: deserved.NewJudge()}}
	w.nodes = append(w.nodes, n)
	return n
}

// now is the time that its daemon reads.
func (n *node) now() time.Time {
	n.w.mu.Lock()
	defer n.w.mu.Unlock()
	return step.Epoch.Add(n.w.clock.elapsed + n.jumped)
}

// gone reports whether it never will be a member again.
func (n *node) gone() bool { return n.removed || n.diskLost }

// about has what happens be about a node, until the function that it returns is called.
func (w *World) about(n *node) (back func()) {
	before := w.node
	w.node = n
	return func() { w.node = before }
}

// each calls f about each node.
func (w *World) each(f func()) {
	if len(w.nodes) == 1 {
		f()
		return
	}
	for _, n := range w.nodes {
		back := w.about(n)
		f()
		back()
	}
}

// nodeOf is the node that a step is about: the one that it names, or that the call which it names
// goes to.
func (w *World) nodeOf(s *step.Step) *node {
	if len(w.nodes) == 1 {
		return w.nodes[0]
	}
	if n := w.nodeNamed(s.Node); n != nil {
		return n
	}
	if s.Verb != step.Call {
		if c := w.callNamed(s); c != nil {
			return c.node
		}
	} else if n := w.leader(); n != nil && s.Node == "" {
		s.Node = n.name
		return n
	}
	return w.nodes[0]
}

// lane is where the history has what happens to a part of a node.
func (n *node) lane(part string) string {
	if n.name == "" {
		return part
	}
	return n.name
}

// handling counts the requests that daemons are at.
func (w *World) handling() (requests int) {
	for _, n := range w.nodes {
		requests += len(n.handlers)
	}
	return requests
}
