// Package access decides who may do what: API keys, the shared token, client certificates.
package access

import "context"

type principalKey struct{}

// WithPrincipal is ctx for a request of this principal.
func WithPrincipal(ctx context.Context, name string) context.Context {
	return context.WithValue(ctx, principalKey{}, name)
}

// Principal is the name of whoever asks: of an API key, a certificate's subject, or "token". It is
// empty where access is open.
func Principal(ctx context.Context) string {
	name, _ := ctx.Value(principalKey{}).(string)
	return name
}
