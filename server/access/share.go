package access

import (
	"context"
	"net"

	"google.golang.org/grpc/peer"
)

// A share is whom a commit waits with: its principal, or where access is open the address that
// it comes from. The engine's writer serves shares alike.

type shareKey struct{}

// WithShare is ctx that knows its share: what is asked often is looked up once.
func WithShare(ctx context.Context) context.Context {
	return context.WithValue(ctx, shareKey{}, Share(ctx))
}

// WithShareOf is ctx of a request of this share, whoever says so.
func WithShareOf(ctx context.Context, share string) context.Context {
	return context.WithValue(ctx, shareKey{}, share)
}

// Share is the share of a request.
func Share(ctx context.Context) string {
	if share, known := ctx.Value(shareKey{}).(string); known {
		return share
	}
	if principal := Principal(ctx); principal != "" {
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
