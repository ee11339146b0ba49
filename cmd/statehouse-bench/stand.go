package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"statehouse.dev/statehouse/client"
	"statehouse.dev/statehouse/client/reach"
	"statehouse.dev/statehouse/client/session"
	"statehouse.dev/statehouse/cmd/statehouse-bench/bench"
	"statehouse.dev/statehouse/cmd/statehouse-bench/rivals"
	"statehouse.dev/statehouse/cmd/statehouse-bench/wire"
	pb "statehouse.dev/statehouse/proto/statehouse/v1"
)

// Names of targets, and what is added to the name of a daemon for variants.
const (
	noopName      = "no-op"
	sessionSuffix = ", session"
	captureSuffix = ", capture on"
	largeSuffix   = ", large"
	idleSuffix    = ", idle watches"
	busySuffix    = ", watches on it"
	reopenedCase  = wire.Read + " after a start"
	largeRecords  = 10_000_000
	disk          = "fdatasync" // as bench.Disk is named
)

// stand is everything that is measured beside each other, in one directory.
type stand struct {
	dir     string
	targets []*bench.Target
	daemons []*daemon
	ends    []func()
}

func newStand(dir string) (*stand, error) {
	dir, err := filepath.Abs(dir) // servers run elsewhere
	if err != nil {
		return nil, err
	}
	s := &stand{}
	if s.dir, err = os.MkdirTemp(dir, "statehouse-bench-"); err != nil {
		return nil, err
	}
	s.atEnd(func() { _ = os.RemoveAll(s.dir) }) // what could not be removed is in a directory for such things
	return s, nil
}

// atEnd has something done when the stand is taken down, the last first.
func (s *stand) atEnd(f func()) { s.ends = append(s.ends, f) }

func (s *stand) takeDown() {
	for i := len(s.ends) - 1; i >= 0; i-- {
		s.ends[i]()
	}
}

// connect opens connections, which the clients of a target share in turn.
func (s *stand) connect(config client.Config, n int) ([]grpc.ClientConnInterface, error) {
	var conns []grpc.ClientConnInterface
	for range n {
		conn, err := client.Connect(config)
		if err != nil {
			return nil, err
		}
		s.atEnd(func() { _ = conn.Close() }) // nothing is under way
		conns = append(conns, reach.Authorised(conn, config.Token))
	}
	return conns, nil
}

// sessions is the same client over a session on each of the connections: that of the Go
// client.
func (s *stand) sessions(c *wire.Client, conns []grpc.ClientConnInterface) *wire.Client {
	var sessions []grpc.ClientConnInterface
	for _, conn := range conns {
		over := session.New(conn, session.Options{})
		s.atEnd(over.Close)
		sessions = append(sessions, over)
	}
	return c.Over(sessions...)
}

// noSessions says why a server has none: the client would make calls instead, and say
// nothing.
func noSessions(ctx context.Context, conn grpc.ClientConnInterface) (why string, err error) {
	stream, err := pb.NewStatehouseServiceClient(conn).Session(ctx)
	if err == nil {
		err = stream.CloseSend()
	}
	if err == nil {
		_, err = stream.Recv()
	}
	switch {
	case status.Code(err) == codes.Unimplemented:
		return "it knows no sessions", nil
	case errors.Is(err, io.EOF):
		return "", nil
	}
	return "", err
}

// addDisk adds what the disk alone takes.
func (s *stand) addDisk() error {
	t, end, err := bench.Disk(s.dir, wire.Commit)
	if err != nil {
		return err
	}
	s.atEnd(end)
	s.targets = append(s.targets, t)
	return nil
}

// addRivals starts other databases. One that cannot be started is in the report as
// missing.
func (s *stand) addRivals(ctx context.Context, a *app) error {
	ops := rivals.Names{Read: wire.Read, Commit: wire.Commit, Batch: wire.Batch, History: wire.History}
	for _, name := range a.rivals {
		dir, err := os.MkdirTemp(s.dir, name+"-")
		if err != nil {
			return err
		}
		r, err := rivals.Start(ctx, name, dir, wire.Values())
		if err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			s.targets = append(s.targets, &bench.Target{Name: name, Ops: ops.None(), Missing: err.Error()})
			continue
		}
		s.atEnd(r.End)
		a.say("filling %s", name)
		if err := r.Prepare(ctx, a.records, a.events()); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		s.targets = append(s.targets, r.Target(ops))
	}
	return nil
}

// pair puts the targets of the second daemon beside those of the first, so that what is
// compared is measured one right after the other.
func (s *stand) pair() {
	slices.SortStableFunc(s.targets, func(a, b *bench.Target) int { return s.place(a) - s.place(b) })
}

// place is where the first daemon's target of this variant stands.
func (s *stand) place(t *bench.Target) int {
	name := t.Name
	if variant, of := variantOf(name, nameB); of {
		name = nameA + variant
	}
	return slices.IndexFunc(s.targets, func(t *bench.Target) bool { return t.Name == name })
}

// variantOf is what a target of a daemon has after the daemon's name.
func variantOf(target, daemon string) (variant string, of bool) {
	variant, of = strings.CutPrefix(target, daemon)
	return variant, of && (variant == "" || variant[0] == ',')
}

// only are some of the operations.
func only(ops map[string]bench.Op, names ...string) map[string]bench.Op {
	some := make(map[string]bench.Op)
	for _, name := range names {
		some[name] = ops[name]
	}
	return some
}
