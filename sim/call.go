package sim

import (
	"context"
	"io"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"statehouse.dev/statehouse/history"
	"statehouse.dev/statehouse/history/record"
	pb "statehouse.dev/statehouse/proto/statehouse/v1"
)

// call is one request on its way through the world: sent, delivered to a
// handler, answered, and known to its client. The network may lose either half,
// deliver the first twice, or let the client give up in between.
type call struct {
	op      *history.Operation
	req     []byte
	arrived bool // the request was delivered, or never will be
	copies  int  // duplicates of the request that are under way

	handler *task
	cancel  context.CancelFunc // of the handler's context
	gen     int                // of the daemon that it was delivered to

	answered   bool // the handler has ended
	unanswered bool // it never will, and that was reported
	resp       []byte
	err        error
	msgs       [][]byte // of a stream: sent, and under way to the client
	nextPage   string   // token in the answer, once the client has it

	// What the client knows. done: it waits no more.
	done     bool
	given    []byte // the answer
	told     error
	received [][]byte // of a stream: messages the client has not taken yet
}

func (c *call) stream() bool { return c.op.Kind.Info().Stream }

// streamWindow is how many messages of a stream are under way before its handler
// waits, as it does for gRPC's flow control.
const streamWindow = 4

// issue makes a client send a request. Names of transactions in it are the
// world's; what goes over the wire has the ids that they stand for.
func (w *World) issue(client string, id int, kind history.Kind, in history.Input) (*call, error) {
	wire, token, err := w.toWire(kind, in)
	if err != nil {
		return nil, err
	}
	raw, err := proto.Marshal(record.Request(kind, &wire, token))
	if err != nil {
		return nil, err
	}
	c := &call{req: raw, op: &history.Operation{ID: id, Client: client, Kind: kind, In: in, Call: w.stamp(), Outcome: history.Unknown}}
	if kind == history.Begin { // what a client calls it is not something it asked for
		c.op.In.TxnID = ""
		w.begun[id] = in.TxnID
	}
	w.calls[id], w.last[client] = c, c
	w.order = append(w.order, c)
	w.open = append(w.open, c)
	w.history.Operations = append(w.history.Operations, c.op)
	w.stats.Operations++
	return c, nil
}

var (
	errRefused = status.Error(codes.Unavailable, "connection refused")
	errReset   = status.Error(codes.Unavailable, "connection reset")
	errLate    = status.Error(codes.DeadlineExceeded, "deadline exceeded")
)

// deliver hands a request to the daemon. A handler starts, and runs until it
// waits or has answered.
func (w *World) deliver(c *call) {
	c.arrived = true
	if w.daemon == nil {
		w.finish(c, nil, errRefused)
		return
	}
	c.gen = w.daemon.generation
	if w.inflight {
		w.probe("request while a sync is in flight")
	}
	ctx, cancel := context.WithCancel(context.Background())
	c.cancel = cancel
	c.handler = w.spawn(func(t *task) {
		c.resp, c.err = w.daemon.handle(ctx, t, c)
		if !t.killed {
			c.answered = true
			w.learn(c)
		}
		cancel()
	})
	w.handlers = append(w.handlers, c)
	w.resume(c.handler)
}

// learn gives the transaction that a begin opened the name that its step has for
// it.
func (w *World) learn(c *call) {
	var m pb.BeginTransactionResponse
	if c.op.Kind == history.Begin && c.err == nil && proto.Unmarshal(c.resp, &m) == nil {
		w.names.pair(w.begun[c.op.ID], m.GetTxnId())
	}
}

// deliverCopy hands a duplicate of a request to the daemon. Nobody waits for
// its answer.
func (w *World) deliverCopy(c *call) {
	c.copies--
	if w.daemon == nil || c.gen != 0 && c.gen != w.daemon.generation {
		return // it was sent on a connection that is gone
	}
	ghost := &call{op: c.op, req: c.req, done: true, arrived: true}
	ctx, cancel := context.WithCancel(context.Background())
	ghost.cancel = cancel
	ghost.handler = w.spawn(func(t *task) {
		_, _ = w.daemon.handle(ctx, t, ghost)
		cancel()
	})
	w.handlers = append(w.handlers, ghost)
	w.resume(ghost.handler)
	w.probe("duplicated request")
}

// runHandlers resumes handlers, oldest first, until none can go on.
func (w *World) runHandlers() {
	for again := true; again; {
		again = false
		kept := w.handlers[:0]
		for _, c := range w.handlers {
			alive := w.daemon == nil || w.daemon.image == nil // one may have died inside a read
			if alive && c.handler.runnable() {
				again = true
				w.resume(c.handler)
			}
			if !c.handler.ended {
				kept = append(kept, c)
			}
		}
		w.handlers = kept
	}
}

// reply brings what is under way to the client: the answer, or the next message
// of a stream, or the stream's end. It reports whether there was anything.
func (w *World) reply(c *call) bool {
	switch {
	case c.done:
		return false
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
func (w *World) receive(c *call, raw []byte) {
	c.received = append(c.received, raw)
	m := record.NewResponse(c.op.Kind)
	if err := proto.Unmarshal(raw, m); err != nil {
		w.violate("G9", "unreadable-answer", c.op.ID, "a message of a stream does not parse: "+err.Error())
		return
	}
	c.op.Batches = append(c.op.Batches, w.batch(m))
	w.say("%s", toldBatch(c.op, &c.op.Batches[len(c.op.Batches)-1]))
}

// finish tells a client how its call ended, and the history with it.
func (w *World) finish(c *call, resp []byte, err error) {
	if c.done {
		return
	}
	c.done, c.given, c.told = true, resp, err
	c.op.Return = w.stamp()
	c.op.Outcome, c.op.Error = record.Outcome(err)
	if c.cancel != nil && !c.answered {
		c.cancel() // the client has hung up; gRPC tells the handler
	}
	if w.trace != nil {
		defer func() { w.say("%s", toldCall(c.op)) }()
	}
	if err != nil || c.stream() {
		return
	}
	m := record.NewResponse(c.op.Kind)
	if err := proto.Unmarshal(resp, m); err != nil {
		w.violate("G9", "unreadable-answer", c.op.ID, "the answer does not parse: "+err.Error())
		return
	}
	c.op.Out, c.nextPage = w.output(c.op.Kind, &c.op.In, m)
	if c.op.Kind == history.Commit || c.op.Kind == history.Transact {
		w.stats.Acked++
	}
}

// conn is a client's connection to the simulated daemon.
type conn struct {
	w      *World
	client string
}

var _ grpc.ClientConnInterface = conn{}

// Invoke makes a unary call and waits for its end.
func (n conn) Invoke(ctx context.Context, method string, req, resp any, _ ...grpc.CallOption) error {
	c, err := n.send(method, req.(proto.Message))
	if err != nil {
		return err
	}
	t := n.w.current
	if !t.park(func() bool { return c.done || ctx.Err() != nil }) || !c.done {
		n.giveUp(c)
		return errLate
	}
	if c.told != nil {
		return c.told
	}
	return proto.Unmarshal(c.given, resp.(proto.Message))
}

// giveUp ends a call whose client wants no answer any more.
func (n conn) giveUp(c *call) {
	if !c.done && !n.w.over {
		_ = n.w.Apply(Step{Verb: Timeout, Of: c.op.ID})
	}
}

func (n conn) send(method string, req proto.Message) (*call, error) {
	kind, ok := record.KindOf(method)
	if !ok {
		return nil, status.Error(codes.Unimplemented, method+" is not simulated")
	}
	in, token := record.Input(kind, req)
	return n.w.issueFromWire(n.client, kind, in, token)
}

// NewStream opens a server stream. It is sent when the request is.
func (n conn) NewStream(ctx context.Context, _ *grpc.StreamDesc, method string, _ ...grpc.CallOption) (grpc.ClientStream, error) {
	return &clientStream{conn: n, ctx: ctx, method: method}, nil
}

type clientStream struct {
	conn
	ctx    context.Context
	method string
	call   *call
}

func (s *clientStream) Header() (metadata.MD, error) { return nil, nil }
func (s *clientStream) Trailer() metadata.MD         { return nil }
func (s *clientStream) CloseSend() error             { return nil }
func (s *clientStream) Context() context.Context     { return s.ctx }

func (s *clientStream) SendMsg(m any) (err error) {
	s.call, err = s.send(s.method, m.(proto.Message))
	return err
}

func (s *clientStream) RecvMsg(m any) error {
	c := s.call
	ready := func() bool { return len(c.received) > 0 || c.done || s.ctx.Err() != nil }
	if !s.w.current.park(ready) || s.ctx.Err() != nil {
		s.giveUp(c)
		return errLate
	}
	if len(c.received) > 0 {
		raw := c.received[0]
		c.received = c.received[1:]
		return proto.Unmarshal(raw, m.(proto.Message))
	}
	if c.told != nil {
		return c.told
	}
	return io.EOF
}
