package server

import (
	"context"
	"net"

	"google.golang.org/grpc/peer"

	"statehouse.dev/statehouse/server/access"
	"statehouse.dev/statehouse/server/admission"
	"statehouse.dev/statehouse/server/session"
)

// A share is whom a request waits with: a principal, or where access is open the address that
// it comes from. Shares are served in turn, in the gate and by the writer.

type shareKey struct{}

// withShare is ctx that knows its share: what is asked often is looked up once.
func withShare(ctx context.Context) context.Context {
	return context.WithValue(ctx, shareKey{}, shareOf(ctx))
}

// shareOf is the share of a request.
func shareOf(ctx context.Context) string {
	if share, known := ctx.Value(shareKey{}).(string); known {
		return share
	}
	if principal := access.Principal(ctx); principal != "" {
		return principal
	}
	p, known := peer.FromContext(ctx)
	if !known {
		return ""
	}
	if tcp, ok := p.Addr.(*net.TCPAddr); ok {
		return tcp.IP.String()
	}
	if host, _, err := net.SplitHostPort(p.Addr.String()); err == nil {
		return host
	}
	return p.Addr.String()
}

// turns are those of a session in the gate.
type turns struct {
	*admission.Gate
	share string
}

func (t turns) Enter(r *session.Request) bool { return t.Gate.Enter(t.share, r) }
func (t turns) Leave(paused bool)             { t.Gate.Leave(t.share, paused) }

// turn is that of a unary commit that is a call of its own.
type turn struct{ paused bool }

type turnKey struct{}

// pausing is await for the engine: a request that waits gives others room to run.
func (s *Service) pausing(await func(context.Context, <-chan struct{}) error) func(context.Context, <-chan struct{}) error {
	return func(ctx context.Context, ready <-chan struct{}) error {
		session.Pause(ctx)
		if t, ok := ctx.Value(turnKey{}).(*turn); ok && !t.paused {
			t.paused = true
			s.gate.Pause()
		}
		return await(ctx, ready)
	}
}
