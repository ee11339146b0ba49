package server

import (
	"context"
	"crypto/subtle"
	"fmt"
	"runtime/debug"
	"strings"
	"sync/atomic"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"statehouse.dev/statehouse/engine"
	pb "statehouse.dev/statehouse/proto/statehouse/v1"
)

// gate lets a number of requests in and refuses the rest: a clear no, not a
// queue (G9).
type gate struct{ free atomic.Int64 }

func (g *gate) enter() bool {
	if g.free.Add(-1) < 0 {
		g.free.Add(1)
		return false
	}
	return true
}

func (g *gate) leave() { g.free.Add(1) }

// Unary is the interceptor that every unary request passes: in production
// through grpc.Server, in the simulator through its transport.
func (s *Service) Unary(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (resp any, err error) {
	if err := s.admit(ctx, &s.requests, s.config.Requests, "requests under way"); err != nil {
		return nil, toStatus(s.refused(req, err))
	}
	defer s.requests.leave()
	defer s.recovered(info.FullMethod, &err)
	if err := checkParsed(req); err != nil {
		return nil, toStatus(err)
	}
	if err := s.admitAnswer(ctx, info.FullMethod); err != nil {
		return nil, toStatus(err)
	}
	resp, err = handler(ctx, req)
	if err == nil {
		err = s.countAnswer(ctx, info.FullMethod, resp)
	}
	if err != nil {
		return nil, toStatus(err)
	}
	return resp, nil
}

// Stream is the interceptor that every stream passes.
func (s *Service) Stream(srv any, ss grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) (err error) {
	if err := s.admit(ss.Context(), &s.streams, s.config.Streams, "streams under way"); err != nil {
		return toStatus(err)
	}
	defer s.streams.leave()
	defer s.recovered(info.FullMethod, &err)
	if !strings.HasPrefix(info.FullMethod, ownMethods) {
		// A neighbour, the health service's Watch above all: it knows of no drain and
		// would go on for as long as its client wants.
		ctx, cancel := context.WithCancel(ss.Context())
		defer cancel()
		defer context.AfterFunc(s.draining, cancel)()
		return toStatus(handler(srv, parsedStream{ss, ctx}))
	}
	return toStatus(handler(srv, parsedStream{ss, ss.Context()}))
}

var ownMethods = "/" + pb.StatehouseService_ServiceDesc.ServiceName + "/"

func (s *Service) admit(ctx context.Context, g *gate, limit int, what string) error {
	if err := s.authorise(ctx); err != nil {
		return err
	}
	if !g.enter() {
		return fail(engine.ErrLimit, fmt.Sprintf("%s: the limit of %d is reached; nothing was applied: retry later", what, limit))
	}
	return nil
}

func (s *Service) authorise(ctx context.Context) error {
	token := *s.token.Load()
	if token == "" {
		return nil
	}
	md, _ := metadata.FromIncomingContext(ctx)
	for _, v := range md.Get("authorization") {
		given, isBearer := strings.CutPrefix(v, "Bearer ")
		if isBearer && subtle.ConstantTimeCompare([]byte(given), []byte(token)) == 1 {
			return nil
		}
	}
	return fail(errUnauthenticated, `this daemon wants a token: send "authorization: Bearer …"`)
}

// recovered turns a handler's panic into INTERNAL. A broken invariant of the
// engine's step is not caught here: it ends the process.
func (s *Service) recovered(method string, err *error) {
	if p := recover(); p != nil {
		s.env.Log("a request panicked", "method", method, "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
		*err = toStatus(fmt.Errorf("internal error in %s; the daemon's log says more", method))
	}
}

// parsedStream refuses a request that the codec marked.
type parsedStream struct {
	grpc.ServerStream
	ctx context.Context
}

func (p parsedStream) Context() context.Context { return p.ctx }

func (p parsedStream) RecvMsg(m any) error {
	if err := p.ServerStream.RecvMsg(m); err != nil {
		return err
	}
	return checkParsed(m)
}
