// Package statehousetest runs a real Statehouse in memory, for tests of programs that use one:
//
//	c := statehousetest.New(t)
//
// is a client of a daemon of the test's own, which ends with the test. It is what statehoused runs, without a disk:
// conflicts, leases, watches and limits are the real ones, so there is nothing that a test could get wrong by
// imitating it.
//
// A program that makes its own client is told Daemon.Address. Tests that share a daemon get a namespace each from
// Daemon.Client. Time stands still in a daemon that has a Clock until the test moves it, and what is due
// by then has happened when Advance returns. Restart keeps what is stored, and loses what a restart
// loses: open transactions that the daemon holds, and connections.
//
// It is for tests only, and stands above the client's wall on purpose: it imports the server that the client must
// share no code with, and nothing that is not a test may import it.
package statehousetest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"

	"statehouse.dev/statehouse/client"
	"statehouse.dev/statehouse/engine"
	"statehouse.dev/statehouse/server"
)

// Options say what a daemon is like. The zero value is one that lets in anybody, on a free port, by the
// machine's clock.
type Options struct {
	// Clock is the time in the daemon and in its clients; nil: the machine's.
	Clock *Clock
	// Token must come with every request, as from statehoused --token; "": none need.
	Token string
	// ListenAddr is where it listens; a free port of 127.0.0.1.
	ListenAddr string
	// Log is told of what the daemon logs. May be nil.
	Log func(event string, attrs ...any)
}

// Daemon is a Statehouse in this process.
type Daemon struct {
	// Address is where it listens, for client.Config.Address. It stays the same after a restart.
	Address string

	options Options
	env     engine.Env
	end     func() error
	probe   *client.Client // of the clock
}

// New starts a daemon for a test, and returns a client of it. Both end with the test.
func New(t testing.TB) *client.Client {
	t.Helper()
	return Start(t, Options{}).Client(t)
}

// Start starts a daemon that ends with the test.
func Start(t testing.TB, o Options) *Daemon {
	t.Helper()
	d, err := Run(o)
	if err != nil {
		t.Fatalf("statehousetest: %v", err)
	}
	t.Cleanup(func() {
		if err := d.Stop(); err != nil {
			t.Errorf("statehousetest: %v", err)
		}
	})
	return d
}

// Run starts a daemon without a test, such as for all tests of a package in TestMain.
func Run(o Options) (*Daemon, error) {
	if o.ListenAddr == "" {
		o.ListenAddr = "127.0.0.1:0"
	}
	d := &Daemon{Address: o.ListenAddr, options: o}
	halted := func(err error) { panic(fmt.Sprintf("statehousetest: the daemon halted: %v", err)) }
	d.env = engine.MemoryEnv(halted, o.Log)
	if o.Clock != nil {
		d.env.Now = o.Clock.Now
	}
	if err := d.start(); err != nil {
		return nil, err
	}
	if o.Clock != nil {
		var err error
		if d.probe, err = d.Dial(client.Config{Namespace: "statehousetest", FailFast: true}); err != nil {
			return nil, errors.Join(err, d.end())
		}
		o.Clock.attach(d.probe)
	}
	return d, nil
}

func (d *Daemon) start() error {
	service, err := server.Assemble(d.env, server.Config{Engine: engine.Options{Dir: "data"}, Token: d.options.Token, Version: "test"})
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", d.Address)
	if err != nil {
		return errors.Join(err, service.Close())
	}
	d.Address = l.Addr().String()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- service.Serve(ctx, nil, l) }()
	d.end = sync.OnceValue(func() error {
		cancel()
		return errors.Join(<-done, service.Close())
	})
	return nil
}

// Restart stops the daemon and starts it again, at the same address, with what is stored.
func (d *Daemon) Restart(t testing.TB) {
	t.Helper()
	if err := errors.Join(d.end(), d.start()); err != nil {
		t.Fatalf("statehousetest: restarting: %v", err)
	}
}

// Stop ends the daemon. Those of Start are stopped by their test.
func (d *Daemon) Stop() error {
	if d.probe != nil {
		d.options.Clock.detach(d.probe)
		_ = d.probe.Close()
	}
	return d.end()
}

// Client is a client of the daemon, in the namespace that is named after the test. It is closed with the test.
func (d *Daemon) Client(t testing.TB) *client.Client {
	t.Helper()
	c, err := d.Dial(client.Config{Namespace: Namespace(t)})
	if err != nil {
		t.Fatalf("statehousetest: %v", err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// Dial is a client of the daemon as config says, which the caller closes. What config leaves open of the
// address, the token and the clock is the daemon's.
func (d *Daemon) Dial(config client.Config) (*client.Client, error) {
	if config.Address == "" {
		config.Address = d.Address
	}
	if config.Token == "" {
		config.Token = d.options.Token
	}
	if config.Now == nil && d.options.Clock != nil {
		config.Now = d.options.Clock.Now
	}
	return client.Dial(config)
}

// Namespace is the name of a test as one of a namespace: TestPlan/of_two is test-TestPlan-of_two.
func Namespace(t testing.TB) string {
	return "test-" + strings.ReplaceAll(t.Name(), "/", "-")
}
