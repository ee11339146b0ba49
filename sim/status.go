package sim

import (
	"context"
	"fmt"
	"net"

	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/protobuf/proto"

	pb "statehouse.dev/statehouse/proto/statehouse/v1"
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
	}
	return metadata.NewIncomingContext(ctx, metadata.Pairs("authorization", "Bearer "+secret+token))
}

// stranger reports whether the call comes without the token that the daemon wants.
func (c *Call) stranger() bool { return c.request.refuse != "" && c.token != "" }

// address is where a request comes from: by it a capture says which one it was.
type address struct{ call *Call }

var _ net.Addr = address{}

func (address) Network() string  { return "sim" }
func (a address) String() string { return fmt.Sprintf("%s#%d", a.call.op.Client, a.call.op.ID) }

// answeredStatus holds what the daemon says of itself to what is known of it.
func (w *World) answeredStatus(c *Call) {
	wrong := func(what string, got, want any) {
		w.rec.violate("G9", "status", c.op.ID, fmt.Sprintf("#%d %s of %s: its %s is %v, and should be %v", c.op.ID, c.request.method.Word, c.op.Client, what, got, want))
	}
	m := c.request.method.NewAnswer()
	if c.Stream() || proto.Unmarshal(c.resp, m) != nil {
		return
	}
	switch m := m.(type) {
	case *pb.HealthResponse:
		if m.GetStatus() != "ok" {
			wrong("status", m.GetStatus(), "ok")
		}
	case *pb.VersionResponse:
		if m.GetVersion() != build || m.GetGitSha() != build {
			wrong("version", m.GetVersion()+" "+m.GetGitSha(), build)
		}
	case *pb.GetStatusResponse:
		if ts := m.GetPublishedTs(); ts < c.known {
			wrong("last commit", ts, fmt.Sprintf("at least %d, which had been answered", c.known))
		} else if (ts > 0) != (m.GetLastCommitTime() != nil) {
			wrong("last commit's time", m.GetLastCommitTime(), fmt.Sprintf("that of commit %d", ts))
		}
		if m.GetDurable() == w.config.Unsynced {
			wrong("durable", m.GetDurable(), !w.config.Unsynced)
		}
		if n := m.GetOpenTransactions(); n > w.network.begun {
			wrong("number of open transactions", n, fmt.Sprintf("at most %d, as many as were begun", w.network.begun))
		}
	}
}
