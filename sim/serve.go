package sim

import (
	"context"
	"io"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"statehouse.dev/statehouse/sim/sched"
)

// handle answers one request the way grpc.Server would: codec, interceptor,
// handler.
func (p *process) handle(ctx context.Context, t *sched.Task, c *Call) ([]byte, error) {
	ctx = p.w.credentials(ctx, c)
	method := c.request.method.Name
	decode := func(v any) error { return p.decode(c.request.wire, v) }
	for _, s := range p.services {
		name, ours := strings.CutPrefix(method, "/"+s.desc.ServiceName+"/")
		if !ours {
			continue
		}
		for i := range s.desc.Methods {
			if m := &s.desc.Methods[i]; m.MethodName == name {
				resp, err := m.Handler(s.impl, ctx, decode, p.unary)
				if err != nil {
					return nil, err
				}
				return p.encode(resp)
			}
		}
		for i := range s.desc.Streams {
			if m := &s.desc.Streams[i]; m.StreamName == name {
				var ss grpc.ServerStream = &serverStream{p: p, t: t, c: c, ctx: ctx, decode: decode}
				if m.ClientStreams {
					ss = &daemonEnd{c.in.stream, p, ctx}
				}
				return nil, p.stream(s.impl, ss, &grpc.StreamServerInfo{FullMethod: method, IsServerStream: true, IsClientStream: m.ClientStreams}, m.Handler)
			}
		}
	}
	return nil, status.Error(codes.Unimplemented, "unknown method "+method) // as grpc.Server answers
}

func (p *process) encode(m any) ([]byte, error) {
	b, err := p.codec.Marshal(m)
	if err != nil {
		return nil, err
	}
	defer b.Free()
	return b.Materialize(), nil
}

func (p *process) decode(wire []byte, v any) error {
	return p.codec.Unmarshal(mem.BufferSlice{mem.SliceBuffer(wire)}, v)
}

type serverStream struct {
	p      *process
	t      *sched.Task
	c      *Call
	ctx    context.Context
	decode func(any) error
	read   bool
}

func (s *serverStream) SetHeader(metadata.MD) error  { return nil }
func (s *serverStream) SendHeader(metadata.MD) error { return nil }
func (s *serverStream) SetTrailer(metadata.MD)       {}
func (s *serverStream) Context() context.Context     { return s.ctx }

func (s *serverStream) RecvMsg(m any) error {
	if s.read {
		return io.EOF
	}
	s.read = true
	return s.decode(m)
}

func (s *serverStream) SendMsg(m any) error {
	s.p.w.sends(s.c)
	if !s.t.Park(func() bool { return len(s.c.msgs) < streamWindow || s.ctx.Err() != nil }) {
		return context.Canceled
	}
	if s.ctx.Err() != nil {
		return s.ctx.Err()
	}
	raw, err := s.p.encode(m)
	if err == nil {
		s.c.msgs = append(s.c.msgs, raw)
	}
	return err
}
