package server

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"

	"google.golang.org/grpc"

	"statehouse.dev/statehouse/engine"
	pb "statehouse.dev/statehouse/proto/statehouse/v1"
	"statehouse.dev/statehouse/server/access"
	"statehouse.dev/statehouse/server/gate"
	"statehouse.dev/statehouse/server/limiter"
	"statehouse.dev/statehouse/server/unsent"
	"statehouse.dev/statehouse/server/wire"
)

// Unary is the interceptor that every unary request passes: in production
// through grpc.Server, in the simulator through its transport.
func (s *Service) Unary(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (resp any, err error) {
	l := s.limiterOf(info.FullMethod, false)
	defer func() { s.noted(ctx, info.FullMethod, req, err) }()
	ctx, grant, err := s.admit(ctx, info.FullMethod, l)
	if err != nil {
		return nil, s.status(s.refused(req, err))
	}
	defer l.Leave()
	defer s.recovered(info.FullMethod, &err)
	if err := wire.CheckParsed(req); err != nil {
		return nil, wire.Status(err)
	}
	if s.config.Cluster == nil {
		resp, err = s.answered(ctx, info.FullMethod, req, grant, handler)
	} else {
		resp, err = s.routed(ctx, info.FullMethod, req, grant, handler)
	}
	s.meter.CountNamespace(req, err)
	if err == nil {
		err = unsent.CallOf(ctx).Count(answerOf(info.FullMethod), resp)
	}
	if err != nil {
		return nil, s.status(err)
	}
	return resp, nil
}

// answered answers here a unary request that was let in, if it may be made.
func (s *Service) answered(ctx context.Context, method string, req any, grant access.Grant, handler grpc.UnaryHandler) (resp any, err error) {
	if err := s.gate.Permit(ctx, method, req, grant); err != nil {
		if method == pb.StatehouseService_Abort_FullMethodName && errors.Is(err, engine.ErrTxnNotFound) {
			return &pb.AbortResponse{}, nil // as of one that is not known
		}
		return nil, s.refused(req, err)
	}
	if err := unsent.CallOf(ctx).Admit(ctx, answerOf(method)); err != nil {
		return nil, s.refused(req, err)
	}
	if resp, err = handler(ctx, req); err == nil && grant != nil {
		err = gate.Answerable(ctx, resp, grant)
	}
	return resp, err
}

// Stream is the interceptor that every stream passes.
func (s *Service) Stream(srv any, ss grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) (err error) {
	method := info.FullMethod
	l := s.limiterOf(method, true)
	p := &parsedStream{ServerStream: ss, service: s, method: method}
	ctx := ss.Context()
	defer func() { s.noted(ctx, method, p.req, err) }()
	ctx, _, err = s.admit(ctx, method, l)
	if err != nil {
		return s.status(err)
	}
	defer l.Leave()
	defer s.recovered(method, &err)
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	if !isOwn(method) {
		// Another service, above all health's Watch: it knows of no drain and would go
		// on for as long as its client wants.
		defer context.AfterFunc(s.draining, func() { cancel(nil) })()
	}
	p.ctx = ctx
	if !gate.Anybody(method) && method != pb.StatehouseService_Session_FullMethodName { // a session ends in order
		defer s.access.Hold(access.CallerOf(ctx), cancel)()
	}
	err = handler(srv, p)
	if cause := context.Cause(ctx); errors.Is(cause, access.ErrUnauthenticated) {
		err = cause
	}
	return s.status(err)
}

// admit lets a request in, which then leaves the limiter in the end, or refuses it. It returns the
// context in which the caller is known, and what that may do. A session is no request: each in it
// is counted by itself.
func (s *Service) admit(ctx context.Context, method string, l *limiter.Limiter) (context.Context, access.Grant, error) {
	ctx, grant, err := s.gate.Identify(ctx, method)
	if err == nil && !probes[method] && method != pb.StatehouseService_Session_FullMethodName {
		err = s.rates.Allow(access.Principal(ctx), s.rate(ctx))
	}
	if err == nil {
		err = l.Enter()
	}
	return ctx, grant, err
}

// refused is err, which refuses req before the engine has seen it. Of a commit the
// engine says whether it is in doubt: a copy of it may be there already.
func (s *Service) refused(req any, err error) error {
	switch req := req.(type) {
	case *pb.CommitRequest:
		return s.engine.Refused(engine.TxnID(req.GetTxnId()), err)
	case *pb.TransactRequest:
		return s.engine.Refused(engine.TxnID(req.GetTxnId()), err)
	}
	return err
}

// rate is how many requests a second whoever asks may make; 0: any number.
func (s *Service) rate(ctx context.Context) float64 {
	if of := s.config.Rate; of != nil {
		return of(access.Principal(ctx))
	}
	if caller := access.CallerOf(ctx); caller != nil {
		return s.access.Rate(caller)
	}
	return 0
}

// noted has a refusal counted for those who look on. err is a status.
func (s *Service) noted(ctx context.Context, method string, req any, err error) {
	if err != nil {
		s.refusals.Note(ctx, method, req, err, s.env.Now())
	}
}

// recovered turns a handler's panic into INTERNAL. A broken invariant of the
// engine's step is not caught here: it ends the process.
func (s *Service) recovered(method string, err *error) {
	if p := recover(); p != nil {
		s.env.Log("a request panicked", "method", method, "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
		*err = wire.Status(fmt.Errorf("internal error in %s; the daemon's log says more", method))
	}
}

// parsedStream refuses a request that the codec marked, or that its caller may not make, and sends
// nothing to one that is no longer let in.
type parsedStream struct {
	grpc.ServerStream
	ctx     context.Context
	service *Service
	method  string
	req     any // of a stream that has one
}

func (p *parsedStream) Context() context.Context { return p.ctx }

func (p *parsedStream) RecvMsg(m any) error {
	if err := p.ServerStream.RecvMsg(m); err != nil {
		return err
	}
	if p.method != pb.StatehouseService_Session_FullMethodName { // whose frames are read until after its handler has ended
		p.req = m
	}
	if err := wire.CheckParsed(m); err != nil {
		return err
	}
	if p.service.config.Cluster != nil {
		if err := p.service.routedStream(p.ctx, p.method, m); err != nil {
			return err
		}
	}
	var grant access.Grant
	if caller := p.caller(); caller != nil {
		var err error
		if grant, err = p.service.access.Valid(caller); err != nil {
			return err
		}
	}
	return p.service.gate.Permit(p.ctx, p.method, m, grant)
}

func (p *parsedStream) SendMsg(m any) error {
	if caller := p.caller(); caller != nil {
		if err := p.service.access.Holds(caller); err != nil {
			return err
		}
	}
	return p.ServerStream.SendMsg(m)
}

// caller is who is to be asked about; nil for a session, which answers what it has taken, and whose
// requests are asked about one by one.
func (p *parsedStream) caller() *access.Caller {
	if p.method == pb.StatehouseService_Session_FullMethodName {
		return nil
	}
	return access.CallerOf(p.ctx)
}
