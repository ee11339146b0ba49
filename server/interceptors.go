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

	"statehouse.dev/statehouse/server/access"
	"statehouse.dev/statehouse/server/limiter"
	"statehouse.dev/statehouse/server/session"
	"statehouse.dev/statehouse/server/unsent"
)

// Unary is the interceptor that every unary request passes: in production
// through grpc.Server, in the simulator through its transport.
func (s *Service) Unary(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (resp any, err error) {
	l := s.limiterOf(info.FullMethod, false)
	if err := s.admit(ctx, info.FullMethod, l); err != nil {
		return nil, toStatus(s.refused(req, err))
	}
	defer l.Leave()
	defer s.recovered(info.FullMethod, &err)
	if err := checkParsed(req); err != nil {
		return nil, toStatus(err)
	}
	if commits[info.FullMethod] && !session.In(ctx) { // a read waits for no disk, and one in a session had its turn
		share := access.Share(ctx)
		if err := s.gate.Wait(ctx, share, func() func() { return s.coming(req) }); err != nil {
			return nil, toStatus(s.refused(req, err))
		}
		t := &turn{}
		defer func() { s.gate.Leave(share, t.paused) }()
		ctx = context.WithValue(access.WithShare(ctx), turnKey{}, t)
	}
	call, answer := unsent.CallOf(ctx), answerOf(info.FullMethod)
	if err := call.Admit(ctx, answer); err != nil {
		return nil, toStatus(s.refused(req, err))
	}
	resp, err = handler(ctx, req)
	if err == nil {
		err = call.Count(answer, resp)
	}
	if err != nil {
		return nil, toStatus(err)
	}
	return resp, nil
}

// Stream is the interceptor that every stream passes.
func (s *Service) Stream(srv any, ss grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) (err error) {
	l := s.limiterOf(info.FullMethod, true)
	if err := s.admit(ss.Context(), info.FullMethod, l); err != nil {
		return toStatus(err)
	}
	defer l.Leave()
	defer s.recovered(info.FullMethod, &err)
	if !isOwn(info.FullMethod) {
		// Another service, above all health's Watch: it knows of no drain and would go
		// on for as long as its client wants.
		ctx, cancel := context.WithCancel(ss.Context())
		defer cancel()
		defer context.AfterFunc(s.draining, cancel)()
		return toStatus(handler(srv, parsedStream{ss, ctx}))
	}
	return toStatus(handler(srv, parsedStream{ss, ss.Context()}))
}

// admit lets a request in, which then leaves the limiter in the end, or refuses it.
func (s *Service) admit(ctx context.Context, method string, l *limiter.Limiter) error {
	if err := s.authorise(ctx, method); err != nil {
		return err
	}
	if !probes[method] {
		if err := s.rates.Allow(access.Principal(ctx)); err != nil {
			return err
		}
	}
	return l.Enter()
}

// authorise asks for the token. The error says whether there was none or a wrong one:
// with the same text for both an operator would look in the wrong place.
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
