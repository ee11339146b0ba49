package main

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"statehouse.dev/statehouse/sim/interleave"
	"statehouse.dev/statehouse/sim/interleave/programs"
	"statehouse.dev/statehouse/sim/planted"
)

func (a *app) interleaveCommand() *cobra.Command {
	var o programs.Options
	cmd := &cobra.Command{
		Use: "interleave", Short: "Let goroutines of the daemon's code take turns in many orders", Args: cobra.NoArgs,
		Long: `interleave looks for what depends on the order in which goroutines run: a watch that is
not woken, an answer before its commit is published, a lock given back too early. It
builds the engine, the senders of streams and the recorder so that they stop at every
lock, atomic and channel operation and go statement, and runs small programs on them, in
which the seed decides who goes on at each of these points.

A schedule that fails is printed as the switches from one thread to the next, and happens
again with --program and --seed. The programs:

` + programList() + `
It needs the go command and the repository.`,
		Example: "  statehouse-sim interleave --for 1m\n  statehouse-sim interleave --program watches --seed 7 --count 1",
		RunE:    func(cmd *cobra.Command, _ []string) error { return a.interleave(cmd.Context(), o) },
	}
	f := cmd.Flags()
	f.DurationVar(&o.For, "for", 30*time.Second, "how long to run schedules; 0: no limit")
	f.Uint64Var(&o.Seed, "seed", 1, "the first seed")
	f.Uint64Var(&o.Count, "count", 0, "how many seeds; 0: as many as the time allows")
	f.StringVar(&o.Program, "program", "", "only this program; empty: each in turn")
	return cmd
}

func programList() string {
	var b strings.Builder
	for _, p := range programs.All() {
		fmt.Fprintf(&b, "  %-14s %s\n", p.Name, p.About)
	}
	return b.String()
}

func (a *app) interleave(ctx context.Context, o programs.Options) error {
	known := func(p programs.Program) bool { return p.Name == o.Program }
	if o.For < 0 || o.For == 0 && o.Count == 0 || o.Program != "" && !slices.ContainsFunc(programs.All(), known) {
		return failed(exitUsage, "--for must not be negative, nor 0 without --count; --program is one of those that --help lists")
	}
	root, err := planted.Root(ctx, ".")
	if err != nil {
		return failed(exitUsage, "%v", err)
	}
	r, err := exploreIn(ctx, root, nil, o)
	switch {
	case ctx.Err() != nil:
		return failed(exitInterrupted, "interrupted")
	case err != nil:
		return failed(exitInternal, "%v", err)
	}
	return a.concludeInterleave(r)
}

// exploreIn builds the program that explores, with some files edited, and runs it.
func exploreIn(ctx context.Context, root string, edited map[string]string, o programs.Options) (*programs.Report, error) {
	dir, err := os.MkdirTemp("", "statehouse-interleave-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	program, err := interleave.Build(ctx, root, dir, edited)
	if err != nil {
		return nil, err
	}
	return interleave.Explore(ctx, program, o)
}

func (a *app) concludeInterleave(r *programs.Report) error {
	if a.asJSON {
		if err := json.NewEncoder(a.out).Encode(r); err != nil {
			return err
		}
	} else {
		fmt.Fprintf(a.out, "%d schedules in %.1f s:", r.Schedules, r.Seconds)
		for _, name := range slices.Sorted(maps.Keys(r.Runs)) {
			fmt.Fprintf(a.out, " %s %d (%d choices each)", name, r.Runs[name], r.Choices[name]/r.Runs[name])
		}
		fmt.Fprintln(a.out)
	}
	f := r.Finding
	if f == nil {
		return nil
	}
	if !a.asJSON {
		fmt.Fprintf(a.out, "%s: %s\n", f.Kind, f.Text)
		for _, line := range append(f.Threads, f.Trace...) {
			fmt.Fprintln(a.out, "  "+line)
		}
		fmt.Fprintf(a.out, "again: statehouse-sim interleave --program %s --seed %d --count 1\n", r.Program, r.Seed)
	}
	code := exitViolation
	if f.Kind == "deadlock" || f.Kind == "endless" {
		code = exitLiveness
	}
	return failed(code, "program %s, seed %d: %s", r.Program, r.Seed, f.Kind)
}

// tryInterleaved tries a bug that only an interleaving shows.
func (a *app) tryInterleaved(ctx context.Context, root string, b *planted.Bug, o proveFlags) proof {
	const why = "an interleaving"
	p := proof{Bug: b.Name, Guarantee: b.Guarantee, Unseen: map[string]string{"oracle": why, "serial": why}}
	texts, err := b.Apply(root)
	if err == nil {
		var r *programs.Report
		if r, err = exploreIn(ctx, root, texts, programs.Options{Seed: 1, For: o.budget}); err == nil {
			p.Seeds, p.Seconds, p.Caught = r.Schedules, r.Seconds, r.Finding != nil
			if p.Caught {
				p.By = r.Finding.Kind + " in " + r.Program
			}
		}
	}
	if err != nil {
		p.Error = err.Error()
	}
	return p
}
