package server

import (
	"context"
	"fmt"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	pb "statehouse.dev/statehouse/proto/statehouse/v1"
	"statehouse.dev/statehouse/server/conns"
	"statehouse.dev/statehouse/server/session"
)

// frameSlack is how much longer than a request or an answer the frame may be in which it
// stands alone.
const frameSlack = 64 << 10

// sessionMethod is a unary method as sessions call it.
type sessionMethod struct {
	name  string // in full
	serve func(srv any, ctx context.Context, dec func(any) error, chain grpc.UnaryServerInterceptor) (any, error)
	quick bool
}

// sessionMethods are those that the descriptor of the service has.
func sessionMethods() map[string]sessionMethod {
	desc := &pb.StatehouseService_ServiceDesc
	methods := make(map[string]sessionMethod, len(desc.Methods))
	for _, m := range desc.Methods {
		name := "/" + desc.ServiceName + "/" + m.MethodName
		methods[m.MethodName] = sessionMethod{name: name, serve: m.Handler, quick: quick[name]}
	}
	return methods
}

// assembleSessions makes ready what sessions need, after the captures.
func (s *Service) assembleSessions() {
	s.codec, s.methods = newCodec(), sessionMethods()
	s.workers = session.NewWorkers(streamWorkers)
	s.sessionChain = s.counted(s.captures.Unary(s.unaryInSession))
	env := &s.config.Session
	env.Await = s.env.Await
	if env.Go == nil {
		env.Go = s.workers.Go
	}
	if env.After == nil {
		env.After = session.After
	}
}

// Session serves the requests of a stream as calls of their own.
func (s *Service) Session(stream pb.StatehouseService_SessionServer) error {
	c := session.New(stream, s.config.Session, s.sessionLimits(), &s.sessions, s.answer, func(method string) bool { return s.methods[method].quick })
	defer context.AfterFunc(s.draining, func() { c.Drain(errStopping) })()
	conns.FromContext(stream.Context()).OnRefusal(func(err error) { c.End(refusedHere(pb.StatehouseService_Session_FullMethodName, err)) })
	from := "unknown"
	if p, known := peer.FromContext(stream.Context()); known {
		from = p.Addr.String()
	}
	s.note("a session begins", "peer", from, "sessions", s.sessions.Sessions.Load()+1)
	return c.Serve()
}

func (s *Service) sessionLimits() session.Limits {
	return session.Limits{
		Requests: s.config.Tuning.SessionRequests, Bytes: s.config.Tuning.SessionBytes, Frame: s.config.Tuning.SessionFrame,
		RequestsReached: counting(&s.reached.SessionRequests), BytesReached: counting(&s.reached.SessionBytes),
	}
}

// answer answers a request of a session: it passes what a unary call passes.
func (s *Service) answer(r *session.Request) (mem.BufferSlice, []byte) {
	m, known := s.methods[r.Method]
	if !known {
		return refusal(status.Errorf(codes.Unimplemented, "no unary method %q in service %s", r.Method, pb.StatehouseService_ServiceDesc.ServiceName))
	}
	resp, err := m.serve(s, r, func(v any) error { return s.decode(r.Body, v) }, s.sessionChain)
	if err != nil {
		return refusal(err)
	}
	data, err := s.codec.Marshal(resp)
	if err != nil {
		return refusal(err)
	}
	return data, nil
}

// decode is what gRPC does with the message of a unary call.
func (s *Service) decode(body []byte, v any) error {
	if len(body) > maxRequestBytes {
		return status.Errorf(codes.ResourceExhausted, "grpc: received message larger than max (%d vs. %d)", len(body), maxRequestBytes)
	}
	return s.codec.Unmarshal(mem.BufferSlice{mem.SliceBuffer(body)}, v)
}

// refusal is an error as the answer of a session has it.
func refusal(err error) (mem.BufferSlice, []byte) {
	data, marshalled := proto.Marshal(status.Convert(err).Proto())
	if marshalled != nil {
		data, _ = proto.Marshal(status.New(codes.Internal, fmt.Sprint(marshalled)).Proto())
	}
	return nil, data
}

// unaryInSession is Unary for requests of a session, which may come when the daemon is
// stopping: no GOAWAY keeps them away.
func (s *Service) unaryInSession(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	if session.Late(ctx) {
		return nil, toStatus(s.refused(req, errStopping))
	}
	return s.Unary(ctx, req, info, handler)
}
