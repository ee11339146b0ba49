package main

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"statehouse.dev/statehouse/sim"
	"statehouse.dev/statehouse/sim/fuzz"
	"statehouse.dev/statehouse/sim/scenario"
	"statehouse.dev/statehouse/sim/simdisk"
)

func (a *app) sweepCommand() *cobra.Command {
	var seed uint64
	cmd := &cobra.Command{
		Use: "sweep scenario.yaml", Short: "Cut the power at every operation of a scenario's disk", Args: cobra.ExactArgs(1),
		Long: `sweep runs a scenario, which must pass, to list every operation that the daemon does on
its disk, and then once more for each of them with what was not synced dropped, kept and torn: the
power fails inside that operation, the daemon is started again, the rest of the scenario
runs, and everything is judged.`,
		Example: "  statehouse-sim sweep scenarios/crash-between-write-and-sync.yaml",
		RunE: func(cmd *cobra.Command, args []string) error {
			single()
			s, err := readScenario(args[0])
			if err != nil {
				return err
			}
			if s.Expect == scenario.ExpectViolation {
				return failed(exitUsage, "%s is a canary: it fails already", s.ID)
			}
			x, err := runScenario(args[0], s, sim.Options{})
			if err != nil {
				return err
			}
			if f := x.failure(); f != nil {
				return failed(f.code, "%s fails as it is, without a crash more, so nothing was swept: %w", s.ID, x.wrong)
			}
			return a.sweep(cmd, s, seed)
		},
	}
	cmd.Flags().Uint64Var(&seed, "torn-seed", 1, "what decides how data is torn")
	return cmd
}

// sweepTotal is what a sweep came to.
type sweepTotal struct {
	Scenario string  `json:"scenario"`
	Points   int     `json:"points"`
	Modes    int     `json:"modes"`
	Runs     int     `json:"runs"`
	Missed   int     `json:"missed"` // points that a second run did not come by
	Failed   int     `json:"failed"`
	Seconds  float64 `json:"seconds"`
}

func (a *app) sweep(cmd *cobra.Command, s *scenario.Scenario, seed uint64) error {
	points, err := fuzz.Points(s)
	switch {
	case err != nil:
		return failed(exitUsage, "%v", err)
	case len(points) == 0:
		return failed(exitVacuous, "%s: the daemon does nothing on its disk, so there is nowhere to die: nothing was tried", s.ID)
	}
	t := sweepTotal{Scenario: s.ID, Points: len(points), Modes: len(fuzz.SweepModes())}
	start, progress, collect := a.now(), a.newProgress(), collector()
	var first *failure
	for _, p := range points {
		for _, mode := range fuzz.SweepModes() {
			if cmd.Context().Err() != nil {
				return failed(exitInterrupted, "interrupted after %d of %d runs", t.Runs, t.Points*t.Modes)
			}
			r, struck := fuzz.CrashAt(s, p, simdisk.CrashOptions{Mode: mode, Seed: seed})
			t.Runs++
			if !struck {
				t.Missed++
			}
			if r.Failed() {
				t.Failed++
				v := &r.Violations[0]
				fmt.Fprintf(a.out, "FAIL  %s, unsynced data: %s\n      %s is broken: %s: %s\n", p, mode, named(v.Guarantee), v.Check, firstLines(v.Sentence, 6))
				if first == nil {
					first = &failure{codeOf(v), fmt.Errorf("%s does not survive every crash", s.ID)}
				}
			}
			collect()
			progress.show(func(time.Time) string {
				return fmt.Sprintf("%d of %d crashes, %d failed", t.Runs, t.Points*t.Modes, t.Failed)
			})
		}
	}
	t.Seconds = a.now().Sub(start).Seconds()
	if a.asJSON {
		if err := json.NewEncoder(a.out).Encode(t); err != nil {
			return err
		}
	} else {
		a.clearLine()
		fmt.Fprintf(a.out, "%s: %d crash points, each with unsynced data dropped, kept and torn: %d runs in %.1fs, %d failed", s.ID, t.Points, t.Runs, t.Seconds, t.Failed)
		if t.Missed > 0 {
			fmt.Fprintf(a.out, " (%d runs did not come by their point)", t.Missed)
		}
		fmt.Fprintln(a.out)
	}
	switch {
	case first != nil:
		return first
	case t.Missed > 0:
		return failed(exitNondetermism, "%d of %d runs did not come by the operation that they were to die in", t.Missed, t.Runs)
	}
	return nil
}
