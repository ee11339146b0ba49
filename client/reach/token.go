package reach

import (
	"context"
	"fmt"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
)

// CheckToken refuses a token that cannot be sent.
func CheckToken(token string) error {
	if i := strings.IndexFunc(token, func(r rune) bool { return r <= ' ' || r > '~' }); i >= 0 {
		return fmt.Errorf("the token has a character at byte %d that a header cannot carry; only printable ASCII without space is allowed", i)
	}
	return nil
}

// Authorised is conn with a token on all that is sent on it; without one, conn itself.
func Authorised(conn grpc.ClientConnInterface, token string) grpc.ClientConnInterface {
	if token == "" {
		return conn
	}
	return authorised{conn, token}
}

// authorised is a connection that adds the token to what is sent on it.
type authorised struct {
	grpc.ClientConnInterface
	token string
}

func (a authorised) with(ctx context.Context) context.Context {
	return metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+a.token)
}

func (a authorised) Invoke(ctx context.Context, method string, args, reply any, opts ...grpc.CallOption) error {
	return a.ClientConnInterface.Invoke(a.with(ctx), method, args, reply, opts...)
}

func (a authorised) NewStream(ctx context.Context, desc *grpc.StreamDesc, method string, opts ...grpc.CallOption) (grpc.ClientStream, error) {
	return a.ClientConnInterface.NewStream(a.with(ctx), desc, method, opts...)
}
