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
	grpcmetadata "google.golang.org/grpc/metadata"

	"statehouse.dev/statehouse/client"
	"statehouse.dev/statehouse/cmd/connect"
	"statehouse.dev/statehouse/cmd/show"
	"statehouse.dev/statehouse/cmd/statehouse-bench/bench"
)

const rootHelp = `statehouse-bench measures a running daemon (durable commits, interactive commits,
batches of 100, reads, reads as of an earlier commit, scans, replay) and, in the same
run, its ceilings: the Health call at the same concurrency, which is what gRPC alone
allows, and writing and syncing the same bytes. Compare the ratios, not the figures.

What the engine does without gRPC is measured by: go test -bench . ./engine

What it writes into the daemon stays there for good, in the namespace "bench": it says
where and how much and asks first. Where there is no terminal to ask on, or with --json,
it wants --yes. Progress goes to standard error (none with --json), the report to standard
output.

Exit codes: 0 measured, whatever came of it, 1 failed, or not allowed to write, 2 wrong
usage, 130 interrupted.`

// app is the tool: the outside world and the flags.
type app struct {
	in       io.Reader
	out, err io.Writer
	daemon   connect.Flags
	asJSON   bool

	clients  []int
	duration time.Duration
	rounds   int
	conns    int
	dir      string
	capture  bool
	yes      bool
}

// newRoot is the whole tool on the given streams.
func newRoot(in io.Reader, out, err io.Writer) *cobra.Command {
	a := &app{in: in, out: out, err: err, daemon: connect.Flags{Getenv: os.Getenv, Err: err}}
	root := &cobra.Command{
		Use: "statehouse-bench", Short: "Measure a running daemon against its ceilings",
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
	f := root.Flags()
	f.IntSliceVar(&a.clients, "clients", []int{1, 8, 64, 256}, "concurrencies to measure")
	f.DurationVar(&a.duration, "duration", 2*time.Second, "of one measurement")
	f.IntVar(&a.rounds, "rounds", 3, "rounds of what the ratios are made of; their median counts")
	f.IntVar(&a.conns, "connections", 4, "connections that the clients share")
	f.StringVar(&a.dir, "dir", os.TempDir(), "where to measure the disk; best on the daemon's disk")
	f.BoolVar(&a.capture, "capture", false, "measure what a capture costs; one that was stopped is forgotten")
	f.BoolVarP(&a.yes, "yes", "y", false, "do not ask whether to write")
	f.BoolVar(&a.asJSON, "json", false, "print one JSON object; an error is one on standard error")
	a.daemon.Register(f)
	f.Bool("engine", false, "") // of statehousectl bench: accepted for one more version where it asks for nothing
	f.Int("records", 0, "")
	f.String("namespace", "", "")
	for _, former := range []string{"engine", "records", "namespace"} {
		f.Lookup(former).Hidden = true
	}
	return root
}

// check refuses what makes no sense, and what was not allowed.
func (a *app) check(cmd *cobra.Command) error {
	if err := a.daemon.Complete(cmd.Flags()); err != nil {
		return err
	}
	if f := cmd.Flags(); f.Lookup("engine").Value.String() != "false" || f.Lookup("records").Value.String() != "0" {
		return errors.New("the engine without gRPC is not measured here any more, but by: go test -bench . ./engine")
	}
	if a.conns < 1 || a.rounds < 1 || a.duration <= 0 {
		return errors.New("--connections and --rounds must be at least 1, --duration more than 0")
	}
	if i := slices.IndexFunc(a.clients, func(n int) bool { return n < 1 }); i >= 0 {
		return fmt.Errorf("--clients must be at least 1, not %d", a.clients[i])
	}
	return nil
}

// run measures and prints the report.
func (a *app) run(ctx context.Context) error {
	config, err := a.daemon.Config()
	if err != nil {
		return usageError{err}
	}
	if err := a.confirm(); err != nil {
		return err
	}
	dir, err := os.MkdirTemp(a.dir, "statehouse-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	o := bench.Options{Clients: a.clients, Duration: a.duration, Rounds: a.rounds, Dir: dir, Capture: a.capture, Progress: a.err}
	if a.asJSON {
		o.Progress = io.Discard
	}
	if config.Token != "" {
		ctx = grpcmetadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+config.Token)
	}
	for range a.conns {
		conn, err := client.Connect(config)
		if err != nil {
			return err
		}
		defer conn.Close()
		o.Conns = append(o.Conns, conn)
	}
	report, err := bench.Run(ctx, o)
	if err != nil {
		return err
	}
	return a.print(report)
}
