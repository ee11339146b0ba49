package server

import (
	"context"
	"crypto/subtle"
	"fmt"
	"runtime/debug"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"

	pb "statehouse.dev/statehouse/proto/statehouse/v1"
)

// Unary is the interceptor that every unary request passes: in production
// through grpc.Server, in the simulator through its transport.
func (s *Service) Unary(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (resp any, err error) {
	g := s.gateOf(info.FullMethod, false)
	if err := s.admit(ctx, info.FullMethod, g); err != nil {
		return nil, toStatus(s.refused(req, err))
	}
	defer g.leave()
	defer s.recovered(info.FullMethod, &err)
	if err := checkParsed(req); err != nil {
		return nil, toStatus(err)
	}
	if err := s.admitAnswer(ctx, info.FullMethod); err != nil {
		return nil, toStatus(s.refused(req, err))
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
	g := s.gateOf(info.FullMethod, true)
	if err := s.admit(ss.Context(), info.FullMethod, g); err != nil {
		return toStatus(err)
	}
	defer g.leave()
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

// admit lets a request in; whoever is let in leaves the gate.
func (s *Service) admit(ctx context.Context, method string, g *gate) error {
	if err := s.authorise(ctx, method); err != nil {
		return err
	}
	return g.enter()
}

// authorise asks for the token. One who has a wrong one is told so: to look for a
// token that was given helps nobody.
func (s *Service) authorise(ctx context.Context, method string) error {
	token := *s.token.Load()
	if token == "" || tokenless[method] {
		return nil
	}
	said := `this daemon wants a token: send "authorization: Bearer …"`
	for _, v := range metadata.ValueFromIncomingContext(ctx, "authorization") {
		given, isBearer := strings.CutPrefix(v, "Bearer ")
		if !isBearer {
			continue
		}
		if subtle.ConstantTimeCompare([]byte(given), []byte(token)) == 1 {
			return nil
		}
		said = "the token after Bearer is not the one of this daemon"
	}
	from := "unknown"
	if p, known := peer.FromContext(ctx); known {
		from = p.Addr.String()
	}
	s.note("a request was refused for its token", "peer", from, "method", method, "reason", said)
	return fail(errUnauthenticated, said)
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
