package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"statehouse.dev/statehouse/client"
	"statehouse.dev/statehouse/cmd/connect"
	"statehouse.dev/statehouse/cmd/show"
	"statehouse.dev/statehouse/cmd/statehouse-bench/bench"
	"statehouse.dev/statehouse/cmd/statehouse-bench/rivals"
	"statehouse.dev/statehouse/cmd/statehouse-bench/wire"
)

const rootHelp = `statehouse-bench measures a daemon side by side with what it cannot be better than: a
server that does nothing, with messages of the same size, and the disk's fdatasync. All
cases run in short bursts, turn and turn about, so that noise hits all alike, and the
medians of several rounds are printed: rates, latencies, and the processor time of server
and client per operation. Compare the ratios, not the figures.

Without --address it starts a statehoused (--daemon, or the one beside it or in PATH) on a
store of its own, which is removed at the end. What it writes into a daemon that runs stays
there for good: it says how much and asks first. Where there is no terminal to ask on, or
with --json, it wants --yes.

Two builds are compared with --against-daemon PATH, two that run with --against ADDRESS: A,
the first, is then divided by B in every case. Either path may have flags of the daemon
after it: --daemon "bin/statehoused --cache-mb=64".

--rivals names databases that are started beside it where they are installed, each with
every answer synced to disk: ` + `redis, postgresql, etcd, nats.

What the engine does without gRPC is measured by: go test -bench . ./engine

Exit codes: 0 measured, whatever came of it, 1 failed, or not allowed to write, 2 wrong
usage, 130 interrupted.`

// Names of the daemons. One alone is the first.
const (
	nameOne = "statehouse"
	nameA   = "A"
	nameB   = "B"
)

// busyWriters is how many clients write to the agent that is watched.
const busyWriters = 8

// app is the tool: the outside world and the flags.
type app struct {
	in       io.Reader
	out, err io.Writer
	daemon   connect.Flags
	asJSON   bool
	yes      bool

	command        string
	against        string
	againstCommand string
	rivals         []string

	ops      []string
	clients  []int
	duration time.Duration
	rounds   int
	conns    int
	records  int
	watchers int
	large    int
	capture  bool
	dir      string
}

// newRoot is the whole tool on the given streams.
func newRoot(in io.Reader, out, err io.Writer) *cobra.Command {
	a := &app{in: in, out: out, err: err, daemon: connect.Flags{Getenv: os.Getenv, Err: err}}
	root := &cobra.Command{
		Use: "statehouse-bench", Short: "Measure a daemon against its ceilings, another build, other databases",
		Long: rootHelp, Version: version + " (" + gitSHA + ")", Args: show.Takes(0, 0), SilenceUsage: true, SilenceErrors: true,
		PreRunE: func(cmd *cobra.Command, _ []string) error { return a.check(cmd) },
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := a.run(cmd.Context()); err != nil {
				return &failure{err}
			}
			return nil
		},
	}
	root.SetOut(out)
	root.SetErr(show.NewWriter(err))
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return show.FlagError(err) })
	root.CompletionOptions.DisableDefaultCmd = true
	root.SetHelpCommand(&cobra.Command{Hidden: true})
	root.AddCommand(a.noopCommand(), a.overloadCommand(), a.failoverCommand())
	f := root.Flags()
	f.StringVar(&a.command, "daemon", "", "statehoused to start, and its flags; the one beside this program, or in PATH, if empty")
	f.StringVar(&a.againstCommand, "against-daemon", "", "statehoused to start as well, and to compare with")
	f.StringVar(&a.against, "against", "", "address of a daemon to compare the one at --address with")
	f.StringSliceVar(&a.rivals, "rivals", nil, "databases to start beside it: redis, postgresql, etcd, nats; all for all")
	f.StringSliceVar(&a.ops, "cases", nil, "what to measure, by the beginnings of the names that are printed; all if empty")
	f.IntSliceVar(&a.clients, "clients", []int{1, 64}, "concurrencies of reads and commits; ratios are those of the last")
	f.DurationVar(&a.duration, "duration", 200*time.Millisecond, "of one burst")
	f.IntVar(&a.rounds, "rounds", 9, "rounds of all bursts; their medians count")
	f.IntVar(&a.conns, "connections", 4, "connections that the clients share")
	f.IntVar(&a.records, "records", 100_000, "records of 256 bytes to write first, of 64 agents; and a fifth as many events, up to 100,000")
	f.IntVar(&a.watchers, "watchers", 0, "measure commits with so many watches open, too")
	f.IntVar(&a.large, "large", 0, "measure another store beside, of so many records; 10,000,000 if no number is given: 8 GB of disk, and minutes")
	f.Lookup("large").NoOptDefVal = "10000000"
	f.BoolVar(&a.capture, "capture", false, "measure what a capture costs; one that was stopped is forgotten")
	f.StringVar(&a.dir, "dir", os.TempDir(), "where stores are made, and the disk is measured")
	f.BoolVarP(&a.yes, "yes", "y", false, "do not ask whether to write")
	f.BoolVar(&a.asJSON, "json", false, "print one JSON object; an error is one on standard error")
	a.daemon.Register(f)
	f.Bool("engine", false, "") // of statehousectl bench: accepted for one more version where it asks for nothing
	f.String("namespace", "", "")
	for _, former := range []string{"engine", "namespace"} {
		f.Lookup(former).Hidden = true
	}
	return root
}

// check refuses what makes no sense, and what was not allowed.
func (a *app) check(cmd *cobra.Command) error {
	f := cmd.Flags()
	if err := a.daemon.Complete(f); err != nil {
		return err
	}
	if f.Lookup("engine").Value.String() != "false" {
		return errors.New("the engine without gRPC is not measured here any more, but by: go test -bench . ./engine")
	}
	if a.conns < 1 || a.rounds < 1 || a.duration <= 0 || a.records < 1 || a.watchers < 0 || a.large < 0 {
		return errors.New("--connections, --rounds and --records must be at least 1, --watchers and --large at least 0, --duration more than 0")
	}
	if len(a.clients) == 0 {
		return errors.New("--clients is empty")
	}
	if i := slices.IndexFunc(a.clients, func(n int) bool { return n < 1 || n > wire.MostClients }); i >= 0 {
		return fmt.Errorf("--clients must be 1 to %d, not %d", wire.MostClients, a.clients[i])
	}
	started := f.Changed("daemon") || f.Changed("against-daemon")
	switch {
	case f.Changed("address") && started:
		return errors.New("--address is a daemon that runs, --daemon and --against-daemon are started here: give one or the other")
	case a.against != "" && !a.daemon.Given:
		return errors.New("--against needs an --address to compare with")
	case a.against != "" && started:
		return errors.New("--against is a daemon that runs, --daemon and --against-daemon are started here: give one or the other")
	}
	a.daemon.Given = a.daemon.Given && !started
	if a.large > 0 && a.daemon.Given {
		return errors.New("--large measures stores that are made for it: leave --address out")
	}
	return a.checkNames()
}

func (a *app) checkNames() error {
	if slices.Equal(a.rivals, []string{"all"}) {
		a.rivals = rivals.All
	}
	for _, name := range a.rivals {
		if !slices.Contains(rivals.All, name) {
			return fmt.Errorf("--rivals: %q is not one of redis, postgresql, etcd, nats, all", name)
		}
	}
	for _, op := range a.ops {
		if len(a.casesOf(op)) == 0 {
			return fmt.Errorf("--cases: no case's name begins with %q", op)
		}
	}
	return nil
}

// run measures and prints the report.
func (a *app) run(ctx context.Context) error {
	config, err := a.daemon.Config()
	if err != nil {
		return usageError{err}
	}
	if a.daemon.Given {
		if err := a.confirm(); err != nil {
			return err
		}
	}
	s, err := newStand(a.dir)
	if err != nil {
		return err
	}
	defer s.takeDown()
	if err := a.build(ctx, s, config); err != nil {
		return err
	}
	file, terminal := a.err.(*os.File)
	terminal = terminal && term.IsTerminal(int(file.Fd()))
	progress := bench.Lines(a.progress(), a.rounds, terminal && !a.asJSON)
	r, err := bench.Run(ctx, bench.Options{Targets: s.targets, Cases: a.cases(), Duration: a.duration, Rounds: a.rounds, Progress: progress})
	if terminal {
		a.say("")
	}
	if err != nil {
		return err
	}
	if len(a.ops) == 0 {
		if err := s.reopen(ctx, a, r); err != nil {
			return err
		}
	}
	return a.print(a.report(s, r))
}

// build puts up everything that is measured.
func (a *app) build(ctx context.Context, s *stand, config client.Config) error {
	daemons, err := a.daemons(ctx, s)
	if err != nil {
		return err
	}
	if err := s.addNoop(ctx, a); err != nil {
		return err
	}
	for _, d := range daemons {
		if err := s.addDaemon(ctx, a, d, config); err != nil {
			return err
		}
	}
	s.pair()
	if err := s.addDisk(); err != nil {
		return err
	}
	return s.addRivals(ctx, a)
}

// daemons are those to measure: the ones that run, or those that it starts.
func (a *app) daemons(ctx context.Context, s *stand) (all []*daemon, err error) {
	name := nameOne
	if a.against != "" || a.againstCommand != "" {
		name = nameA
	}
	if a.daemon.Given {
		all = append(all, &daemon{name: name, records: a.records, address: a.daemon.Address})
		if a.against != "" {
			all = append(all, &daemon{name: nameB, records: a.records, address: a.against})
		}
		return all, nil
	}
	if a.command == "" {
		if a.command, err = findDaemon(); err != nil {
			return nil, usageError{err}
		}
	}
	add := func(name, command string, records int) {
		var d *daemon
		if err == nil {
			d, err = s.startDaemon(ctx, name, command, records, a.watchers)
			all = append(all, d)
		}
	}
	add(name, a.command, a.records)
	if a.againstCommand != "" {
		add(nameB, a.againstCommand, a.records)
	}
	if a.large > 0 {
		add(name+largeSuffix, a.command, a.large)
	}
	return all, err
}

// say tells of progress, unless a program reads.
func (a *app) say(format string, args ...any) { fmt.Fprintf(a.progress(), format+"\n", args...) }

func (a *app) progress() io.Writer {
	if a.asJSON {
		return io.Discard
	}
	return a.err
}
