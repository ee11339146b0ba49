package sim

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"statehouse.dev/statehouse/history"
	pb "statehouse.dev/statehouse/proto/statehouse/v1"
	"statehouse.dev/statehouse/server/session"
	"statehouse.dev/statehouse/sim/sched"
	"statehouse.dev/statehouse/sim/step"
)

// stream is one stream of the Session method. Each request in it is a Call, whose number is
// its id there. What is under way in it arrives in order, and is lost only with all the rest.
type stream struct {
	w    *World
	name string
	ends *clientEnd // nil: its calls come from steps alone

	toDaemon []*pb.SessionRequest // not delivered yet
	frames   [][]byte             // delivered, and not read yet
	toClient []*pb.SessionAnswers // sent by the daemon
	under    []*Call              // delivered, and not answered

	serve  *Call // the daemon's side; nil: nothing was delivered yet
	reader *sched.Task
	cancel context.CancelFunc
	over   bool

	sending bool // the daemon is at it
}

// inSession is what a call in a stream has besides.
type inSession struct {
	stream *stream
	asked  *asked
	at     int64  // in the history's time, when it was delivered
	late   func() // passes its deadline at the daemon
	gone   bool   // its client gave up, or its deadline has passed
	// The daemon has taken it, and it has begun to run.
	begun, started bool
}

// sessionMethod is that of streams.
var sessionMethod = &step.Method{Name: pb.StatehouseService_Session_FullMethodName, Word: "Session", Stream: true}

// streamNamed is the stream of that name; a new one if there is none.
func (n *network) streamNamed(w *World, name string) *stream {
	for _, s := range n.streams {
		if s.name == name {
			return s
		}
	}
	s := &stream{w: w, name: name, cancel: func() {}}
	n.streams = append(n.streams, s)
	return s
}

// join puts a call on its way in a stream.
func (w *World) join(c *Call, name string) {
	s := w.network.streamNamed(w, name)
	c.in = &inSession{stream: s}
	c.cancel = func() {}
	s.toDaemon = append(s.toDaemon, &pb.SessionRequest{Id: uint64(c.op.ID), Method: c.request.method.Word, Request: c.request.wire, TimeoutUs: uint64(deadlineOf(c.op.ID).Microseconds())})
}

// deadlineOf is how long the client of a call waits, as the daemon is told: longer than a
// run. By it the daemon's timer is known for this call's.
func deadlineOf(id int) time.Duration { return longestTxn*100 + time.Duration(id)*time.Microsecond }

// Travels reports whether something of a call is on its way to the daemon: in a session, that its
// client has given up.
func (c *Call) Travels() bool {
	return !c.arrived || c.in != nil && slices.ContainsFunc(c.in.stream.toDaemon, func(r *pb.SessionRequest) bool { return r.GetId() == uint64(c.op.ID) })
}

// InSession reports whether the call goes in a session.
func (c *Call) InSession() bool { return c.in != nil }

// deliverFrame hands the daemon what is under way in a stream, up to what there is of a
// call, in one message.
func (w *World) deliverFrame(c *Call) {
	s := c.in.stream
	if s.serve == nil && (w.process == nil || w.process.drain != nil) {
		s.broke(errRefused, "")
		return
	}
	if s.serve == nil {
		s.open()
	}
	n := 1 + slices.IndexFunc(s.toDaemon, func(r *pb.SessionRequest) bool { return r.GetId() == uint64(c.op.ID) })
	frame := &pb.SessionRequests{Requests: s.toDaemon[:n]}
	if s.toDaemon = s.toDaemon[n:]; s.ended() {
		for _, r := range frame.Requests {
			w.network.calls[int(r.GetId())].arrived = true // nobody reads it
		}
		return
	}
	if n > 1 {
		w.rec.probe("several requests in one message of a session")
	}
	for _, r := range frame.Requests {
		c := w.network.calls[int(r.GetId())]
		if r.GetCancel() {
			c.in.gone = true
			continue
		}
		c.arrived, c.gen = true, w.process.generation
		if w.InFlight() {
			w.rec.probe("request while a sync is in flight")
		}
		c.in.asked, c.in.at = w.arrived(c), w.rec.events
		s.under = append(s.under, c)
		if c.commits() {
			w.work.asked = append(w.work.asked, c)
		}
	}
	raw, err := marshal(frame)
	if err != nil {
		panic("sim: a message of a session: " + err.Error())
	}
	s.frames = append(s.frames, raw)
}

// open begins the daemon's side.
func (s *stream) open() {
	w := s.w
	ctx, cancel := context.WithCancel(context.Background())
	s.serve = &Call{node: w.node, op: &history.Operation{Client: s.name}, request: request{method: sessionMethod}, arrived: true, done: true, gen: w.process.generation, in: &inSession{stream: s}}
	s.serve.cancel, s.cancel = cancel, cancel
	w.reasons.judge.Asked(w.now())
	c := s.serve
	c.handler = sched.Spawn(func(t *sched.Task) {
		_, err := w.process.handle(ctx, t, c)
		if !t.Killed() {
			s.served(err)
		}
		cancel()
	})
	w.handlers = append(w.handlers, c)
}

// served is said when the daemon has ended the stream. It may end one when it stops, or has no
// room for it; and when it does, all that it has read has been answered.
func (s *stream) served(err error) {
	w := s.w
	if s.over {
		return
	}
	draining := w.process != nil && w.process.drain != nil
	if !draining && status.Code(err) != codes.ResourceExhausted {
		w.rec.violate("G9", "session-ends", 0, fmt.Sprintf("session %s, whose client still listens, ends with %v", s.name, err))
	}
	for _, c := range s.under {
		if draining && c.in.begun && c.in.at < w.process.drain.began && !c.in.gone && !w.process.drain.cut {
			w.rec.violate("G9", "drain-unanswered", c.op.ID, fmt.Sprintf("call #%d in session %s was under way, and the session ends without its answer", c.op.ID, s.name))
		}
	}
	s.serve.answered, s.serve.err = true, err
	s.endIfTold()
}

// pass brings the client the next messages that no one waits for.
func (s *stream) pass() {
	for len(s.toClient) > 0 && !slices.ContainsFunc(s.toClient[0].GetAnswers(), func(a *pb.SessionAnswer) bool { return !s.w.network.calls[int(a.GetId())].done }) {
		if s.ends != nil {
			s.ends.take(s.toClient[0])
		}
		s.toClient = s.toClient[1:]
	}
}

// ended reports whether the daemon has ended the stream.
func (s *stream) ended() bool { return s.serve != nil && s.serve.answered }

// endIfTold ends the stream for its client when it has had all that the daemon sent before it
// ended it.
func (s *stream) endIfTold() {
	if s.pass(); s.ended() && !s.over && len(s.toClient) == 0 {
		s.broke(s.serve.err, "")
	}
}

// broke ends a stream with a status: what has not been delivered is lost, and those who wait
// learn that, but of no request what became of it.
func (s *stream) broke(err error, what string) {
	w := s.w
	s.over = true
	w.network.streams = slices.DeleteFunc(w.network.streams, func(o *stream) bool { return o == s })
	if what != "" {
		w.rec.note("network", what, s.name)
		w.rec.stats.Faults[what]++
	}
	for _, c := range w.network.order {
		if c.in == nil || c.in.stream != s {
			continue
		}
		c.arrived = true
		if c.answered && c.err == nil && c.commits() && !c.done {
			w.rec.probe("answer of a commit lost")
		}
		if asked := c.in.asked; asked != nil && !c.answered {
			w.reasons.judge.Unseen(&asked.Request)
		}
		if err == errRefused {
			w.finish(c, nil, err)
		}
		w.finish(c, nil, errReset)
	}
	s.toDaemon, s.toClient, s.frames = nil, nil, nil
	s.cancel()
	if s.ends != nil {
		s.ends.err = cmp.Or(err, io.EOF)
	}
	if w.process != nil && w.process.image == nil {
		w.quiesce() // contexts tell others of their end on goroutines
	}
}

// giveUp has the daemon told that no client waits for a call any more. If it is a step's doing
// and not its client's, that is told, too.
func (c *Call) giveUp() {
	s := c.in.stream
	if s.ends != nil {
		s.ends.take(&pb.SessionAnswers{Answers: []*pb.SessionAnswer{{Id: uint64(c.op.ID)}}})
	}
	if !s.over {
		s.toDaemon = append(s.toDaemon, &pb.SessionRequest{Id: uint64(c.op.ID), Cancel: true})
		s.endIfTold()
	}
}

// replyInSession brings a client what the daemon has sent in the stream, up to the answer of a call.
func (w *World) replyInSession(c *Call) bool {
	s := c.in.stream
	if !c.answered || s.over {
		return false
	}
	for told := false; !told && len(s.toClient) > 0; {
		message := s.toClient[0]
		s.toClient = s.toClient[1:]
		for _, a := range message.GetAnswers() {
			of := w.network.calls[int(a.GetId())]
			w.finish(of, of.resp, of.err)
			told = told || of == c
		}
		if s.ends != nil {
			s.ends.take(message)
		}
	}
	s.endIfTold()
	return true
}

// answers takes a message that the daemon sends.
func (s *stream) answers(raw []byte) {
	w := s.w
	var message pb.SessionAnswers
	if err := proto.Unmarshal(raw, &message); err != nil {
		w.rec.violate("G9", "unreadable-answer", 0, fmt.Sprintf("a message of session %s does not parse: %v", s.name, err))
		return
	}
	if len(message.GetAnswers()) > 1 {
		w.rec.probe("several answers in one message of a session")
	}
	kept := message.Answers[:0]
	for _, a := range message.Answers {
		at := slices.IndexFunc(s.under, func(c *Call) bool { return c.op.ID == int(a.GetId()) })
		if at < 0 {
			w.rec.violate("G9", "answer-to-nothing", int(a.GetId()), fmt.Sprintf("session %s has an answer to %d, which is not under way there", s.name, a.GetId()))
			continue
		}
		if at > 0 {
			w.rec.probe("answers of a session out of order")
		}
		c := s.under[at]
		s.under = slices.Delete(s.under, at, at+1)
		kept = append(kept, a)
		c.answered = true
		if a.Status != nil {
			c.err = statusOf(a.Status)
		} else {
			c.resp = a.Answer
		}
		w.learn(c)
		if a := c.in.asked; !c.in.started { // by whoever reads the stream, it is not known when
			then := a.UnderWay
			w.countUnderWay(a, c)
			a.UnderWay = max(a.UnderWay, then)
			a.Unsure = a.UnderWay
		}
		w.judgeAnswer(c.in.asked, c.resp, c.err, c.in.gone)
	}
	message.Answers = kept
	s.toClient = append(s.toClient, &message)
	s.pass()
}

// daemonEnd is what the daemon has of a stream.
type daemonEnd struct {
	s   *stream
	p   *process
	ctx context.Context
}

func (e *daemonEnd) SetHeader(metadata.MD) error  { return nil }
func (e *daemonEnd) SendHeader(metadata.MD) error { return nil }
func (e *daemonEnd) SetTrailer(metadata.MD)       {}
func (e *daemonEnd) Context() context.Context     { return e.ctx }

// RecvMsg waits for a message of the client's.
func (e *daemonEnd) RecvMsg(m any) error {
	e.s.reader = e.s.w.tasks.Current()
	if !e.s.reader.Park(func() bool { return len(e.s.frames) > 0 || e.ctx.Err() != nil }) || e.ctx.Err() != nil {
		return status.FromContextError(context.Canceled).Err()
	}
	raw := e.s.frames[0]
	e.s.frames = e.s.frames[1:]
	return e.p.decode(raw, m)
}

// SendMsg sends answers, when so few are under way that the stream takes them.
func (e *daemonEnd) SendMsg(m any) error {
	e.s.sending = true
	defer func() { e.s.sending = false }()
	raw, err := e.p.encode(m) // which frees it, sent or not
	if !e.s.w.tasks.Current().Park(func() bool { return len(e.s.toClient) < streamWindow || e.ctx.Err() != nil }) || e.ctx.Err() != nil {
		return status.FromContextError(context.Canceled).Err()
	}
	if err == nil {
		e.s.answers(raw)
	}
	return err
}

// sessionEnv is what the daemon's sessions stand on.
func (p *process) sessionEnv() session.Env {
	return session.Env{
		Go:    p.spawn,
		After: p.after,
	}
}

// spawn makes a handler of a job of a session: a request, or what reads.
func (p *process) spawn(j session.Job) {
	w := p.w
	c := w.callOf(j)
	c.handler = sched.Spawn(func(*sched.Task) {
		if c.in != nil {
			c.in.started = true
			w.countUnderWay(c.in.asked, c)
			w.reasons.judge.Began(&c.in.asked.Request, w.now())
		}
		j.Run()
	})
	w.handlers = append(w.handlers, c)
}

// callOf is the call that a job is for: of those with its bytes the first one, as they are
// taken in order.
func (w *World) callOf(j session.Job) *Call {
	for _, s := range w.network.streams {
		r, isRequest := j.(*session.Request)
		for _, c := range s.under {
			if isRequest && s.reader == w.tasks.Current() && !c.in.begun && string(c.request.wire) == string(r.Body) {
				c.in.begun = true
				return c
			}
		}
	}
	return &Call{node: w.node, op: &history.Operation{}, request: request{method: jobMethod}, arrived: true, done: true, cancel: func() {}}
}

// heldUp reports whether a call is part of a session whose client does not read.
func (c *Call) heldUp() bool {
	return c.in != nil && len(c.in.stream.toClient) >= streamWindow
}

// endStreams ends all of them.
func (w *World) endStreams() {
	for len(w.network.streams) > 0 {
		w.network.streams[0].broke(errReset, "")
	}
	w.runHandlers()
}

// jobMethod is that of what no client asked for.
var jobMethod = &step.Method{Word: "Session"}

// after notes a deadline of a request in a session.
func (p *process) after(d time.Duration, f func()) (stop func() bool) {
	c := p.w.network.calls[int((d-deadlineOf(0))/time.Microsecond)]
	if c == nil || c.in == nil {
		p.w.rec.violate("G9", "deadline", 0, fmt.Sprintf("a deadline of %s was set, which no request has", d))
		return func() bool { return false }
	}
	c.in.late = f
	return func() bool { c.in.late = nil; return true }
}

// expireInSession passes a request's deadline at the daemon.
func (c *Call) expireInSession() error {
	if c.in.late == nil {
		return misfit("the daemon does not look at its deadline")
	}
	c.in.gone = true
	c.in.late()
	return nil
}

// opened reports whether the stream was opened at a process.
func (s *stream) opened(p *process) bool { return s.serve != nil && s.serve.gen == p.generation }
