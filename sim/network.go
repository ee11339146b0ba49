package sim

import (
	"fmt"

	"statehouse.dev/statehouse/history"
)

// network carries calls from their clients to the daemon, and answers back.
type network struct {
	calls    map[int]*call
	last     map[string]*call // the last call of a client
	order    []*call
	open     []*call      // those that something may still happen to, and some more
	handlers []*call      // whose handler has not ended, oldest first
	reserved map[int]bool // ids that steps to come have
}

func newNetwork() network {
	return network{calls: make(map[int]*call), last: make(map[string]*call), reserved: make(map[int]bool)}
}

// nextID is an id that no call has, nor any in a step to come.
func (n *network) nextID() int {
	id := len(n.order) + 1
	for n.calls[id] != nil || n.reserved[id] {
		id++
	}
	return id
}

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
func (w *World) UnderWay() []*call {
	kept := w.network.open[:0]
	for _, c := range w.network.open {
		if !c.done || c.copies > 0 || !c.arrived {
			kept = append(kept, c)
		}
	}
	w.network.open = kept
	return kept
}

func (w *World) doCall(s *Step) error {
	if s.ID == 0 {
		s.ID = w.network.nextID()
	}
	if w.network.calls[s.ID] != nil {
		return misfit("there is a call #%d already", s.ID)
	}
	if c := w.network.last[s.Client]; c != nil && !c.done && !c.Stream() {
		return misfit("client %s waits for an answer already", s.Client)
	}
	if _, err := w.issue(s.Client, s.ID, s.Kind, s.In); err != nil {
		return misfit("%v", err)
	}
	return nil
}

func (w *World) doNetwork(s *Step) error {
	c := w.network.calls[s.Of]
	if s.Of == 0 {
		c = w.network.last[s.Client]
	}
	switch {
	case c == nil:
		return misfit("there is no such call")
	case s.Verb == Deliver && c.arrived, s.Verb == Drop && c.arrived, s.Verb == Dup && c.Stream():
		return misfit("the request is not under way")
	case s.Verb == Again && c.copies == 0:
		return misfit("no duplicate is under way")
	case (s.Verb == Lose || s.Verb == Timeout || s.Verb == Forge) && c.done:
		return misfit("its client does not wait")
	}
	s.Of, s.Client = c.op.ID, ""
	switch s.Verb {
	case Deliver:
		w.deliver(c)
	case Drop:
		c.arrived = true
		w.lost(c, errReset, "request lost")
	case Dup:
		c.copies++
	case Again:
		w.deliverCopy(c)
	case Reply:
		if !w.reply(c) {
			return misfit("no answer is under way")
		}
	case Lose:
		what := "answer lost"
		if c.Stream() {
			what = "stream cut"
		}
		w.lost(c, errReset, what)
	case Timeout:
		w.lost(c, errLate, "client gave up")
	case Forge:
		return w.forge(c)
	}
	return nil
}

// lost ends a call for its client without an answer.
func (w *World) lost(c *call, err error, what string) {
	if c.answered && c.err == nil && c.commits() {
		w.rec.probe("answer of a commit lost")
	}
	c.msgs = nil
	w.finish(c, nil, err)
	w.rec.note("network", what, fmt.Sprintf("#%d", c.op.ID))
	w.rec.stats.Faults[what]++
}
