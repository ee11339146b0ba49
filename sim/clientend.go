package sim

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"

	spb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"statehouse.dev/statehouse/client/session"
	pb "statehouse.dev/statehouse/proto/statehouse/v1"
	"statehouse.dev/statehouse/sim/simdisk"
	"statehouse.dev/statehouse/sim/step"
)

// Session is a connection that several programs share, as goroutines of one process do: their
// unary calls go in sessions, by the real client's code.
type Session struct {
	w       *World
	name    string
	mux     *session.Conn
	rand    *rand.Rand
	pending []*outgoing // calls of programs that are not in the stream yet, oldest first
	moved   int         // how many steps had been done when something of it last went on
}

// stalled is for how many steps a request may wait although nothing is under way.
const stalled = 150

// outgoing is a call that a program makes.
type outgoing struct {
	by      *Program
	method  string
	message proto.Message
	call    *Call // that it is in the stream; nil: it is not there yet
}

// NewSession makes a connection for programs to share. most bounds the requests under way in it.
func (w *World) NewSession(name string, most int) *Session {
	s := &Session{w: w, name: name, rand: simdisk.Stream(w.seed, "session", name)}
	s.mux = session.New(under{s}, session.Options{Requests: most, Go: s.spawn, Await: s.await, Now: w.Now})
	return s
}

// Conn is a program's connection in it. Streams are beside it.
func (s *Session) Conn(p *Program) grpc.ClientConnInterface { return sharing{conn{s.w, p}, s} }

// spawn is session.Options.Go.
func (s *Session) spawn(f func()) {
	if !s.w.programs.over {
		s.w.Launch(s.name, func(*Program) { f() }).beside = true
	}
}

// await is session.Options.Await.
func (s *Session) await(ctx context.Context, ready <-chan struct{}) error {
	got := false
	s.w.tasks.Current().Park(func() bool {
		got = got || closed(ready)
		return got || ctx.Err() != nil
	})
	if got {
		return nil
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	return context.Canceled
}

func closed(ch <-chan struct{}) bool {
	select {
	case <-ch:
		return true
	default:
		return false
	}
}

// sharing is the connection of one of those who share it.
type sharing struct {
	conn
	s *Session
}

// TellsSent implements client.TellsSent.
func (sharing) TellsSent() {}

func (n sharing) Invoke(ctx context.Context, method string, req, resp any, opts ...grpc.CallOption) error {
	o := &outgoing{by: n.program, method: method, message: req.(proto.Message)}
	n.s.pending = append(n.s.pending, o)
	began := n.w.Applied()
	defer n.s.gone(o)
	err := n.s.mux.Invoke(ctx, method, req, resp, opts...)
	switch {
	case err == nil || ctx.Err() == nil:
	case o.call == nil && !n.w.programs.over && !n.s.busy() && n.w.Applied() > max(n.s.moved, began)+stalled:
		n.w.rec.violate("G9", "client-stalls", 0, fmt.Sprintf("a request of %s waits in session %s, in which nothing is under way, until it is given up", n.program.name, n.s.name))
	case o.call != nil:
		n.w.network.unheard[o.call.op.ID] = true // if it is answered all the same
	}
	return err
}

// busy reports whether something is under way in the session.
func (s *Session) busy() bool {
	return slices.ContainsFunc(s.w.UnderWay(), func(c *Call) bool { return c.in != nil && c.in.stream.name == s.name && !c.done })
}

func (s *Session) gone(o *outgoing) {
	s.pending = slices.DeleteFunc(s.pending, func(p *outgoing) bool { return p == o })
}

// sender is who asks what a request in a session asks. Of two who ask the same the first
// one's is sent first.
func (s *Session) sender(method string, message proto.Message) *outgoing {
	for _, o := range s.pending {
		if o.method == method && proto.Equal(o.message, message) {
			s.gone(o)
			return o
		}
	}
	return nil
}

// under is the connection that sessions are on.
type under struct{ s *Session }

// Invoke makes a call of its own of the program that runs.
func (u under) Invoke(ctx context.Context, method string, req, resp any, opts ...grpc.CallOption) error {
	w := u.s.w
	at := slices.IndexFunc(w.programs.list, func(p *Program) bool { return p.task == w.tasks.Current() })
	for _, o := range opts {
		if p, ok := o.(grpc.PeerCallOption); ok {
			p.PeerAddr.Addr = address{}
		}
	}
	return conn{w, w.programs.list[at]}.Invoke(ctx, method, req, resp, opts...)
}

// NewStream opens a stream of the Session method. Its first message is its beginning.
func (u under) NewStream(ctx context.Context, _ *grpc.StreamDesc, _ string, _ ...grpc.CallOption) (grpc.ClientStream, error) {
	e := &clientEnd{s: u.s, ctx: ctx, of: make(map[uint64]*Call)}
	e.stream = u.s.w.network.streamNamed(u.s.w, u.s.name)
	e.stream.ends = e
	return e, nil
}

// clientEnd is what the client has of a stream.
type clientEnd struct {
	s      *Session
	ctx    context.Context
	stream *stream
	of     map[uint64]*Call // by the ids that the client chose
	inbox  [][]byte
	err    error // with which the stream has ended
}

var _ grpc.ClientStream = (*clientEnd)(nil)

func (e *clientEnd) Header() (metadata.MD, error) { return nil, nil }
func (e *clientEnd) Trailer() metadata.MD         { return nil }
func (e *clientEnd) CloseSend() error             { return nil }
func (e *clientEnd) Context() context.Context     { return e.ctx }

// SendMsg sends requests, each a call of the world. Now and then it takes its time over it.
func (e *clientEnd) SendMsg(m any) error {
	var message pb.SessionRequests
	if err := proto.Unmarshal(*m.(*[]byte), &message); err != nil {
		e.s.w.rec.violate("G9", "unreadable-request", 0, "a message of a client's session does not parse: "+err.Error())
		return io.EOF
	}
	broken := e.err != nil || e.s.w.programs.over
	for _, r := range message.GetRequests() {
		switch {
		case r.GetCancel():
			if c := e.of[r.GetId()]; c != nil && !c.done && !broken {
				_ = e.s.w.Apply(step.Step{Verb: step.Timeout, Of: c.op.ID})
			}
		case !broken:
			e.ask(r)
		}
	}
	if broken {
		return io.EOF
	}
	if e.s.rand.IntN(3) == 0 {
		looked := false
		e.s.w.tasks.Current().Park(func() (before bool) { before, looked = looked, true; return before })
		e.s.moved = e.s.w.Applied()
	}
	return nil
}

// ask makes a request in the stream a call.
func (e *clientEnd) ask(r *pb.SessionRequest) {
	method := step.MethodNamed(r.GetMethod())
	message := method.NewRequest()
	if err := proto.Unmarshal(r.GetRequest(), message); err != nil {
		panic("sim: a client's request: " + err.Error())
	}
	o := e.s.sender(method.Name, message)
	if o == nil {
		e.s.w.rec.violate("G9", "unasked", 0, "a client's session sends a request that no one made: "+r.GetMethod())
		return
	}
	c, err := conn{e.s.w, o.by}.sendIn(method.Name, message, e.s.name)
	if err != nil {
		e.answer(r.GetId(), nil, err)
		return
	}
	e.of[r.GetId()], o.call = c, c
}

// take gives the client a message of answers.
func (e *clientEnd) take(message *pb.SessionAnswers) {
	for _, a := range message.GetAnswers() {
		for id, c := range e.of { // one has it: order cannot matter
			if c.op.ID == int(a.GetId()) {
				e.answer(id, c.given, c.told) // once more, if it was given up
			}
		}
	}
}

// answer gives the client an answer.
func (e *clientEnd) answer(id uint64, resp []byte, err error) {
	a := &pb.SessionAnswer{Id: id, Answer: resp}
	if err != nil {
		a.Answer, a.Status = nil, statusBytes(err)
	}
	if n := len(e.inbox); n > 0 && e.s.rand.IntN(2) == 0 {
		// in the message that waits: one after the other is what a message is
		more, _ := marshal(&pb.SessionAnswers{Answers: []*pb.SessionAnswer{a}})
		e.inbox[n-1] = append(e.inbox[n-1], more...)
		return
	}
	raw, _ := marshal(&pb.SessionAnswers{Answers: []*pb.SessionAnswer{a}}) // it holds bytes: cannot fail
	e.inbox = append(e.inbox, raw)
}

// RecvMsg waits for answers.
func (e *clientEnd) RecvMsg(m any) error {
	ready := func() bool { return len(e.inbox) > 0 || e.err != nil || e.ctx.Err() != nil }
	switch parked := e.s.w.tasks.Current().Park(ready); {
	case !parked || e.ctx.Err() != nil:
		return errLate
	case len(e.inbox) > 0:
		*m.(*[]byte) = e.inbox[0]
		e.inbox = e.inbox[1:]
		return nil
	}
	return e.err
}

// statusBytes and statusOf are an error as a session has it, and back.
func statusBytes(err error) []byte {
	raw, _ := proto.Marshal(status.Convert(err).Proto()) // what came over the wire goes back to it
	return raw
}

func statusOf(raw []byte) error {
	var s spb.Status
	if err := proto.Unmarshal(raw, &s); err != nil || s.GetCode() == int32(codes.OK) {
		return status.Error(codes.Internal, "a session's answer is an error that cannot be read")
	}
	return status.FromProto(&s).Err()
}
