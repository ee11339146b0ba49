package server

import (
	"context"
	"errors"
	"slices"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"statehouse.dev/statehouse/engine"
	pb "statehouse.dev/statehouse/proto/statehouse/v1"
	"statehouse.dev/statehouse/server/conns"
	"statehouse.dev/statehouse/server/limiter"
	"statehouse.dev/statehouse/server/meter"
	"statehouse.dev/statehouse/server/wire"
)

// registrar registers services with gRPC so that the header alone decides whether a
// request is let in. A unary method becomes a stream of one message each way, which is the
// same on the wire: gRPC reads the message of a unary one before it calls anything of
// ours, however long that takes.
type registrar struct {
	*grpc.Server
	service *Service
}

func (r registrar) RegisterService(desc *grpc.ServiceDesc, impl any) {
	d := *desc
	d.Methods, d.Streams = nil, slices.Clone(desc.Streams)
	for _, m := range desc.Methods {
		d.Streams = append(d.Streams, grpc.StreamDesc{StreamName: m.MethodName, Handler: r.service.unary("/"+desc.ServiceName+"/"+m.MethodName, m)})
	}
	r.Server.RegisterService(&d, impl)
}

// Interceptors are what every request passes on the service's side of a transport: the
// recorder, and within it the service's own.
func (s *Service) Interceptors() (grpc.UnaryServerInterceptor, grpc.StreamServerInterceptor) {
	return s.captures.Unary(s.Unary), func(srv any, ss grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
		return s.captures.Stream(srv, ss, info, func(srv any, ss grpc.ServerStream) error { return s.Stream(srv, ss, info, handler) })
	}
}

// unaryChain is what a unary request passes, from the outside: what counts its answer, the
// recorder, which sees what clients are answered, and the service's own interceptor.
func (s *Service) unaryChain() grpc.UnaryServerInterceptor {
	inner, _ := s.Interceptors()
	return func(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
		return s.unsent.Unary(ctx, req, info, func(ctx context.Context, req any) (any, error) { return inner(ctx, req, info, handler) })
	}
}

// streamChain is what a stream passes, from the outside.
func (s *Service) streamChain() grpc.ServerOption {
	return grpc.ChainStreamInterceptor(s.receiveStream, s.unsent.Stream, s.captures.Stream, s.Stream)
}

// unary serves a unary method as a stream.
func (s *Service) unary(method string, m grpc.MethodDesc) grpc.StreamHandler {
	chain, l, counted := s.unaryChain(), s.limiterOf(method, false), s.meter.Method(method)
	return func(srv any, ss grpc.ServerStream) (err error) {
		measured := counted.Begin(meter.Call)
		defer func() { measured.End(err) }()
		ctx, st, err := s.letIn(ss.Context(), method, l)
		if err == nil {
			err = st.Await(ctx)
		}
		if err == nil {
			err = tooLong(st.Longest())
		}
		if err != nil {
			return s.refusedAtDoor(ctx, method, err)
		}
		reply, err := m.Handler(srv, measured.Arrived(ctx), ss.RecvMsg, chain)
		measured.Answered()
		s.nameLeader(ss)
		st.Finish() // before the answer is sent, which its client may read slowly
		if err != nil {
			return err
		}
		return ss.SendMsg(reply)
	}
}

// receiveStream is the first interceptor of streams.
func (s *Service) receiveStream(srv any, ss grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) (err error) {
	measured := s.meter.Method(info.FullMethod).Begin(meter.Call)
	defer func() { measured.End(err) }()
	ctx, st, err := s.letIn(ss.Context(), info.FullMethod, s.limiterOf(info.FullMethod, true))
	switch {
	case err != nil:
	case info.FullMethod == pb.StatehouseService_Session_FullMethodName:
		st.Converse()
		measured.Arrived(ctx)
		return handler(srv, ss)
	case info.IsClientStream:
		measured.Arrived(ctx)
		return s.converse(st, srv, ss, info.FullMethod, handler)
	default:
		if err = st.Await(ctx); err == nil {
			err = tooLong(st.Longest())
		}
	}
	if err != nil {
		return s.refusedAtDoor(ctx, info.FullMethod, err)
	}
	defer st.Finish()
	measured.Arrived(ctx)
	return handler(srv, ss)
}

// tooLong refuses the message of a request as gRPC does, which lets in longer ones for
// sessions.
func tooLong(n int) error {
	if n > maxRequestBytes {
		return status.Errorf(codes.ResourceExhausted, "grpc: received message larger than max (%d vs. %d)", n, maxRequestBytes)
	}
	return nil
}

// letIn decides what can be decided on a request's header. It returns the context in which the
// caller is known.
func (s *Service) letIn(ctx context.Context, method string, l *limiter.Limiter) (context.Context, *conns.Stream, error) {
	st := conns.FromContext(ctx)
	ctx, _, err := s.gate.Identify(ctx, method)
	if err != nil {
		return ctx, nil, err
	}
	if !probes[method] && !administration[method] {
		if err := st.Restricted(); err != nil {
			return ctx, nil, err
		}
	}
	if commits[method] {
		return ctx, st, nil // Unary refuses it, when its id is known
	}
	return ctx, st, l.Check()
}

// refusedAtDoor is the status of what is refused on its header, or as its message comes in.
func (s *Service) refusedAtDoor(ctx context.Context, method string, err error) error {
	err = s.status(refusedHere(method, err))
	s.noted(ctx, method, nil, err)
	return err
}

// refusedHere puts a refusal of the connections' bounds into the engine's words.
func refusedHere(method string, err error) error {
	var r conns.Refusal
	if errors.As(err, &r) {
		return &engine.Failure{Kind: engine.ErrLimit, Message: r.Error(), InDoubt: commits[method]}
	}
	return err
}

// converse serves a stream whose client sends message after message. gRPC waits for
// the next one for as long as the client likes; here it ends with the drain, and when
// the messages become too much.
func (s *Service) converse(st *conns.Stream, srv any, ss grpc.ServerStream, method string, handler grpc.StreamHandler) error {
	ctx, cancel := context.WithCancelCause(ss.Context())
	defer cancel(nil)
	defer context.AfterFunc(s.draining, func() { cancel(errStopping) })()
	st.OnRefusal(cancel)
	st.Converse()
	err := handler(srv, interruptible{ss, ctx, st})
	if cause := context.Cause(ctx); cause != nil && ss.Context().Err() == nil {
		return wire.Status(refusedHere(method, cause))
	}
	return err
}

var errStopping = wire.Fail(engine.ErrStopped, "the daemon is stopping: try again later")

type interruptible struct {
	grpc.ServerStream
	ctx    context.Context
	stream *conns.Stream
}

func (i interruptible) Context() context.Context { return i.ctx }

func (i interruptible) RecvMsg(m any) error {
	received := make(chan error, 1)
	go func() { received <- i.ServerStream.RecvMsg(m) }() // ends with the stream at the latest
	select {
	case err := <-received:
		if m, ok := m.(proto.Message); ok && err == nil {
			i.stream.Took(proto.Size(m))
		}
		return err
	case <-i.ctx.Done():
		return context.Cause(i.ctx)
	}
}
