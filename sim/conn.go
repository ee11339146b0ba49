package sim

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"statehouse.dev/statehouse/history"
	"statehouse.dev/statehouse/history/record"
	"statehouse.dev/statehouse/sim/step"
)

// conn is a client's connection to the simulated daemon.
type conn struct {
	w       *World
	program *Program
}

var _ grpc.ClientConnInterface = conn{}

// Invoke makes a unary call and waits for its end.
func (n conn) Invoke(ctx context.Context, method string, req, resp any, _ ...grpc.CallOption) error {
	c, err := n.send(method, req.(proto.Message))
	if err != nil {
		return err
	}
	n.program.returns(n.w, c)
	t := n.w.tasks.Current()
	if !t.Park(func() bool { return c.done || ctx.Err() != nil }) || !c.done {
		n.giveUp(c)
		n.program.turn()
		return errLate
	}
	if c.told != nil {
		n.program.refused(n.w, c)
		n.program.turnFrom(c)
		return c.told
	}
	return proto.Unmarshal(c.given, resp.(proto.Message))
}

// refused notes until when a client that was refused for load is not to send the same again.
func (p *Program) refused(w *World, c *Call) {
	if c.op.Error == nil || !c.commits() { // a read may be asked for anew
		return
	}
	if ms, err := strconv.Atoi(c.op.Error.Details["retry_after_ms"]); err == nil {
		p.notBefore[string(c.request.wire)] = w.clock.elapsed + time.Duration(ms)*time.Millisecond
	}
}

// returns holds a client to that (G9).
func (p *Program) returns(w *World, c *Call) {
	wire := string(c.request.wire)
	if early := p.notBefore[wire] - w.clock.elapsed; early > 0 {
		w.rec.violate("G9", "too-soon", c.op.ID, fmt.Sprintf("its client was refused for load, and sends the request again %v before it is to", early))
	}
	delete(p.notBefore, wire)
}

// giveUp ends a call whose client wants no answer any more.
func (n conn) giveUp(c *Call) {
	if !c.done && !n.w.programs.over {
		_ = n.w.Apply(step.Step{Verb: step.Timeout, Of: c.op.ID})
	}
}

func (n conn) send(method string, req proto.Message) (*Call, error) { return n.sendIn(method, req, "") }

// sendIn sends a request in a session, unless that is empty.
func (n conn) sendIn(method string, req proto.Message, session string) (*Call, error) {
	kind, ok := record.KindOf(method)
	if !ok {
		return nil, status.Error(codes.Unimplemented, method+" is not simulated")
	}
	in, token := record.Input(kind, req)
	if (kind == history.Transact || kind == history.StageWrite) && n.program.Structs != nil && (session != "" || n.program.Structs()) {
		in.Doubles = representable(&in) && (session == "" || n.program.form(in.TxnID))
	}
	return n.w.issueFromWire(n.program.name, n.program.asks(), session, kind, in, token)
}

// asks names the node that a client asks; empty: there is only one.
func (p *Program) asks() string {
	if p.w.peers == nil {
		return ""
	}
	return p.w.nodes[p.at%len(p.w.nodes)].name
}

// turn makes a client ask the next node from now on, and turnFrom does when one could not answer.
func (p *Program) turn() { p.at++ }

func (p *Program) turnFrom(c *Call) {
	if c.op.Error == nil {
		return
	}
	switch c.op.Error.Code {
	case "UNAVAILABLE", "NOT_LEADER", "OUTCOME_UNKNOWN", "unavailable":
		p.turn()
	}
}

// NewStream opens a server stream. It is sent when the request is.
func (n conn) NewStream(ctx context.Context, _ *grpc.StreamDesc, method string, _ ...grpc.CallOption) (grpc.ClientStream, error) {
	return &clientStream{conn: n, ctx: ctx, method: method}, nil
}

type clientStream struct {
	conn
	ctx    context.Context
	method string
	call   *Call
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
	if !s.w.tasks.Current().Park(ready) || s.ctx.Err() != nil {
		s.giveUp(c)
		return errLate
	}
	if len(c.received) > 0 {
		raw := c.received[0]
		c.received = c.received[1:]
		return proto.Unmarshal(raw, m.(proto.Message))
	}
	if c.told != nil {
		s.program.turnFrom(c)
		return c.told
	}
	return io.EOF
}
