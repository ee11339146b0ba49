package client_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"statehouse.dev/statehouse/client"
	"statehouse.dev/statehouse/server"
)

// door is an address at which a daemon is reached while it is open. While it is
// shut connections are refused, and those there were are cut; the daemon behind it,
// and its open transactions, stay.
type door struct {
	t      *testing.T
	behind string
	addr   string

	mu       sync.Mutex
	listener net.Listener
	conns    []net.Conn
}

func newDoor(t *testing.T, d *daemon) *door {
	door := &door{t: t, behind: d.addr, addr: "127.0.0.1:0"}
	door.open()
	t.Cleanup(door.shut)
	return door
}

func (d *door) open() {
	l, err := net.Listen("tcp", d.addr)
	if err != nil {
		d.t.Error(err)
		return
	}
	d.mu.Lock()
	d.addr, d.listener = l.Addr().String(), l
	d.mu.Unlock()
	go func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			out, err := net.Dial("tcp", d.behind)
			if err != nil {
				_ = in.Close()
				continue
			}
			d.mu.Lock()
			d.conns = append(d.conns, in, out)
			d.mu.Unlock()
			forward := func(to, from net.Conn) { _, _ = io.Copy(to, from); _ = to.Close() }
			go forward(out, in)
			go forward(in, out)
		}
	}()
}

func (d *door) shut() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.listener != nil {
		_ = d.listener.Close()
		d.listener = nil
	}
	for _, conn := range d.conns {
		_ = conn.Close()
	}
	d.conns = nil
}

// throughDoor makes a client, and has its connections refused from then on until it
// has tried often enough to show that it tries again.
func throughDoor(t *testing.T, d *daemon) (c *client.Client, refuse func(*client.Client) *int) {
	t.Helper()
	door := newDoor(t, d)
	tries := 0
	sleep := func(context.Context, time.Duration) error {
		if tries++; tries == 3 {
			door.open()
		}
		time.Sleep(time.Millisecond) // for gRPC, which waits before it connects again
		return nil
	}
	c, err := client.Dial(client.Config{Address: door.addr, Sleep: sleep})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c, func(c *client.Client) *int {
		door.shut()
		// A staged write is never sent twice. So the connection must be known to be lost.
		for errors.Is(c.Health(t.Context()), nil) {
			time.Sleep(time.Millisecond)
		}
		tries = 0
		return &tries
	}
}

// Every call outlives a daemon that refuses connections for a while, as one does
// that is started again.
func TestRefused(t *testing.T) {
	d := startDaemon(t, server.Config{}, nil)
	name := client.RecordName{Agent: "a", Key: "k"}
	one := func(agent string) client.Batch {
		return client.Batch{Writes: []client.Write{client.Put(agent, "k", []byte(`{}`))}}
	}
	put(t, d.dial(client.Config{}), "a", "k", `{"v":1}`)
	for what, call := range map[string]func(context.Context, *client.Client) error{
		"Begin":     func(ctx context.Context, c *client.Client) error { _, err := c.Begin(ctx, 0); return err },
		"BeginHeld": func(ctx context.Context, c *client.Client) error { _, err := c.BeginHeld(ctx, 0); return err },
		"BatchGet": func(ctx context.Context, c *client.Client) error {
			_, err := c.BatchGet(ctx, []client.RecordName{name})
			return err
		},
		"Get": func(ctx context.Context, c *client.Client) error { _, err := c.Get(ctx, "a", "k"); return err },
		"GetAtVersion": func(ctx context.Context, c *client.Client) error {
			_, err := c.GetAtVersion(ctx, "a", "k", 1)
			return err
		},
		"GetTransaction": func(ctx context.Context, c *client.Client) error {
			_, err := c.GetTransaction(ctx, "nobody-used-this")
			return err
		},
		"History": func(ctx context.Context, c *client.Client) error {
			return some(c.History(ctx, "a", "k", client.HistoryQuery{}))
		},
		"ListAgents": func(ctx context.Context, c *client.Client) error { return some(c.ListAgents(ctx, "")) },
		"ListKeys": func(ctx context.Context, c *client.Client) error {
			return some(c.ListKeys(ctx, "a", client.ListQuery{}))
		},
		"List": func(ctx context.Context, c *client.Client) error {
			return some(c.List(ctx, "a", "/", client.ListQuery{}))
		},
		"Find": func(ctx context.Context, c *client.Client) error {
			return some(c.Find(ctx, client.FindQuery{AllAgents: true}))
		},
		"Diff": func(ctx context.Context, c *client.Client) error {
			return some(c.Diff(ctx, "a", client.DiffQuery{From: client.AtCommit(0)}))
		},
		"ListNamespaces": func(ctx context.Context, c *client.Client) error { return some(c.ListNamespaces(ctx)) },
		"Replay": func(ctx context.Context, c *client.Client) error {
			return some(c.Replay(ctx, client.ReplayQuery{AllAgents: true}))
		},
		"RunTxn": func(ctx context.Context, c *client.Client) error {
			_, err := c.RunTxn(ctx, func(t *client.Txn) error { return t.Write(ctx, "in a transaction", "k", []byte(`{}`)) })
			return err
		},
		"Scan":   func(ctx context.Context, c *client.Client) error { return some(c.Scan(ctx, "a", client.ListQuery{})) },
		"Status": func(ctx context.Context, c *client.Client) error { _, err := c.Status(ctx); return err },
		"Transact": func(ctx context.Context, c *client.Client) error {
			_, err := c.Transact(ctx, one("transact"))
			return err
		},
		"Version": func(ctx context.Context, c *client.Client) error { _, err := c.Version(ctx); return err },
		"Watch": func(ctx context.Context, c *client.Client) error {
			return some(c.Watch(ctx, client.WatchQuery{AllAgents: true}))
		},
	} {
		t.Run(what, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			c, refuse := throughDoor(t, d)
			tries := refuse(c)
			if err := call(ctx, c); err != nil || *tries < 3 {
				t.Errorf("after %d tries: %v", *tries, err)
			}
		})
	}
	for what, call := range map[string]func(context.Context, *client.Txn) error{
		"Abort":    func(ctx context.Context, t *client.Txn) error { return t.Abort(ctx) },
		"BatchGet": func(ctx context.Context, t *client.Txn) error { _, err := t.BatchGet(ctx, name); return err },
		"Commit":   func(ctx context.Context, t *client.Txn) error { _, err := t.Commit(ctx); return err },
		"Delete":   func(ctx context.Context, t *client.Txn) error { return t.Delete(ctx, "txn", "k") },
		"Get":      func(ctx context.Context, t *client.Txn) error { _, err := t.Get(ctx, "a", "k"); return err },
		"ListKeys": func(ctx context.Context, t *client.Txn) error { return some(t.ListKeys(ctx, "a", client.ListQuery{})) },
		"Scan":     func(ctx context.Context, t *client.Txn) error { return some(t.Scan(ctx, "a", client.ListQuery{})) },
		"Write":    func(ctx context.Context, t *client.Txn) error { return t.Write(ctx, "txn", "k", []byte(`{}`)) },
	} {
		t.Run("Txn."+what, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			c, refuse := throughDoor(t, d)
			txn, err := c.BeginHeld(ctx, 0)
			if err != nil {
				t.Fatal(err)
			}
			tries := refuse(c)
			if err := call(ctx, txn); err != nil || *tries < 3 {
				t.Errorf("after %d tries: %v", *tries, err)
			}
			if _, err := txn.Commit(ctx); what != "Abort" && err != nil {
				t.Errorf("the transaction does not commit: %v", err)
			}
		})
	}
}

// some reads the first item, of which there must be one.
func some[T any](seq func(func(T, error) bool)) error {
	for _, err := range seq {
		return err
	}
	return errors.New("nothing came")
}

// A commit that found no connection was not sent, so it is never called unknown,
// whatever it is that keeps the connection from being made.
func TestNoConnectionIsNotUnknown(t *testing.T) {
	const times = 24
	cert, caFile := selfSigned(t)
	_, strangers := selfSigned(t)
	plain := startDaemon(t, server.Config{}, nil)
	encrypted := startDaemon(t, server.Config{}, &tls.Config{Certificates: []tls.Certificate{cert}})
	nobody, silent, hangsUp := listen(t), listen(t), listen(t)
	_ = nobody.Close()
	go acceptAll(hangsUp, func(c net.Conn) { _ = c.Close() })
	var held []net.Conn // or the collector would close them
	go acceptAll(silent, func(c net.Conn) { held = append(held, c) })
	for _, tt := range []struct {
		what   string
		config client.Config
		atOnce bool // fail fast
		lasts  bool // no waiting helps: at once without fail fast, too
	}{
		{"nobody listens", client.Config{Address: nobody.Addr().String()}, true, false},
		{"unknown host", client.Config{Address: "no-such-host.invalid:50051"}, true, false},
		{"wrong authority", client.Config{Address: encrypted.addr, CAFile: strangers}, true, true},
		{"the system's authorities", client.Config{Address: encrypted.addr, TLS: &tls.Config{RootCAs: x509.NewCertPool()}}, true, true},
		{"TLS of the client alone", client.Config{Address: plain.addr, CAFile: caFile}, true, true},
		{"TLS of the daemon alone", client.Config{Address: encrypted.addr}, true, false},
		{"who hangs up", client.Config{Address: hangsUp.Addr().String()}, true, false},
		{"who says nothing", client.Config{Address: silent.Addr().String()}, false, false},
	} {
		for _, failFast := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, fail fast %v", tt.what, failFast), func(t *testing.T) {
				config := tt.config
				config.FailFast, config.Timeout = failFast, time.Minute
				late := !tt.lasts && (!failFast || !tt.atOnce)
				if late {
					config.Timeout = 300 * time.Millisecond
				}
				var all sync.WaitGroup
				for range times {
					all.Go(func() { noConnection(t, config, late) })
				}
				all.Wait()
			})
		}
	}
}

// noConnection commits by a client that finds no connection.
func noConnection(t *testing.T, config client.Config, late bool) {
	c, err := client.Dial(config)
	if err != nil {
		t.Error(err)
		return
	}
	defer func() { _ = c.Close() }()
	_, err = c.Transact(t.Context(), client.Batch{Writes: []client.Write{client.Put("a", "k", []byte(`{}`))}})
	if !errors.Is(err, client.ErrUnavailable) || errors.Is(err, client.ErrOutcomeUnknown) {
		t.Error(err)
	}
	if late != errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("its time was over: %v, wanted %v: %v", !late, late, err)
	}
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

func acceptAll(l net.Listener, then func(net.Conn)) {
	for {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		then(conn)
	}
}
