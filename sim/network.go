package sim

import (
	"fmt"

	"statehouse.dev/statehouse/history"
	"statehouse.dev/statehouse/sim/step"
)

// network carries calls from their clients to the daemon, and answers back.
type network struct {
	calls    map[int]*Call
	last     map[string]*Call // the last call of a client
	order    []*Call
	open     []*Call      // those that something may still happen to, and some more
	streams  []*stream    // of sessions
	unheard  map[int]bool // calls in them that were answered when their callers had gone
	reserved map[int]bool // ids that steps to come have
}

func newNetwork() network {
	return network{calls: make(map[int]*Call), last: make(map[string]*Call), reserved: make(map[int]bool), unheard: make(map[int]bool)}
}

// nextID is an id that no call has, nor any in a step to come.
func (n *network) nextID() int {
	id := len(n.order) + 1
	for n.calls[id] != nil || n.reserved[id] {
		id++
	}
	return id
}

// NextID is an id that no call has.
func (w *World) NextID() int { return w.network.nextID() }

// Reserve keeps ids for calls that steps to come name.
func (w *World) Reserve(id int) { w.network.reserved[id] = true }

// Operation is what a call asked and was told; nil: there is no such call.
func (w *World) Operation(id int) *history.Operation {
	if c := w.network.calls[id]; c != nil {
		return c.op
	}
	return nil
}

// UnderWay lists the calls that something may still happen to.
func (w *World) UnderWay() []*Call {
	kept := w.network.open[:0]
	for _, c := range w.network.open {
		if !c.done || c.copies > 0 || c.Travels() {
			kept = append(kept, c)
		}
	}
	w.network.open = kept
	return kept
}

func (w *World) doCall(s *step.Step) error {
	if s.ID == 0 {
		s.ID = w.network.nextID()
	}
	if w.network.calls[s.ID] != nil {
		return misfit("there is a call #%d already", s.ID)
	}
	if c := w.network.last[s.Client]; c != nil && !c.done && !c.Stream() {
		return misfit("client %s waits for an answer already", s.Client)
	}
	if s.Session != "" && (s.Token != "" || step.MethodOf(s.Kind) == nil || step.MethodOf(s.Kind).Stream || s.Method != "") {
		return misfit("no session carries such a call")
	}
	if _, err := w.issue(s); err != nil {
		return misfit("%v", err)
	}
	return nil
}

// callNamed is the call that a step of the network is about.
func (w *World) callNamed(s *step.Step) *Call {
	if s.Of == 0 {
		return w.network.last[s.Client]
	}
	return w.network.calls[s.Of]
}

func (w *World) doNetwork(s *step.Step) error {
	c := w.callNamed(s)
	switch {
	case c == nil:
		return misfit("there is no such call")
	case s.Verb == step.Deliver && !c.Travels(), s.Verb == step.Drop && c.arrived, s.Verb == step.Dup && (c.Stream() || c.in != nil):
		return misfit("the request is not under way")
	case s.Verb == step.Again && c.copies == 0:
		return misfit("no duplicate is under way")
	case c.node.paused && (s.Verb == step.Deliver || s.Verb == step.Again):
		return misfit("%s stands still", c.node.name)
	case (s.Verb == step.Lose || s.Verb == step.Timeout || s.Verb == step.Forge) && c.done:
		return misfit("its client does not wait")
	case s.Verb == step.Expire && (!c.arrived || c.done || c.answered || c.cancel == nil || c.Stream()):
		return misfit("the daemon is not at it")
	}
	s.Of, s.Client = c.op.ID, ""
	if c.in != nil && (s.Verb == step.Drop || s.Verb == step.Lose) {
		c.in.stream.broke(errReset, "session broken")
		return nil
	}
	switch s.Verb {
	case step.Deliver:
		w.deliver(c)
	case step.Drop:
		c.arrived = true
		w.lost(c, errReset, "request lost")
	case step.Dup:
		c.copies++
	case step.Again:
		w.deliverCopy(c)
	case step.Reply:
		if !w.reply(c) {
			return misfit("no answer is under way")
		}
	case step.Lose:
		what := "answer lost"
		if c.Stream() {
			what = "stream cut"
		}
		w.lost(c, errReset, what)
	case step.Timeout:
		if w.lost(c, errLate, "client gave up"); c.in != nil {
			c.giveUp()
		}
	case step.Expire:
		if c.in != nil {
			return c.expireInSession()
		}
		c.cancel() // its answer is under way when the handler has ended
		w.rec.stats.Faults["deadline at the daemon"]++
	case step.Forge:
		return w.forgeReply(c)
	}
	return nil
}

// lost ends a call for its client without an answer.
func (w *World) lost(c *Call, err error, what string) {
	if c.answered && c.err == nil && c.commits() {
		w.rec.probe("answer of a commit lost")
	}
	c.msgs = nil
	w.finish(c, nil, err)
	w.rec.note("network", what, fmt.Sprintf("#%d", c.op.ID))
	w.rec.stats.Faults[what]++
}
