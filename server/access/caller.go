package access

import (
	"context"
	"time"
)

// TokenPrincipal is the principal of the shared token.
const TokenPrincipal = "token"

// Caller is whoever asks, as it was identified by what it showed. Whether that is still good is
// asked with Control.Valid.
type Caller struct {
	Name string // the principal; empty: nobody in particular, where access is open

	by    kind
	id    string    // of the key
	hash  Hash      // of the secret or token that was shown
	until time.Time // when the certificate ends
}

type kind uint8

const (
	open kind = iota
	byToken
	byKey
	byCertificate
	local
)

type callerKey struct{}

// WithCaller is ctx for a request of this caller.
func WithCaller(ctx context.Context, c *Caller) context.Context {
	return context.WithValue(ctx, callerKey{}, c)
}

// CallerOf is the caller of a request; nil before it was identified.
func CallerOf(ctx context.Context) *Caller {
	c, _ := ctx.Value(callerKey{}).(*Caller)
	return c
}

// WithPrincipal is ctx for a request of this principal, whoever vouches for it.
func WithPrincipal(ctx context.Context, name string) context.Context {
	return WithCaller(ctx, &Caller{Name: name})
}

// Principal is the name of whoever asks: of an API key, a certificate's subject, or "token". It is
// empty where access is open.
func Principal(ctx context.Context) string {
	if c := CallerOf(ctx); c != nil {
		return c.Name
	}
	return ""
}
