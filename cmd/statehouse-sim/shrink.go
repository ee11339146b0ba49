package main

import (
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"statehouse.dev/statehouse/sim"
	"statehouse.dev/statehouse/sim/fuzz"
)

func (a *app) shrinkCommand() *cobra.Command {
	var o runFlags
	var limit time.Duration
	var out string
	cmd := &cobra.Command{
		Use: "shrink {--seed N | scenario.yaml}", Short: "Make a failing run as small as it gets", Args: cobra.MaximumNArgs(1),
		Example: "  statehouse-sim shrink --seed 1234 -o scenarios/lost-outcome.yaml",
		RunE: func(cmd *cobra.Command, files []string) error {
			single()
			if err := o.check(cmd, files); err != nil {
				return err
			}
			return a.shrinkTo(out, files, o, limit)
		},
	}
	f := cmd.Flags()
	f.Uint64Var(&o.seed, "seed", 0, "shrink the run of this seed")
	f.StringVar(&o.class, "class", "", "class of the seed's run, if it was given to fuzz")
	f.IntVar(&o.size.Nodes, "cluster", 0, "of so many nodes, if that was given to fuzz")
	f.DurationVar(&limit, "for", 5*time.Minute, "stop after so long, with what there is by then")
	f.StringVarP(&out, "output", "o", "", "write the scenario to this file instead of standard output")
	return cmd
}

func (a *app) shrinkTo(out string, files []string, o runFlags, limit time.Duration) error {
	seed := o.seed
	var r *sim.Result
	if len(files) > 0 {
		s, err := readScenario(files[0])
		if err != nil {
			return err
		}
		x, err := runScenario(files[0], s, sim.Options{})
		if err != nil {
			return err
		}
		r, seed = x.r.Result, s.Seed
	} else {
		r = fuzz.GenerateSmall(seed, o.size, sim.Options{Class: sim.Class(o.class)})
	}
	switch {
	case !r.Failed():
		return failed(exitUsage, "every guarantee held: there is nothing to shrink")
	case len(broken(r)) == 0:
		return failed(exitUsage, "every guarantee held, and the scenario itself is wrong, which shrinking does not change: %s", r.Violations[0].Sentence)
	}
	shrunk, err := a.shrink(seed, r, limit, func(steps, runs int) {
		fmt.Fprintf(a.err, "%d steps after %d runs\n", steps, runs)
	})
	if err != nil {
		if z := a.smallest(r, job{Class: sim.Class(o.class), Nodes: o.size.Nodes, Shrink: limit}); z != nil {
			fmt.Fprintf(a.out, "the client saw it, which is in no steps: the smallest run that was found has %d\nstatehouse-sim run -v %s\n", z.Steps, sizedFlags(z.Seed, o.class, z.Size))
			return nil
		}
		return failed(exitInternal, "%v", err)
	}
	if out == "" {
		_, err = fmt.Fprint(a.out, text(shrunk))
		return err
	}
	if err := os.WriteFile(out, []byte(text(shrunk)), 0o644); err != nil {
		return failed(exitInternal, "%v", err)
	}
	fmt.Fprintf(a.err, "%s: %d steps of %d\n", out, len(shrunk.Steps), r.Stats.Steps)
	return nil
}
