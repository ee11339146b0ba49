package sim

import (
	"context"
	"fmt"
	"net"

	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
)

// build is what the daemon calls its version.
const build = "simulated"

// credentials is ctx as a transport makes it: with the client's address, and what it sent
// with its request.
func (w *World) credentials(ctx context.Context, c *Call) context.Context {
	ctx = peer.NewContext(ctx, &peer.Peer{Addr: address{c}})
	token := ""
	switch {
	case !w.config.Token || c.token == "none":
		return ctx
	case c.token == "wrong":
		token = "x"
	case c.token != "":
		return metadata.NewIncomingContext(ctx, metadata.Pairs("authorization", "Bearer "+w.keys.secrets[c.token]))
	}
	return metadata.NewIncomingContext(ctx, metadata.Pairs("authorization", "Bearer "+secret+token))
}

// address is where a request comes from: by it a capture says which one it was.
type address struct{ call *Call }

var _ net.Addr = address{}

func (address) Network() string  { return "sim" }
func (a address) String() string { return fmt.Sprintf("%s:%d", a.call.op.Client, a.call.op.ID) }
