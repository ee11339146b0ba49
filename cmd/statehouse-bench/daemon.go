package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"statehouse.dev/statehouse/client"
	"statehouse.dev/statehouse/cmd/statehouse-bench/bench"
	"statehouse.dev/statehouse/cmd/statehouse-bench/child"
	"statehouse.dev/statehouse/cmd/statehouse-bench/wire"
	pb "statehouse.dev/statehouse/proto/statehouse/v1"
)

// daemon is one that is measured.
type daemon struct {
	name    string
	version string
	client  *wire.Client
	records int
	// Of one that was started here:
	command []string
	address string
	process *child.Process
}

// findDaemon is the statehoused to start: beside this program, or in PATH.
func findDaemon() (string, error) {
	if own, err := os.Executable(); err == nil {
		if path, err := exec.LookPath(filepath.Join(filepath.Dir(own), "statehoused")); err == nil {
			return path, nil
		}
	}
	path, err := exec.LookPath("statehoused")
	if err != nil {
		return "", errors.New("there is no statehoused beside this program or in PATH to start: say where with --daemon PATH, or measure one that runs with --address")
	}
	return path, nil
}

// startDaemon starts one on a store of its own. The command is a path and flags; before is what
// runs it.
func (s *stand) startDaemon(ctx context.Context, name, command string, records, watchers int, before ...string) (*daemon, error) {
	fields := strings.Fields(command)
	path, err := exec.LookPath(fields[0])
	if err == nil {
		path, err = filepath.Abs(path)
	}
	if err != nil {
		return nil, usageError{err}
	}
	port, err := child.FreePort()
	if err != nil {
		return nil, err
	}
	store, err := os.MkdirTemp(s.dir, "store-")
	if err != nil {
		return nil, err
	}
	d := &daemon{name: name, records: records, address: net.JoinHostPort("127.0.0.1", port)}
	d.command = append(before, path, "--data-dir", filepath.Join(store, "data"), "--listen-addr", d.address)
	d.command = append(d.command, fields[1:]...)
	if watchers > 1000 {
		d.command = append(d.command, fmt.Sprintf("--max-streams=%d", watchers+64))
	}
	s.atEnd(d.end)
	return d, d.start(ctx)
}

func (d *daemon) start(ctx context.Context) (err error) {
	d.process, err = child.Start(ctx, child.Command{Path: d.command[0], Args: d.command[1:], Ready: regexp.MustCompile("msg=serving ")})
	return err
}

func (d *daemon) end() {
	if d.process != nil {
		d.process.End()
	}
}

// cpu is its processor time; nil if it is not a process of this machine that can be seen.
func (d *daemon) cpu() func() (time.Duration, error) {
	if d.command != nil {
		return func() (time.Duration, error) { return d.process.CPU() }
	}
	address, err := client.ParseAddress(d.address)
	if err != nil || !address.Loopback() {
		return nil
	}
	pid, ok := child.Listening(fmt.Sprint(address.Port))
	if !ok {
		return nil
	}
	return func() (time.Duration, error) { return child.TreeCPU(pid) }
}

// addDaemon connects to it, fills it, and adds what is measured of it.
func (s *stand) addDaemon(ctx context.Context, a *app, d *daemon, config client.Config) (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("%s: %w", d.name, err)
		}
	}()
	config.Address = d.address
	conns, err := s.connect(config, a.conns)
	if err != nil {
		return err
	}
	d.client = wire.New(d.records, a.events(), conns...)
	if d.version, err = d.client.Version(ctx); err != nil {
		return err
	}
	a.say("filling %s", d.name)
	if err := d.client.Prepare(ctx); err != nil {
		return err
	}
	missing, err := noSessions(ctx, conns[0])
	if err != nil {
		return err
	}
	if s.daemons = append(s.daemons, d); strings.HasSuffix(d.name, largeSuffix) {
		s.targets = append(s.targets, &bench.Target{Name: d.name, Ops: only(d.client.Ops(), wire.Read, wire.Commit), CPU: d.cpu()})
		return nil
	}
	if err := d.client.PrepareHistory(ctx); err != nil {
		return err
	}
	s.targets = append(s.targets,
		&bench.Target{Name: d.name, Ops: d.client.Ops(), CPU: d.cpu()},
		&bench.Target{Name: d.name + sessionSuffix, Ops: only(s.sessions(d.client, conns).Ops(), wire.Read, wire.Commit, wire.Batch), CPU: d.cpu(), Missing: missing})
	if a.capture {
		captures := pb.NewCaptureServiceClient(conns[0])
		s.targets = append(s.targets, &bench.Target{Name: d.name + captureSuffix, Ops: only(d.client.Ops(), wire.Read, wire.Commit), CPU: d.cpu(), Around: captured(captures)})
	}
	return s.addWatched(ctx, a, d)
}

// addWatched adds the daemon with watches on it.
func (s *stand) addWatched(ctx context.Context, a *app, d *daemon) error {
	if a.watchers == 0 {
		return nil
	}
	if err := d.client.PrepareWatches(ctx, a.watchers); err != nil {
		return err
	}
	idle, busy := &wire.Watches{Client: d.client, Number: a.watchers}, &wire.Watches{Client: d.client, Number: a.watchers, Busy: true}
	s.targets = append(s.targets,
		&bench.Target{Name: d.name + idleSuffix, Ops: only(d.client.Ops(), wire.Commit), CPU: d.cpu(), Around: idle.Open},
		&bench.Target{Name: d.name + busySuffix, Ops: only(d.client.Ops(), wire.CommitBusy), CPU: d.cpu(), Around: busy.Open, Delivered: busy.Delivered})
	return nil
}

// captured has everything recorded during a burst.
func captured(captures pb.CaptureServiceClient) func(context.Context) (func(), error) {
	return func(ctx context.Context) (func(), error) {
		st, err := captures.GetCaptureStatus(ctx, &pb.GetCaptureStatusRequest{})
		if err != nil {
			return nil, err
		}
		if st.GetOn() {
			return nil, errors.New("a capture is on, and would be forgotten: dump and stop it before its cost is measured")
		}
		if _, err := captures.StartCapture(ctx, &pb.StartCaptureRequest{}); err != nil {
			return nil, err
		}
		return func() { _, _ = captures.StopCapture(context.WithoutCancel(ctx), &pb.StopCaptureRequest{}) }, nil // if it failed the next start tells
	}
}

// reopen measures reads just after a start, a restart for each round.
func (s *stand) reopen(ctx context.Context, a *app, r *bench.Results) error {
	c := bench.Case{Op: wire.Read, Clients: a.clients[len(a.clients)-1]}
	for round := range a.rounds {
		for _, d := range s.daemons {
			if d.command == nil {
				continue
			}
			a.say("restart %d of %d: %s", round+1, a.rounds, d.name)
			d.end()
			if err := d.start(ctx); err != nil {
				return err
			}
			if err := d.reached(ctx, a.conns); err != nil {
				return fmt.Errorf("%s: %w", d.name, err)
			}
			t := &bench.Target{Name: d.name, Ops: d.client.Ops(), CPU: d.cpu()}
			b, err := bench.Measure(ctx, t, c, a.duration)
			if err != nil {
				return fmt.Errorf("%s: %w", d.name, err)
			}
			r.Add(bench.Case{Op: reopenedCase, Clients: c.Clients}, d.name, b)
		}
	}
	return nil
}

// reached waits until every connection is made again.
func (d *daemon) reached(ctx context.Context, conns int) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for i := range conns {
		for d.client.Ping(ctx, i) != nil {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(10 * time.Millisecond):
			}
		}
	}
	return nil
}
