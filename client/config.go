package client

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/status"

	"statehouse.dev/statehouse/client/session"
	pb "statehouse.dev/statehouse/proto/statehouse/v1"
)

// Config says how to reach a daemon. The zero value reaches the one on this
// machine.
type Config struct {
	// Address of the daemon, as ParseAddress reads it; localhost:50051. An https:// in
	// front turns TLS on. Only Dial uses it.
	Address string
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

// validate refuses a configuration that cannot work.
func (c *Config) validate() error {
	if i := strings.IndexFunc(c.Token, func(r rune) bool { return r <= ' ' || r > '~' }); i >= 0 {
		return invalidf("the token has a character at byte %d that a header cannot carry; only printable ASCII without space is allowed", i)
	}
	return nil
}

// reach returns the address to connect to and the credentials. A scheme in the address
// turns TLS on; it cannot turn off what the configuration asks for.
func (c *Config) reach() (Address, credentials.TransportCredentials, error) {
	a, err := ParseAddress(c.Address)
	if err != nil {
		return a, nil, err
	}
	encrypted := c.TLS != nil || c.CAFile != "" || a.Scheme == "https"
	switch {
	case encrypted && a.Scheme == "http":
		return a, nil, invalidf("the address %s asks for plain text, and the configuration for TLS: write https:// or no scheme, or turn TLS off", c.Address)
	case !encrypted && c.Token != "" && !c.PlaintextToken && !a.Loopback():
		return a, nil, invalidf("the token would go to %s in plain text: turn TLS on, or allow it if the network itself is trusted", c.Address)
	case !encrypted:
		return a, explaining{insecure.NewCredentials()}, nil
	}
	creds, err := c.credentials()
	return a, explaining{creds}, err
}

func (c *Config) credentials() (credentials.TransportCredentials, error) {
	t := &tls.Config{MinVersion: tls.VersionTLS12}
	if c.TLS != nil {
		t = c.TLS.Clone()
	}
	if c.CAFile != "" {
		pem, err := os.ReadFile(c.CAFile)
		if err != nil {
			return nil, invalidf("the file of authorities cannot be read: %v", err)
		}
		t.RootCAs = x509.NewCertPool()
		if !t.RootCAs.AppendCertsFromPEM(bytes.TrimPrefix(pem, []byte("\ufeff"))) { // some editors put it in front
			return nil, invalidf("%s holds no certificate in PEM form", c.CAFile)
		}
	}
	return credentials.NewTLS(t), nil
}

// Client talks to one daemon. Its session (package session) has a goroutine that reads, from
// the first call on until the connection or the client is closed.
type Client struct {
	config   Config
	stub     pb.StatehouseServiceClient
	captures pb.CaptureServiceClient
	// knowsSent says that the connection reports whether a request reached the wire: one
	// that did not was not applied.
	knowsSent bool
	closer    func() error
	abilities *abilities
}

// Dial prepares a connection to a daemon. It does not wait for it: the first call
// does. Close the client when done.
func Dial(config Config) (*Client, error) {
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

// How much a daemon may send before it is told that it arrived: on a stream, where it has
// to be read, and on the whole connection, where it need not.
const (
	streamWindow = 1 << 20
	connWindow   = 8 << 20
)

// Connect makes the connection that Dial uses, for programs that call the
// contract's generated stubs on it, or share it between clients (New). The token
// of config is not sent by the connection but by a Client.
func Connect(config Config) (*grpc.ClientConn, error) {
	config.setDefaults()
	if err := config.validate(); err != nil {
		return nil, err
	}
	address, creds, err := config.reach()
	if err != nil {
		return nil, err
	}
	opts := []grpc.DialOption{
		grpc.WithTransportCredentials(creds),
		grpc.WithUserAgent("statehouse-go"),
		// The client finds a restarted daemon within seconds, not after gRPC's two minutes.
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: 50 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: 2 * time.Second},
			MinConnectTimeout: 5 * time.Second,
		}),
		// With pings a watch notices that the other machine is gone.
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 20 * time.Second, Timeout: 10 * time.Second}),
		// Windows that gRPC need not measure: its estimator pings with every message.
		grpc.WithStaticStreamWindowSize(streamWindow),
		grpc.WithStaticConnWindowSize(connWindow),
	}
	// Requests to this machine stay on it. And permission to send a token to one machine in
	// plain text is no permission to show it to a proxy.
	if address.Loopback() || config.Token != "" && creds.Info().SecurityProtocol == "insecure" {
		opts = append(opts, grpc.WithNoProxy())
	}
	// With a scheme, so that a host is not taken for a scheme of gRPC: "unix:50051".
	conn, err := grpc.NewClient("dns:///"+address.String(), opts...)
	if err != nil {
		return nil, invalidf("a connection to %s cannot be prepared: %v", address, err)
	}
	return conn, nil
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
	if err := config.validate(); err != nil {
		return nil, err
	}
	_, real := conn.(*grpc.ClientConn)
	_, tells := conn.(TellsSent)
	if config.Token != "" {
		conn = authorised{conn, config.Token}
	}
	c := &Client{config: config, captures: pb.NewCaptureServiceClient(conn), knowsSent: real || tells, closer: func() error { return nil }, abilities: &abilities{}}
	if real && !config.Unary { // another connection may do what it is there for call by call
		s := session.New(conn, session.Options{})
		conn, c.closer = s, func() error { s.Close(); return nil }
	}
	c.stub = pb.NewStatehouseServiceClient(conn)
	return c, nil
}

// In is a client for another namespace on the same connection. Close only one of them. An
// empty namespace is taken for a mistake: every call then fails with ErrInvalid, rather
// than reaching "default".
func (c *Client) In(namespace string) *Client {
	other := *c
	other.config.Namespace = namespace
	if namespace == "" {
		nowhere := refusing{status.Error(codes.InvalidArgument, "client.In was given an empty namespace")}
		other.abilities = &abilities{}
		other.stub, other.captures = pb.NewStatehouseServiceClient(nowhere), pb.NewCaptureServiceClient(nowhere)
	}
	return &other
}

// refusing is a connection on which every call fails.
type refusing struct{ err error }

func (r refusing) Invoke(context.Context, string, any, any, ...grpc.CallOption) error { return r.err }

func (r refusing) NewStream(context.Context, *grpc.StreamDesc, string, ...grpc.CallOption) (grpc.ClientStream, error) {
	return nil, r.err
}

// Namespace is the namespace of names that have none.
func (c *Client) Namespace() string { return c.config.Namespace }

// Close closes a connection made by Dial, and ends the client's session on one that was given
// to New.
func (c *Client) Close() error {
	if err := c.closer(); err != nil {
		return fmt.Errorf("closing the connection: %w", err)
	}
	return nil
}
