package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"statehouse.dev/statehouse/cmd/show"
	"statehouse.dev/statehouse/linearizability"
	"statehouse.dev/statehouse/linearizability/verdict"
	"statehouse.dev/statehouse/sim"
	"statehouse.dev/statehouse/sim/fuzz"
	"statehouse.dev/statehouse/sim/scenario"
	"statehouse.dev/statehouse/sim/step"
)

func (a *app) explainCommand() *cobra.Command {
	var o runFlags
	var around int
	cmd := &cobra.Command{
		Use: "explain {--seed N | scenario.yaml}", Short: "Show what happened in a run, and what it proves", Args: cobra.MaximumNArgs(1),
		Long: `explain shows what happened in a run that breaks a guarantee, around the place where it does.

Of a scenario it says what came of each step. Of a run that kept every guarantee it lists
the faults that struck, what put each guarantee to the test, and which were not tested: for
those the run proves nothing.`,
		Example: "  statehouse-sim explain --report out.html sim-failures/g1-acked-commit-lost-seed-17.yaml\n  statehouse-sim explain scenarios/phantom.yaml",
		RunE: func(cmd *cobra.Command, files []string) error {
			single()
			if err := o.check(cmd, files); err != nil {
				return err
			}
			return a.explain(files, o, around)
		},
	}
	f := cmd.Flags()
	o.seedFlags(f, "the run of this seed")
	f.StringVar(&o.report, "report", "", "write an HTML report to this file, too")
	f.IntVar(&around, "around", 30, "how much of the history to show around the violation")
	return cmd
}

// explain shows how a run went. That it went wrong is no error here.
func (a *app) explain(files []string, o runFlags, around int) error {
	var r *sim.Result
	if len(files) > 0 {
		s, err := readScenario(files[0])
		if err != nil {
			return err
		}
		x, err := runScenario(files[0], s, sim.Options{Command: "statehouse-sim run -v " + files[0]})
		if err != nil {
			return err
		}
		r = x.r.Result
		a.explainScenario(x)
	} else {
		command := "statehouse-sim run " + sizedFlags(o.seed, o.class, o.size)
		r = fuzz.GenerateSmall(o.seed, o.size, sim.Options{Class: sim.Class(o.class), Command: command})
		fmt.Fprintf(a.out, "seed %d, class %s: %d steps, which statehouse-sim run -v %s shows\n\n", o.seed, r.Class, r.Stats.Steps, sizedFlags(o.seed, o.class, o.size))
	}
	if shown := broken(r); len(shown) > 0 {
		judged := r.Judged
		judged.Violations = shown
		if err := linearizability.Timeline(a.out, r.History, judged, around); err != nil {
			return err
		}
	} else {
		a.explainTried(r)
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

// broken are the guarantees that a run breaks, without what a scenario says of itself.
func broken(r *sim.Result) []verdict.Violation {
	return slices.DeleteFunc(slices.Clone(r.Violations), func(v verdict.Violation) bool { return v.Guarantee == scenario.Guarantee })
}

// explainScenario says what came of each step.
func (a *app) explainScenario(x *ran) {
	line := func(format string, args ...any) { fmt.Fprintln(a.out, show.Printable(fmt.Sprintf(format, args...))) }
	line("%s: %s", x.scenario.ID, x.scenario.Title)
	if x.scenario.Story != "" {
		line("%s", strings.TrimSpace(x.scenario.Story))
	}
	line("")
	happenings := scenario.Happenings(x.r.Result)
	for i := range x.r.Did {
		did := &x.r.Did[i]
		line("%5d  %s", i+1, did.Step)
		told := 0
		for ; told < len(happenings) && happenings[told].Time <= did.Until; told++ {
			line("         %s", happenings[told].Text)
		}
		happenings = happenings[told:]
		switch {
		case did.Step.Verb == step.Fault:
			line("         armed; strikes: %d", did.Struck)
		case told == 0:
			line("         done")
		}
	}
	for i := len(x.r.Did); i < len(x.scenario.Steps); i++ {
		what := "not run"
		if i == len(x.r.Did) {
			what = "does not fit"
		}
		line("%5d  %s\n         %s", i+1, x.scenario.Steps[i], what)
	}
	line("  end  every fault is healed, the power is cut once more, and everything is read")
	for _, h := range happenings {
		line("         %s", h.Text)
	}
	line("\n%s", x.ended())
}

// explainTried says of a run that kept every guarantee what put each to the test.
func (a *app) explainTried(r *sim.Result) {
	none := func(list string) string {
		if list == "" {
			return "none"
		}
		return list
	}
	fmt.Fprintf(a.out, "faults    %s\ndeaths    %s\nprobes    %s\n", none(list(r.Stats.Faults)), none(list(r.Stats.Deaths)), none(list(r.Stats.Probes)))
	label := "tried"
	var not []string
	for _, t := range scenario.TriedBy(r) {
		if t.Text == "" {
			not = append(not, t.Guarantee)
			continue
		}
		fmt.Fprintf(a.out, "%-10s%-27s %s\n", label, named(t.Guarantee), t.Text)
		label = ""
	}
	fmt.Fprintf(a.out, "not tried %s\n", none(strings.Join(not, ", ")))
}
