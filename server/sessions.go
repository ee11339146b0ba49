package server

import (
	"context"
	"errors"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	pb "statehouse.dev/statehouse/proto/statehouse/v1"
	"statehouse.dev/statehouse/server/access"
	"statehouse.dev/statehouse/server/conns"
	"statehouse.dev/statehouse/server/lookout"
	"statehouse.dev/statehouse/server/meter"
	"statehouse.dev/statehouse/server/session"
	"statehouse.dev/statehouse/server/unsent"
	"statehouse.dev/statehouse/server/wire"
)

// frameSlack is how much longer than a request or an answer the frame may be in which it
// stands alone.
const frameSlack = 64 << 10

// assembleSessions makes ready what sessions need, after the captures.
func (s *Service) assembleSessions() {
	s.workers = session.NewWorkers(streamWorkers)
	s.inSession = s.captures.Unary(s.unaryInSession)
	env := &s.config.Session
	env.Await, env.Now = s.env.Await, s.env.Now
	if env.Go == nil {
		env.Go = s.workers.Go
	}
	if env.After == nil {
		env.After = session.After
	}
}

// Session serves the requests of a stream as calls of their own.
func (s *Service) Session(stream pb.StatehouseService_SessionServer) error {
	ctx := access.WithShare(stream.Context())
	conn := conns.FromContext(ctx)
	c := session.New(sessionOn{stream, ctx, conn, unsent.StreamOf(ctx)}, s.config.Session, s.sessionLimits(), &s.sessions, s.methodsFor(ctx))
	defer context.AfterFunc(s.draining, func() { c.Drain(errStopping) })()
	defer s.access.Hold(access.CallerOf(stream.Context()), c.Drain)()
	conn.OnRefusal(func(err error) { c.End(refusedHere(pb.StatehouseService_Session_FullMethodName, err)) })
	from := "unknown"
	if p, known := peer.FromContext(stream.Context()); known {
		from = p.Addr.String()
	}
	defer s.open.Add(&lookout.Stream{Kind: pb.StreamKind_STREAM_KIND_SESSION, Principal: access.Principal(ctx), Peer: from, Began: s.env.Now()})()
	s.config.Debug("a session begins", "peer", from, "sessions", s.sessions.Sessions.Load()+1)
	err := c.Serve()
	var bad session.Invalid
	if errors.As(err, &bad) {
		return wire.Invalid("requests", bad.Error())
	}
	return err
}

// sessionOn is the stream of a session, on its connection.
type sessionOn struct {
	grpc.ServerStream
	ctx    context.Context
	conn   *conns.Stream
	unsent *unsent.Stream
}

func (s sessionOn) Context() context.Context        { return s.ctx }
func (s sessionOn) Hold(n int)                      { s.conn.Hold(n) }
func (s sessionOn) Roomy() bool                     { return s.unsent.Roomy() }
func (s sessionOn) Ready(ctx context.Context) error { return s.unsent.Ready(ctx) }

// RecvMsg lets the client send on as it is read.
func (s sessionOn) RecvMsg(m any) error {
	err := s.ServerStream.RecvMsg(m)
	if f, ok := m.(*session.Frame); ok && err == nil {
		s.conn.Took(f.Len())
	}
	return err
}

func (s *Service) sessionLimits() session.Limits {
	return session.Limits{
		Requests: s.config.Tuning.SessionRequests, Bytes: s.config.Tuning.SessionBytes, Frame: s.config.Tuning.SessionFrame, Turns: s.turns, Crowded: s.engine.Crowded,
		RequestsReached: counting(&s.reached.SessionRequests), BytesReached: counting(&s.reached.SessionBytes), FrameReached: counting(&s.reached.SessionFrame),
	}
}

// methodsFor are the unary methods of the service's descriptor as a session calls them: its
// requests pass what unary calls pass.
func (s *Service) methodsFor(stream context.Context) session.Methods {
	desc := &pb.StatehouseService_ServiceDesc
	of, count := unsent.StreamOf(stream), s.unsent.Session(stream)
	chain := func(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
		return count(ctx, req, info, func(ctx context.Context, req any) (any, error) { return s.inSession(ctx, req, info, handler) })
	}
	methods := make(map[string]*session.Method, len(desc.Methods))
	for _, m := range desc.Methods {
		full := "/" + desc.ServiceName + "/" + m.MethodName
		counted := s.meter.Method(full)
		methods[m.MethodName] = &session.Method{
			Quick: quick[full] && (s.config.Cluster == nil || routes[full] == ofItself), Sample: meter.Commits(full),
			Answer: func(r *session.Request) session.Answer {
				measured := counted.Begin(meter.Session)
				resp, err := m.Handler(s, measured.Arrived(r), func(v any) error { return s.decode(r.Body, v) }, chain)
				measured.End(err)
				if err != nil {
					return of.Refusal(statusOf(err))
				}
				return resp.(session.Answer)
			},
		}
	}
	return func(name []byte) *session.Method {
		if m := methods[string(name)]; m != nil {
			return m
		}
		unknown := status.Errorf(codes.Unimplemented, "no unary method %q in service %s", name, desc.ServiceName)
		return &session.Method{Quick: true, Answer: func(*session.Request) session.Answer {
			measured := s.meter.Method("").Begin(meter.Session) // not by its name, which anyone can make up
			measured.End(unknown)
			return of.Refusal(statusOf(unknown))
		}}
	}
}

// decode is what gRPC does with the message of a unary call.
func (s *Service) decode(body []byte, v any) error {
	if err := tooLong(len(body)); err != nil {
		return err
	}
	return wire.Codec().Unmarshal(mem.BufferSlice{mem.SliceBuffer(body)}, v)
}

// statusOf is an error as a session answers it: a google.rpc.Status.
func statusOf(err error) []byte {
	data, failed := proto.Marshal(status.Convert(err).Proto())
	if failed != nil {
		data, _ = proto.Marshal(status.New(codes.Internal, failed.Error()).Proto())
	}
	return data
}

// unaryInSession is Unary for requests of a session, which may come when the daemon is
// stopping: no GOAWAY keeps them away.
func (s *Service) unaryInSession(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	if session.Late(ctx) {
		return nil, wire.Status(s.refused(req, errStopping))
	}
	return s.Unary(ctx, req, info, handler)
}
