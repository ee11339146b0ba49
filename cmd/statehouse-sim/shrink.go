package main

import (
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	lin "statehouse.dev/statehouse/linearizability"
	"statehouse.dev/statehouse/sim"
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
			if cmd.Flags().Changed("seed") == (len(files) > 0) {
				return failed(exitUsage, "give either --seed or a scenario file")
			}
			return a.shrinkTo(out, files, o, limit)
		},
	}
	f := cmd.Flags()
	f.Uint64Var(&o.seed, "seed", 0, "shrink the run of this seed")
	f.StringVar(&o.class, "class", "", "class of the seed's run, if it was given to fuzz")
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
		if r, err = s.Run(sim.Options{}); err != nil {
			return failed(exitUsage, "%s: %v", files[0], err)
		}
		seed = s.Seed
	} else {
		r = sim.Generate(seed, sim.Options{Class: sim.Class(o.class)})
	}
	if !r.Failed() {
		return failed(exitUsage, "every promise was kept: there is nothing to shrink")
	}
	story, err := a.shrink(seed, r, limit, func(steps, runs int) {
		fmt.Fprintf(a.err, "%d steps after %d runs\n", steps, runs)
	})
	if err != nil {
		return failed(exitInternal, "%v", err)
	}
	if out == "" {
		_, err = fmt.Fprint(a.out, text(story))
		return err
	}
	if err := os.WriteFile(out, []byte(text(story)), 0o644); err != nil {
		return failed(exitInternal, "%v", err)
	}
	fmt.Fprintf(a.err, "%s: %d steps of %d\n", out, len(story.Steps), r.Stats.Steps)
	return nil
}

func (a *app) explainCommand() *cobra.Command {
	var o runFlags
	var around int
	cmd := &cobra.Command{
		Use: "explain {--seed N | scenario.yaml}", Short: "Tell the story of a failure", Args: cobra.MaximumNArgs(1),
		Example: "  statehouse-sim explain --report out.html sim-failures/g1-acked-commit-lost-seed-17.yaml",
		RunE: func(cmd *cobra.Command, files []string) error {
			single()
			if cmd.Flags().Changed("seed") == (len(files) > 0) {
				return failed(exitUsage, "give either --seed or a scenario file")
			}
			return a.explain(files, o, around)
		},
	}
	f := cmd.Flags()
	f.Uint64Var(&o.seed, "seed", 0, "the run of this seed")
	f.StringVar(&o.class, "class", "", "class of the seed's run, if it was given to fuzz")
	f.StringVar(&o.report, "report", "", "write an HTML report to this file, too")
	f.IntVar(&around, "around", 30, "how much of the history to show around the violation")
	return cmd
}

// explain tells how a run went wrong. That it did is no error here.
func (a *app) explain(files []string, o runFlags, around int) error {
	var r *sim.Result
	if len(files) > 0 {
		s, err := readScenario(files[0])
		if err != nil {
			return err
		}
		if r, err = s.Run(sim.Options{Command: "statehouse-sim run -v " + files[0]}); err != nil {
			return failed(exitUsage, "%s: %v", files[0], err)
		}
	} else {
		r = sim.Generate(o.seed, sim.Options{Class: sim.Class(o.class), Command: "statehouse-sim run " + seedFlags(o.seed, o.class)})
	}
	if !r.Failed() {
		fmt.Fprintln(a.out, "every promise was kept: there is nothing to explain")
	} else {
		judged := r.Judged
		judged.Violations = r.Violations
		if err := lin.Story(a.out, r.History, judged, around); err != nil {
			return err
		}
	}
	if o.report == "" {
		return nil
	}
	if err := writeReport(o.report, r); err != nil {
		return err
	}
	fmt.Fprintln(a.out, "report", o.report)
	return nil
}
