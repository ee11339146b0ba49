package sim

import (
	"context"
	"slices"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"statehouse.dev/statehouse/history"
	"statehouse.dev/statehouse/history/record"
	pb "statehouse.dev/statehouse/proto/statehouse/v1"
	"statehouse.dev/statehouse/sim/bounds"
	"statehouse.dev/statehouse/sim/sched"
	"statehouse.dev/statehouse/sim/step"
)

// Call is one request on its way through the world: sent, delivered to a
// handler, answered, and known to its client. The network may lose either half,
// deliver the first twice, or let the client give up in between.
type Call struct {
	node    *node // that it goes to
	op      *history.Operation
	request request
	token   string // wrong, or none, in place of the daemon's
	arrived bool   // the request was delivered, or never will be
	copies  int    // duplicates of the request that are under way

	handler   *sched.Task
	cancel    context.CancelFunc // of the handler's context
	work      int64              // steps of reading that the handler took
	published uint64             // the last commit that it could see
	gen       int                // of the daemon that it was delivered to

	answered   bool // the handler has ended
	unanswered bool // it never will, and that was reported
	resp       []byte
	err        error
	msgs       [][]byte // of a stream: sent, and under way to the client
	nextPage   string   // token in the answer, once the client has it
	begins     string   // of a begin: the name that it gives its transaction

	in *inSession // nil: it is a call of its own

	// What the client knows. done: it waits no more.
	done     bool
	given    []byte // the answer
	sum      uint64 // of it
	told     error
	received [][]byte // of a stream: messages the client has not taken yet
}

// ID is what steps name the call by.
func (c *Call) ID() int { return c.op.ID }

// Kind is what it asks for.
func (c *Call) Kind() history.Kind { return c.op.Kind }

// Arrived reports whether the request was delivered, or never will be.
func (c *Call) Arrived() bool { return c.arrived }

// Copies counts the duplicates of the request that are under way.
func (c *Call) Copies() int { return c.copies }

// Answering reports whether an answer, or a message of a stream, is under way to the client.
func (c *Call) Answering() bool { return len(c.msgs) > 0 || c.answered }

// Done reports whether the client waits no more.
func (c *Call) Done() bool { return c.done }

// Stream reports whether the call is answered by a stream.
func (c *Call) Stream() bool { return c.request.method.Stream }

func (c *Call) watches() bool { return c.op.Kind == history.Watch }

// commits reports whether the call asks the writer for a commit.
func (c *Call) commits() bool { return c.request.recorded() && c.op.Kind.Info().Commits }

// streamWindow is how many messages of a stream are under way before its handler
// waits, as it does for gRPC's flow control.
const streamWindow = 4

// issue makes a client send a request. Names of transactions in it are the
// world's; what goes over the wire has the ids that they stand for.
func (w *World) issue(s *step.Step) (*Call, error) {
	r, err := w.requestOf(s)
	if err != nil {
		return nil, err
	}
	c := &Call{node: w.node, request: r, token: s.Token, op: &history.Operation{ID: s.ID, Client: s.Client, Kind: s.Kind, In: r.in, Call: w.rec.stamp(), Outcome: history.Unknown}}
	if s.Session != "" {
		w.join(c, s.Session)
	}
	if s.Kind == history.Begin { // what a client calls it is not something it asked for
		c.op.In.TxnID = ""
		c.begins = s.In.TxnID
	}
	n := &w.network
	n.calls[s.ID], n.last[s.Client] = c, c
	n.order, n.open = append(n.order, c), append(n.open, c)
	w.rec.stats.Operations++
	if r.recorded() {
		w.rec.history.Operations = append(w.rec.history.Operations, c.op)
	}
	return c, nil
}

// marshal puts the entries of a map in order: runs are compared by what goes over the wire.
func marshal(m proto.Message) ([]byte, error) {
	return proto.MarshalOptions{Deterministic: true}.Marshal(m)
}

var (
	errRefused = status.Error(codes.Unavailable, "connection refused")
	errReset   = status.Error(codes.Unavailable, "connection reset")
	errLate    = status.Error(codes.DeadlineExceeded, "deadline exceeded")
)

// deliver hands a request to the daemon. A handler starts, and runs until it
// waits or has answered.
func (w *World) deliver(c *Call) {
	if c.in != nil {
		w.deliverFrame(c)
		return
	}
	c.arrived = true
	if w.process == nil || w.process.service == nil || w.process.drain.refuses(c) {
		c.copies = 0 // there was no connection that could have carried any
		w.finish(c, nil, errRefused)
		return
	}
	c.gen = w.process.generation
	if w.InFlight() {
		w.rec.probe("request while a sync is in flight")
	}
	ctx, cancel := context.WithCancel(context.Background())
	c.cancel = cancel
	asked := w.arrived(c)
	c.handler = sched.Spawn(func(t *sched.Task) {
		c.resp, c.err = w.process.handle(ctx, t, c)
		if !t.Killed() {
			c.answered = true
			w.learn(c)
			w.checkWatchEnded(c)
			w.judgeAnswer(asked, c.resp, c.err, ctx.Err() != nil)
		}
		cancel()
	})
	w.handlers = append(w.handlers, c)
	if c.commits() {
		w.work.asked = append(w.work.asked, c)
	}
	w.resume(c)
}

// learn gives the transaction that a begin opened the name that its step has for
// it.
func (w *World) learn(c *Call) {
	var m pb.BeginTransactionResponse
	if c.op.Kind == history.Begin && c.err == nil && proto.Unmarshal(c.resp, &m) == nil {
		w.names.pair(c.begins, m.GetTxnId())
	}
}

// deliverCopy hands a duplicate of a request to the daemon. No client waits
// for its answer.
func (w *World) deliverCopy(c *Call) {
	c.copies--
	if w.process == nil || w.process.service == nil || c.gen != 0 && c.gen != w.process.generation {
		return // it was sent on a connection that is gone
	}
	again := &Call{node: c.node, op: c.op, request: c.request, token: c.token, done: true, arrived: true}
	ctx, cancel := context.WithCancel(context.Background())
	again.cancel = cancel
	asked := w.arrived(again)
	again.handler = sched.Spawn(func(t *sched.Task) {
		resp, err := w.process.handle(ctx, t, again)
		if !t.Killed() {
			w.judgeAnswer(asked, resp, err, ctx.Err() != nil)
		}
		cancel()
	})
	w.handlers = append(w.handlers, again)
	if c.commits() {
		w.work.asked = append(w.work.asked, again)
	}
	w.resume(again)
	w.rec.probe("duplicated request")
}

// runHandlers resumes handlers, oldest first, until none can go on.
func (w *World) runHandlers() {
	for again := true; again; {
		again = false
		w.each(func() { again = w.runHandlersOnce() || again })
	}
}

func (w *World) runHandlersOnce() (some bool) {
	for i := 0; i < len(w.handlers); i++ { // one may make others
		c := w.handlers[i]
		alive := w.process == nil || w.process.image == nil // one may have died inside a read
		if alive && !w.paused && c.handler.Runnable() {
			some = true
			w.resume(c)
		}
	}
	w.handlers = slices.DeleteFunc(w.handlers, func(c *Call) bool { return c.handler.Ended() })
	return some
}

// reply brings what is under way to the client: the answer, or the next message
// of a stream, or the stream's end. It reports whether there was anything.
func (w *World) reply(c *Call) bool {
	switch {
	case c.done:
		return false
	case c.in != nil:
		return w.replyInSession(c)
	case len(c.msgs) > 0:
		w.receive(c, c.msgs[0])
		c.msgs = c.msgs[1:]
	case c.answered:
		w.finish(c, c.resp, c.err)
	default:
		return false
	}
	return true
}

// receive gives a client a message of a stream.
func (w *World) receive(c *Call, raw []byte) {
	c.received = append(c.received, raw)
	m := c.request.method.NewAnswer()
	if err := proto.Unmarshal(raw, m); err != nil {
		w.rec.violate("G9", "unreadable-answer", c.op.ID, "a message of a stream does not parse: "+err.Error())
		return
	}
	if !c.request.recorded() {
		return
	}
	speakText(m.ProtoReflect())
	c.op.Batches = append(c.op.Batches, w.batch(m))
	w.judgeBounds(func(j *bounds.Judge) { j.Message(c.op, raw) })
	w.rec.say("%s", step.BatchTold(c.op, &c.op.Batches[len(c.op.Batches)-1]))
}

// finish ends a call for its client and in the history.
func (w *World) finish(c *Call, resp []byte, err error) {
	if c.done {
		return
	}
	c.done, c.given, c.told = true, resp, err
	if c.in != nil && c.in.stream.ends != nil {
		c.in.stream.ends.s.moved = w.Applied()
	}
	c.op.Return = w.rec.stamp()
	c.op.Outcome, c.op.Error = record.Outcome(err)
	if c.cancel != nil && !c.answered {
		c.cancel() // the client has hung up; gRPC tells the handler
	}
	if w.rec.trace.print != nil {
		defer func() { w.rec.say("%s", step.CallTold(c.op)) }()
	}
	if err != nil || c.Stream() || !c.request.recorded() {
		return
	}
	m := c.request.method.NewAnswer()
	if err := proto.Unmarshal(resp, m); err != nil {
		w.rec.violate("G9", "unreadable-answer", c.op.ID, "the answer does not parse: "+err.Error())
		return
	}
	speakText(m.ProtoReflect())
	w.judgeBounds(func(j *bounds.Judge) { j.Answer(c.op, resp) })
	if c.op.Kind == history.KeyHistory || c.op.Kind == history.Find { // protobuf writes the entries of its maps in any order, and runs are compared
		c.given, _ = marshal(m) // it has just been read
	}
	c.op.Out, c.nextPage = w.output(c.op.Kind, &c.op.In, m)
	if c.commits() {
		w.rec.stats.Acked++
	}
}

// output is what an answer says, in the world's names.
func (w *World) output(kind history.Kind, in *history.Input, m proto.Message) (history.Output, string) {
	out, next := record.Output(kind, in, m)
	out.TxnID = w.names.fromWire(out.TxnID)
	for i := range out.Records {
		out.Records[i].TxnID = w.names.fromWire(out.Records[i].TxnID)
	}
	return out, next
}

func (w *World) batch(m proto.Message) history.Batch {
	b := record.Batch(w.rec.stamp(), m)
	for i := range b.Events {
		b.Events[i].TxnID = w.names.fromWire(b.Events[i].TxnID)
	}
	return b
}
