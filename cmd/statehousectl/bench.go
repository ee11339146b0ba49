package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"
	grpcmetadata "google.golang.org/grpc/metadata"

	"statehouse.dev/statehouse/client"
	"statehouse.dev/statehouse/cmd/statehousectl/bench"
)

const benchHelp = `bench measures a running daemon (durable commits, interactive commits, batches of
100, reads, reads as of an earlier commit, scans, replay) and, in the same run, its
ceilings: the Health call at the same concurrency, which is what gRPC alone allows,
and writing and syncing the same bytes. Compare the ratios, not the figures.

With --engine, the default, it also measures the engine without gRPC, the disk space
it takes, and latencies with --records records, in a temporary directory under --dir.
That takes some minutes and a few GB with 10,000,000 records.

What it writes into the daemon stays there, in the namespace "bench". Progress goes to
standard error, the report to standard output.`

type benchFlags struct {
	clients  []int
	duration time.Duration
	rounds   int
	conns    int
	dir      string
	engine   bool
	records  int
	capture  bool
}

func (a *app) benchCommand() *cobra.Command {
	var f benchFlags
	cmd := &cobra.Command{
		Use:   "bench",
		Short: "Measure a running daemon against its ceilings",
		Long:  benchHelp,
		Args:  takes(0, 0),
		RunE: a.local(func(ctx context.Context, p *printer, _ []string) error {
			return a.bench(ctx, p, &f)
		}),
	}
	flags := cmd.Flags()
	flags.IntSliceVar(&f.clients, "clients", []int{1, 8, 64, 256}, "concurrencies to measure")
	flags.DurationVar(&f.duration, "duration", 2*time.Second, "of one measurement")
	flags.IntVar(&f.rounds, "rounds", 3, "rounds of what the ratios are made of; their median counts")
	flags.IntVar(&f.conns, "connections", 4, "connections that the clients share")
	flags.StringVar(&f.dir, "dir", os.TempDir(), "where to measure the disk and the engine; best on the daemon's disk")
	flags.BoolVar(&f.engine, "engine", true, "measure the engine without gRPC, too")
	flags.IntVar(&f.records, "records", 10_000_000, "size of the largest store to measure latencies with; 0: leave that out")
	flags.BoolVar(&f.capture, "capture", false, "measure what a capture costs; one that was stopped is forgotten")
	return cmd
}

func (a *app) bench(ctx context.Context, p *printer, f *benchFlags) error {
	if f.conns < 1 || f.rounds < 1 || f.duration <= 0 || f.records < 0 {
		return usagef("--connections and --rounds must be at least 1, --duration more than 0, --records not negative")
	}
	for _, c := range f.clients {
		if c < 1 {
			return usagef("--clients must be at least 1, not %d", c)
		}
	}
	dir, err := os.MkdirTemp(f.dir, "statehouse-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	o := bench.Options{
		Clients: f.clients, Duration: f.duration, Rounds: f.rounds, Dir: dir, Engine: f.engine, Records: f.records, Capture: f.capture, Progress: a.err,
	}
	config, err := a.config()
	if err != nil {
		return err
	}
	if config.Token != "" {
		ctx = grpcmetadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+config.Token)
	}
	for range f.conns {
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
	if a.asJSON {
		return p.object(report)
	}
	return printBench(p, report)
}

func printBench(p *printer, r *bench.Report) error {
	if err := p.line("%-86s %8s %10s", "ratio", "value", "aim"); err != nil {
		return err
	}
	for _, q := range r.Ratios {
		bound, met := ">=", ""
		if q.AtMost {
			bound = "<="
		}
		if !q.Met {
			met = "  missed"
		}
		if err := p.line("%-86s %8.2f %10s%s", q.Name, q.Value, fmt.Sprintf("%s %g", bound, q.Aim), met); err != nil {
			return err
		}
	}
	return nil
}
