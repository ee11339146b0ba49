package sim

import (
	"context"
	"slices"

	spb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"statehouse.dev/statehouse/engine"
	"statehouse.dev/statehouse/server"
	"statehouse.dev/statehouse/sim/sched"
	"statehouse.dev/statehouse/sim/step"
)

// handed is a request that one node was asked and has handed on to the one that leads. It, and then its
// answer, are under way until a step brings them; when the link is cut, or a process ends, whoever waits learns
// that the connection broke, and not what became of it.
type handed struct {
	call     *Call // at the first node
	to       *node
	request  *server.Forwarded
	arrived  bool
	answered bool
	answer   *server.Answered
	err      error
	done     chan struct{}
	over     bool
	cancel   context.CancelFunc
}

// Forward implements server.Cluster.
func (m membership) Forward(ctx context.Context, f *server.Forwarded) (*server.Answered, error) {
	w := m.p.w
	leader := m.p.member.Status().Leader
	if leader == 0 || int(leader) == m.p.n.id {
		return nil, engine.ErrNotLeader
	}
	to := w.nodeOfID(leader)
	if w.peers.IsCut(m.p.n.id, to.id) || !w.listens(to.id) {
		return nil, engine.ErrNotLeader
	}
	i := slices.IndexFunc(m.p.n.handlers, func(c *Call) bool { return c.handler == w.tasks.Current() })
	h := &handed{call: m.p.n.handlers[i], to: to, request: f, done: make(chan struct{}), cancel: func() {}}
	w.handed = append(w.handed, h)
	w.rec.probe("request handed on")
	if err := w.tasks.Await(ctx, h.done); err != nil {
		h.end(w, err)
		return nil, err
	}
	return h.answer, h.err
}

// end ends it for whoever waits.
func (h *handed) end(w *World, err error) {
	if !h.over {
		h.over, h.err = true, err
		h.cancel()
		close(h.done)
		w.handed = slices.DeleteFunc(w.handed, func(o *handed) bool { return o == h })
	}
}

// goes reports whether something of it is under way from one node to another.
func (h *handed) goes(from, to *node) bool {
	return !h.arrived && h.call.node == from && h.to == to || h.answered && h.to == from && h.call.node == to
}

// hand brings a request that was handed on, or its answer: the oldest that is under way on a link.
func (w *World) hand(s *step.Step) error {
	from, to := w.nodeNamed(s.Node), w.nodeNamed(s.Peer)
	i := slices.IndexFunc(w.handed, func(h *handed) bool { return h.goes(from, to) })
	switch {
	case i < 0:
		return misfit("%s has handed %s nothing", from.name, to.name)
	case to.paused:
		return misfit("%s stands still", to.name)
	}
	h := w.handed[i]
	if h.answered {
		w.judge.HeardFrom(from.id, to.id, w.peers.Sent()+1)
		h.end(w, nil)
		return nil
	}
	h.arrived = true
	w.answerHanded(h)
	return nil
}

// answerHanded has the node that leads answer.
func (w *World) answerHanded(h *handed) {
	defer w.about(h.to)()
	p := w.process
	ctx, cancel := context.WithCancel(context.Background())
	h.cancel = cancel
	c := &Call{node: h.to, op: h.call.op, request: h.call.request, token: h.call.token, done: true, arrived: true, cancel: cancel}
	asked := w.arrived(c)
	c.handler = sched.Spawn(func(t *sched.Task) {
		a := p.service.Answer(ctx, h.request)
		if !t.Killed() {
			h.answer, h.answered = a, true
			w.judgeAnswer(asked, a.Response, errorOf(a), ctx.Err() != nil)
		}
		cancel()
	})
	w.handlers = append(w.handlers, c)
	w.resume(c)
}

func errorOf(a *server.Answered) error {
	var s spb.Status
	if len(a.Status) == 0 || proto.Unmarshal(a.Status, &s) != nil {
		return nil
	}
	return status.ErrorProto(&s)
}

// breakHanded ends what is handed on a link that is cut.
func (w *World) breakHanded(broken func(h *handed) bool) {
	for _, h := range slices.Clone(w.handed) {
		if broken(h) {
			h.end(w, errReset)
		}
	}
}
