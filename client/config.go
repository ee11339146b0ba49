package client

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"statehouse.dev/statehouse/client/keeper"
	"statehouse.dev/statehouse/client/reach"
	"statehouse.dev/statehouse/client/session"
	"statehouse.dev/statehouse/client/traced"
	pb "statehouse.dev/statehouse/proto/statehouse/v1"
)

// DefaultPort is the one that a daemon listens on, and that an address without a
// port means.
const DefaultPort = reach.DefaultPort

// Address is where a daemon is, as [ParseAddress] reads it.
type Address = reach.Address

// ParseAddress reads the address of a daemon:
//
//	[http:// | https://] HOST [:PORT] [/]
//
// HOST is a name, an IPv4 address, or an IPv6 address in brackets. Without a port it
// is [DefaultPort], whatever the scheme. A slash may only end an address with a
// scheme. Everything else is refused, with an error that matches [ErrInvalid].
func ParseAddress(s string) (Address, error) {
	a, err := reach.ParseAddress(s)
	return a, invalid(err)
}

// Config says how to reach a daemon. The zero value reaches the one on this
// machine.
type Config struct {
	// Address of the daemon, as ParseAddress reads it; localhost:50051. An https:// in
	// front turns TLS on. Only Dial uses it.
	Address string
	// Addresses, in place of Address, are those of daemons that keep one store between them, as they call themselves
	// (--client-advertise-addr). Calls go to the one that leads, those that fail are repeated at another, and reads that
	// may be stale (AtMostStale) go to all in turn.
	Addresses []string
	// Namespace that names without one are in; "default".
	Namespace string

	// TLS turns TLS on. CAFile does too, and trusts the authorities in that PEM file
	// instead of the system's. Only Dial uses them.
	TLS    *tls.Config
	CAFile string
	// Token, when set, goes with every request as "authorization: Bearer …". Dial
	// refuses to send one in plain text to another machine unless PlaintextToken says
	// that the network itself is trusted.
	Token          string
	PlaintextToken bool

	// Timeout bounds a call whose context has no deadline, including repeated tries; 30 s.
	// It bounds a stream only while it cannot be opened. AttemptTimeout bounds one try;
	// 10 s. Negative: no bound.
	Timeout, AttemptTimeout time.Duration
	// Unary makes each call one of gRPC's own. Otherwise those of StatehouseService, but for
	// Health, Version and streams, go in one session a client, which costs less, if its connection
	// is a *grpc.ClientConn. The daemon need not know sessions.
	Unary bool
	// FailFast gives up a call that was certainly not sent, because the daemon cannot be
	// reached, instead of repeating it until the context ends.
	FailFast bool
	// Trace is told of each call; nil: nobody is.
	Trace traced.Func
	// Log records, at debug level, every try that failed and is repeated; slog.Default().
	Log *slog.Logger
	// PageSize is how many items of a list one request asks for; 1,000. The daemon may
	// answer fewer.
	PageSize int
	// TxnOps is how many writes and deletes, and how many conditions of those, a transaction
	// that is held in the client may have; 5,000, which is the daemon's default limit.
	TxnOps int

	// The outside world, for programs that must be deterministic; by default the
	// operating system's. All must be safe for concurrent use.
	Now   func() time.Time                                 // for ids and timeouts of transactions
	Rand  func(p []byte)                                   // for transaction ids and jitter
	Sleep func(ctx context.Context, d time.Duration) error // between tries
	// WithTimeout makes the contexts that Timeout and AttemptTimeout end; context.WithTimeout.
	WithTimeout func(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc)
}

func (c *Config) setDefaults() {
	if c.Address == "" {
		c.Address = Address{Host: "localhost", Port: DefaultPort}.String()
	}
	if c.Namespace == "" {
		c.Namespace = "default"
	}
	if c.Timeout == 0 {
		c.Timeout = 30 * time.Second
	}
	if c.AttemptTimeout == 0 {
		c.AttemptTimeout = 10 * time.Second
	}
	if c.PageSize <= 0 {
		c.PageSize = 1000
	}
	if c.TxnOps <= 0 {
		c.TxnOps = 5000
	}
	if c.Log == nil {
		c.Log = slog.Default()
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Rand == nil {
		c.Rand = func(p []byte) { _, _ = rand.Read(p) } // crypto/rand.Read never fails
	}
	if c.Sleep == nil {
		c.Sleep = sleep
	}
	if c.WithTimeout == nil {
		c.WithTimeout = context.WithTimeout
	}
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Client talks to one daemon. Its session (package session) has a goroutine that reads, from
// the first call on until the connection or the client is closed.
type Client struct {
	config   Config
	conn     grpc.ClientConnInterface // what the token goes over, and no session
	stub     pb.StatehouseServiceClient
	captures pb.CaptureServiceClient
	// knowsSent says that the connection reports whether a request reached the wire: one
	// that did not was not applied.
	knowsSent bool
	closer    func() error
	abilities *abilities
	leases    *keeper.Keeper // shared by the clients of a connection
}

// Dial prepares a connection to a daemon. It does not wait for it: the first call
// does. Close the client when done.
func Dial(config Config) (*Client, error) {
	if len(config.Addresses) > 0 {
		return dialMembers(config)
	}
	conn, err := Connect(config)
	if err != nil {
		return nil, err
	}
	c, err := New(conn, config)
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	endSession := c.closer
	c.closer = func() error { return errors.Join(endSession(), conn.Close()) }
	return c, nil
}

// Connect makes the connection that Dial uses, for programs that call the
// contract's generated stubs on it, or share it between clients (New). The token
// of config is not sent by the connection but by a Client.
func Connect(config Config) (*grpc.ClientConn, error) {
	config.setDefaults()
	conn, err := reach.Connect(reach.Options{
		Address: config.Address, TLS: config.TLS, CAFile: config.CAFile, Token: config.Token, PlaintextToken: config.PlaintextToken,
	})
	return conn, invalid(err)
}

// TellsSent is a connection that fills in grpc.Peer, as gRPC's own does, if and only if it has
// given a request to the network: one that failed before was certainly not applied.
type TellsSent interface {
	grpc.ClientConnInterface
	TellsSent()
}

// New makes a client on a connection that the caller keeps and closes: one with options
// of its own, or a simulator's. It sends a token in config over any connection.
func New(conn grpc.ClientConnInterface, config Config) (*Client, error) {
	config.setDefaults()
	if err := reach.CheckToken(config.Token); err != nil {
		return nil, invalid(err)
	}
	_, real := conn.(*grpc.ClientConn)
	_, tells := conn.(TellsSent)
	conn = reach.Authorised(conn, config.Token)
	c := newClient(config, conn, real || tells)
	if real && !config.Unary { // another connection may do what it is there for call by call
		s := session.New(conn, session.Options{})
		conn, c.closer = s, func() error { s.Close(); return nil }
	}
	c.stub = pb.NewStatehouseServiceClient(traced.Conn(conn, config.Trace))
	return c, nil
}

func newClient(config Config, conn grpc.ClientConnInterface, knowsSent bool) *Client {
	return &Client{config: config, conn: conn, captures: pb.NewCaptureServiceClient(conn), knowsSent: knowsSent, closer: func() error { return nil }, abilities: &abilities{}, leases: &keeper.Keeper{}}
}

// In is a client for another namespace on the same connection. Close only one of them. An
// empty namespace is taken for a mistake: every call then fails with ErrInvalid, rather
// than reaching "default".
func (c *Client) In(namespace string) *Client {
	other := *c
	other.config.Namespace = namespace
	if namespace == "" {
		nowhere := reach.Nowhere(status.Error(codes.InvalidArgument, "client.In was given an empty namespace"))
		other.abilities, other.conn = &abilities{}, nowhere
		other.stub, other.captures = pb.NewStatehouseServiceClient(nowhere), pb.NewCaptureServiceClient(nowhere)
	}
	return &other
}

// Namespace is the namespace of names that have none.
func (c *Client) Namespace() string { return c.config.Namespace }

// Connection is what the client's calls go over, with its token, for the contract's other
// services.
func (c *Client) Connection() grpc.ClientConnInterface { return c.conn }

// Bounded is ctx with the client's timeout as its deadline, when it has none.
func (c *Client) Bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	return c.bounded(ctx)
}

// Close closes a connection made by Dial, and ends the client's session on one that was given
// to New.
func (c *Client) Close() error {
	if err := c.closer(); err != nil {
		return fmt.Errorf("closing the connection: %w", err)
	}
	return nil
}
