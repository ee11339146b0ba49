package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"
	grpcmetadata "google.golang.org/grpc/metadata"

	"statehouse.dev/statehouse/client"
	"statehouse.dev/statehouse/cmd/show"
	"statehouse.dev/statehouse/cmd/statehousectl/bench"
)

const benchHelp = `bench measures a running daemon (durable commits, interactive commits, batches of
100, reads, reads as of an earlier commit, scans, replay) and, in the same run, its
ceilings: the Health call at the same concurrency, which is what gRPC alone allows,
and writing and syncing the same bytes. Compare the ratios, not the figures.

With --engine, the default, it also measures the engine without gRPC, the disk space
it takes, and latencies with --records records, in a temporary directory under --dir.
That takes some minutes and a few GB with 10,000,000 records.

What it writes into the daemon stays there for good, in the namespace "bench": bench
says where and how much and asks first. Where nobody can be asked, or with --json, it
wants --yes. Progress goes to standard error (none with --json), the report to standard
output.`

type benchFlags struct {
	clients  []int
	duration time.Duration
	rounds   int
	conns    int
	dir      string
	engine   bool
	records  int
	capture  bool
	yes      bool
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
	flags.BoolVarP(&f.yes, "yes", "y", false, "do not ask whether to write")
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
	config, err := a.config()
	if err != nil {
		return err
	}
	if err := a.confirm(f); err != nil {
		return err
	}
	dir, err := os.MkdirTemp(f.dir, "statehouse-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	o := bench.Options{
		Clients: f.clients, Duration: f.duration, Rounds: f.rounds, Dir: dir, Engine: f.engine, Records: f.records, Capture: f.capture, Progress: a.err,
	}
	if a.asJSON {
		o.Progress = io.Discard
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

// confirm asks whether what bench does to a store, which cannot be undone, is meant.
func (a *app) confirm(f *benchFlags) error {
	if f.yes {
		return nil
	}
	what := benchCost(f, a.address)
	terminal, ok := a.in.(*os.File)
	if a.asJSON || !ok || !term.IsTerminal(int(terminal.Fd())) {
		return usagef("%s\nSay --yes if that is meant.", what)
	}
	if _, err := fmt.Fprint(a.err, printable(what)+"\nGo on? [y/N] "); err != nil {
		return err
	}
	answer, err := bufio.NewReader(a.in).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	switch strings.ToLower(strings.TrimSpace(answer)) {
	case "y", "yes":
		return nil
	}
	return failedf("nothing was measured, and nothing written")
}

// benchCost says what is written, and where.
func benchCost(f *benchFlags, address string) string {
	writing := bench.Writing(f.clients, f.duration, f.rounds)
	cost := fmt.Sprintf("bench writes into the namespace %q of the daemon at %s: %d versions of records (about %s), and then commits as fast as it can for %v.\n"+
		"Nothing of that can be deleted for good: it stays in the store and its log.", bench.Namespace, quote(address), bench.FixedRecords, size(bench.FixedBytes), writing)
	if f.engine {
		cost += fmt.Sprintf("\nIt also makes a store of %s below %s, which it removes at the end.", show.Count(f.records, "record"), quote(f.dir))
	}
	return cost
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
