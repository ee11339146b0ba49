package client_test

import (
	"context"
	"crypto/tls"
	"errors"
	"flag"
	"io"
	"net"
	"path"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"statehouse.dev/statehouse/client"
	"statehouse.dev/statehouse/engine"
	"statehouse.dev/statehouse/server"
)

// The suite holds for calls in sessions and for calls of their own: go test ./client -unary.
var unary = flag.Bool("unary", false, "no client uses a session")

// daemon is a real Statehouse in this process, on a store in memory that outlives
// its restarts.
type daemon struct {
	t      testing.TB
	env    engine.Env
	config server.Config
	tls    *tls.Config
	addr   string
	stop   func()
}

func startDaemon(t testing.TB, config server.Config, tlsConfig *tls.Config) *daemon {
	t.Helper()
	halt := func(err error) { t.Errorf("the daemon halted: %v", err) }
	if config.Engine.Dir == "" {
		config.Engine.Dir = "data"
	}
	d := &daemon{t: t, env: engine.MemoryEnv(halt, nil), config: config, tls: tlsConfig, addr: "127.0.0.1:0"}
	d.start()
	t.Cleanup(func() { d.stop() })
	return d
}

func (d *daemon) start() {
	d.t.Helper()
	service, err := server.Assemble(d.env, d.config)
	if err != nil {
		d.t.Fatal(err)
	}
	l, err := net.Listen("tcp", d.addr)
	if err != nil {
		d.t.Fatal(err)
	}
	d.addr = l.Addr().String()
	ctx, cancel := context.WithCancel(d.t.Context())
	done := make(chan error, 1)
	go func() { done <- service.Serve(ctx, d.tls, l) }()
	d.stop = sync.OnceFunc(func() {
		cancel()
		if err := errors.Join(<-done, service.Close()); err != nil {
			d.t.Error(err)
		}
	})
}

func (d *daemon) restart() {
	d.stop()
	d.start()
}

// dial is a client over a real connection.
func (d *daemon) dial(config client.Config) *client.Client {
	d.t.Helper()
	return d.dialAt(d.addr, config)
}

func (d *daemon) dialAt(address string, config client.Config) *client.Client {
	d.t.Helper()
	config.Address, config.Unary = address, config.Unary || *unary
	c, err := client.Dial(config)
	if err != nil {
		d.t.Fatal(err)
	}
	d.t.Cleanup(func() { _ = c.Close() })
	return c
}

// over is a client over a connection whose answers get lost as lose says.
func (d *daemon) over(lose func(call) fault, config client.Config) *client.Client {
	d.t.Helper()
	conn, err := grpc.NewClient(d.addr, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		d.t.Fatal(err)
	}
	d.t.Cleanup(func() { _ = conn.Close() })
	if config.Sleep == nil {
		config.Sleep = func(ctx context.Context, _ time.Duration) error { return ctx.Err() }
	}
	c, err := client.New(&lossy{conn: conn, lose: lose, count: make(map[string]int)}, config)
	if err != nil {
		d.t.Fatal(err)
	}
	return c
}

// fault is what becomes of a call.
type fault int

const (
	none        fault = iota
	loseReply         // the daemon acts, its answer is lost
	loseRequest       // the daemon never sees it, and the client cannot tell
	draining          // UNAVAILABLE from a daemon that is stopping
)

// call names a call: the n-th of its method, from 0; of streams each message
// received is one.
type call struct {
	method string
	n      int
}

// lossy loses what goes over a real connection.
type lossy struct {
	conn grpc.ClientConnInterface
	lose func(call) fault

	mu    sync.Mutex
	count map[string]int
}

var errLost = status.Error(codes.Unavailable, "lost on purpose")

func (l *lossy) next(method string) fault {
	l.mu.Lock()
	n := l.count[method]
	l.count[method]++
	l.mu.Unlock()
	return l.lose(call{method, n})
}

func (l *lossy) Invoke(ctx context.Context, method string, args, reply any, opts ...grpc.CallOption) error {
	f := l.next(path.Base(method))
	if f == loseRequest {
		return errLost
	}
	err := l.conn.Invoke(ctx, method, args, reply, opts...)
	if f == loseReply && err == nil {
		return errLost
	}
	return err
}

func (l *lossy) NewStream(ctx context.Context, desc *grpc.StreamDesc, method string, opts ...grpc.CallOption) (grpc.ClientStream, error) {
	if l.next("open "+path.Base(method)) != none {
		return nil, errLost
	}
	s, err := l.conn.NewStream(ctx, desc, method, opts...)
	return &lossyStream{s, l, path.Base(method)}, err
}

type lossyStream struct {
	grpc.ClientStream
	l      *lossy
	method string
}

func (s *lossyStream) RecvMsg(m any) error {
	if s.l.next(s.method) != none {
		return errLost
	}
	return s.ClientStream.RecvMsg(m)
}

func noLoss(call) fault { return none }

// nth loses the first k answers of a method.
func first(k int, method string, f fault) func(call) fault {
	return func(c call) fault {
		if c.method == method && c.n < k {
			return f
		}
		return none
	}
}

func put(t *testing.T, c *client.Client, agent, key, value string) client.Commit {
	t.Helper()
	commit, err := c.Transact(t.Context(), client.Batch{Writes: []client.Write{client.Put(agent, key, []byte(value))}})
	if err != nil {
		t.Fatal(err)
	}
	return commit
}

// drain collects what an iterator yields before its error.
func drain[T any](seq func(func(T, error) bool)) (all []T, err error) {
	for v, err := range seq {
		if err != nil {
			return all, err
		}
		all = append(all, v)
	}
	return all, nil
}

func events(t *testing.T, c *client.Client, agent string) []client.Event {
	t.Helper()
	all, err := drain(c.Replay(t.Context(), client.ReplayQuery{Agent: agent}))
	if err != nil {
		t.Fatal(err)
	}
	return all
}

var _ io.Closer = (*client.Client)(nil)
