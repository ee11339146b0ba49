package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"statehouse.dev/statehouse/cmd/show"
	"statehouse.dev/statehouse/linearizability"
	"statehouse.dev/statehouse/linearizability/verdict"
	"statehouse.dev/statehouse/sim"
	"statehouse.dev/statehouse/sim/fuzz"
	"statehouse.dev/statehouse/sim/scenario"
)

type runFlags struct {
	seed    uint64
	class   string
	verbose bool
	report  string
	history string
	size    fuzz.Size
}

// seedFlags are those that say which made-up run is meant.
func (o *runFlags) seedFlags(f *pflag.FlagSet, use string) {
	f.Uint64Var(&o.seed, "seed", 0, use)
	f.StringVar(&o.class, "class", "", "class of the seed's run, if it was given to fuzz")
	f.IntVar(&o.size.Clients, "clients", 0, "of the seed's run only so many clients")
	f.IntVar(&o.size.Rounds, "rounds", 0, "and of each only so many rounds; --clients and --rounds are given together")
	f.IntVar(&o.size.Nodes, "cluster", 0, "of so many nodes, if that was given to fuzz")
	f.BoolVar(&o.size.Calm, "calm", false, "and no deaths of the daemon, nor faults of its disk")
}

func (a *app) runCommand() *cobra.Command {
	var o runFlags
	cmd := &cobra.Command{
		Use: "run {--seed N | scenario.yaml | directory...}", Short: "Run one seed, or scenarios", SilenceUsage: true,
		Long: `run does the run of one seed, or each scenario given, by its file or the directory it is
in. A scenario passes when it ends the way it says: a canary, which says that a guarantee
breaks, passes when it does. A scenario does not pass when a step does not fit, or when it
arms a fault that never strikes.`,
		Example: "  statehouse-sim run scenarios/*.yaml\n  statehouse-sim run -v --seed 1234\n  statehouse-sim run --report out.html --seed 1234",
		RunE: func(cmd *cobra.Command, files []string) error {
			single()
			if err := o.check(cmd, files); err != nil {
				return err
			}
			if len(files) > 0 {
				return a.runFiles(files, o)
			}
			return a.runSeed(o)
		},
	}
	f := cmd.Flags()
	o.seedFlags(f, "run what follows from this seed")
	f.BoolVarP(&o.verbose, "verbose", "v", false, "print every step, and what came of it")
	f.StringVar(&o.report, "report", "", "write an HTML report of the run to this file")
	f.StringVar(&o.history, "history", "", "write what clients asked and were told to this file, for check")
	return cmd
}

// check reports flags that do not go with what is to be run: given and passed over,
// they would be taken for followed.
func (o *runFlags) check(cmd *cobra.Command, files []string) error {
	if cmd.Flags().Changed("seed") == (len(files) > 0) {
		return failed(exitUsage, "give either --seed or scenario files")
	}
	if len(files) > 0 && o.class != "" {
		return failed(exitUsage, "--class is for --seed: a scenario says its own")
	}
	if z := o.size; (z.Clients > 0) != (z.Rounds > 0) || z.Clients < 0 || z.Rounds < 0 || z.Calm && z.Clients == 0 || (z.Clients > 0 || z.Nodes > 0) && len(files) > 0 {
		return failed(exitUsage, "--clients and --rounds are given together, and for --seed; --calm is for such a run")
	}
	if err := checkNodes(o.size.Nodes); err != nil {
		return err
	}
	return checkClass(o.class)
}

func (a *app) options(o runFlags, command string) sim.Options {
	opts := sim.Options{Class: sim.Class(o.class), Command: command}
	if o.verbose {
		out := a.out
		if a.asJSON {
			out = a.err // where a program reads JSON it is no part of that
		}
		opts.Trace = func(format string, args ...any) { fmt.Fprintln(out, show.Printable(fmt.Sprintf(format, args...))) }
	}
	return opts
}

func (a *app) runSeed(o runFlags) error {
	command := "statehouse-sim run " + sizedFlags(o.seed, o.class, o.size)
	r := fuzz.GenerateSmall(o.seed, o.size, a.options(o, command))
	if err := o.write(r); err != nil {
		return err
	}
	if a.asJSON {
		if err := json.NewEncoder(a.out).Encode(a.asOutcome(o.seed, r)); err != nil {
			return err
		}
	} else {
		fmt.Fprintf(a.out, "seed %d, class %s: %d steps, %d operations, %d acknowledged commits, digest %016x\n", o.seed, r.Class, r.Stats.Steps, r.Stats.Operations, r.Stats.Acked, r.Sum)
		fmt.Fprintf(a.out, "faults: %s\nprobes: %s\n", list(r.Stats.Faults), list(r.Stats.Probes))
	}
	if !r.Failed() {
		if !a.asJSON {
			fmt.Fprintln(a.out, "every guarantee held")
		}
		return nil
	}
	if o.verbose {
		judged := r.Judged
		judged.Violations = r.Violations
		if err := linearizability.Timeline(a.out, r.History, judged, 20); err != nil {
			return err
		}
	}
	v := &r.Violations[0]
	rep := reportOf(v)
	rep.Seed, rep.Class, rep.From = o.seed, string(r.Class), r.Stats.Steps
	rep.Command, rep.Report = "statehouse-sim shrink "+sizedFlags(o.seed, o.class, fuzz.Size{Nodes: o.size.Nodes}), o.report
	return a.printFailure(&rep, v)
}

// write writes the files that were asked for.
func (o *runFlags) write(r *sim.Result) error {
	if o.report != "" {
		if err := writeReport(o.report, r); err != nil {
			return err
		}
	}
	if o.history != "" {
		return historyTo(o.history, r.History)
	}
	return nil
}

func (a *app) asOutcome(seed uint64, r *sim.Result) outcome {
	return outcome{Seed: seed, Class: r.Class, Sum: r.Sum, Stats: r.Stats, Violations: r.Violations, Vacuous: r.Vacuous(), Detected: r.Detected}
}

func readScenario(path string) (*scenario.Scenario, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, failed(exitUsage, "%v", err)
	}
	defer f.Close()
	s, err := scenario.Read(f)
	if err != nil {
		return nil, failed(exitUsage, "%s: %v", path, err)
	}
	return s, nil
}

// readScenarios reads all of them before any is run: that one is none is said at once.
func readScenarios(files []string) (list []*scenario.Scenario, err error) {
	seen := make(map[string]string)
	for _, path := range files {
		s, err := readScenario(path)
		if err != nil {
			return nil, err
		}
		if before, taken := seen[s.ID]; taken {
			return nil, failed(exitUsage, "%s and %s are both scenario %s", before, path, s.ID)
		}
		seen[s.ID] = path
		list = append(list, s)
	}
	return list, nil
}

// runFiles runs scenarios, all of them, and prints how each ended.
func (a *app) runFiles(paths []string, o runFlags) error {
	files, err := scenarioFiles(paths)
	if err != nil {
		return err
	}
	if len(files) > 1 && (o.report != "" || o.history != "") {
		return failed(exitUsage, "--report and --history are for one scenario")
	}
	scenarios, err := readScenarios(files)
	if err != nil {
		return err
	}
	var t runTotal
	var worst *failure
	start, collect := a.now(), collector()
	for i, s := range scenarios {
		f, err := a.runFile(files[i], s, o)
		if err != nil {
			return err
		}
		t.add(s.Expect, f != nil)
		if f != nil && worst == nil {
			worst = f
		}
		collect()
	}
	t.Seconds = a.now().Sub(start).Seconds()
	if a.asJSON {
		if err := json.NewEncoder(a.out).Encode(t); err != nil {
			return err
		}
	} else if t.Scenarios > 1 {
		fmt.Fprintln(a.out, t.String())
	}
	if worst != nil {
		return worst
	}
	return nil
}

// runTotal is what a run of scenarios came to.
type runTotal struct {
	Scenarios int     `json:"scenarios"`
	Kept      int     `json:"kept"`
	Detected  int     `json:"detected"`
	Canaries  int     `json:"canaries"` // that failed as they should
	Failed    int     `json:"failed"`
	Seconds   float64 `json:"seconds"`
}

func (t *runTotal) add(e scenario.Expect, failed bool) {
	t.Scenarios++
	switch {
	case failed:
		t.Failed++
	case e == scenario.ExpectViolation:
		t.Canaries++
	case e == scenario.ExpectDetected:
		t.Detected++
	default:
		t.Kept++
	}
}

func (t *runTotal) String() string {
	return fmt.Sprintf("%d scenarios in %.1fs: %d kept every guarantee, %d detected the corruption, %d canaries failed as they should, %d did not end as they say",
		t.Scenarios, t.Seconds, t.Kept, t.Detected, t.Canaries, t.Failed)
}

// ran is a scenario that was run.
type ran struct {
	path     string
	scenario *scenario.Scenario
	r        *scenario.Run
	wrong    error // how it did not end as it says
}

func runScenario(path string, s *scenario.Scenario, o sim.Options) (*ran, error) {
	r, err := s.Run(o)
	if err != nil {
		return nil, failed(exitUsage, "%s: %v", path, err)
	}
	return &ran{path, s, r, s.Verdict(r)}, nil
}

func (x *ran) ended() string {
	switch {
	case x.wrong != nil:
		return x.wrong.Error()
	case x.scenario.Expect == scenario.ExpectViolation:
		return "failed as it should: " + x.scenario.Violation.Guarantee + " " + x.scenario.Violation.Check
	case x.scenario.Expect == scenario.ExpectDetected:
		return "the corruption was detected"
	}
	return "kept every guarantee"
}

// broken is the guarantee that it shows broken, though it was to be kept.
func (x *ran) broken() *verdict.Violation {
	if list := broken(x.r.Result); len(list) > 0 && x.scenario.Expect == scenario.ExpectOK {
		return &list[0]
	}
	return nil
}

// failure of it, if it did not end as it says.
func (x *ran) failure() *failure {
	switch v := x.broken(); {
	case x.wrong == nil:
		return nil
	case v != nil:
		return &failure{codeOf(v), fmt.Errorf("scenario %s failed; look at it with: statehouse-sim explain %s", x.scenario.ID, shellWord(x.path))}
	}
	return &failure{exitViolation, fmt.Errorf("scenario %s did not end as it says; look at it with: statehouse-sim explain %s", x.scenario.ID, shellWord(x.path))}
}

func (a *app) runFile(path string, s *scenario.Scenario, o runFlags) (*failure, error) {
	x, err := runScenario(path, s, a.options(o, "statehouse-sim run -v "+path))
	if err != nil {
		return nil, err
	}
	if err := o.write(x.r.Result); err != nil {
		return nil, err
	}
	if err := a.printRan(x); err != nil {
		return nil, err
	}
	if x.wrong != nil && x.broken() != nil && o.verbose && !a.asJSON {
		judged := x.r.Judged
		judged.Violations = broken(x.r.Result)
		if err := linearizability.Timeline(a.out, x.r.History, judged, 20); err != nil {
			return nil, err
		}
	}
	return x.failure(), nil
}

func (a *app) printRan(x *ran) error {
	if a.asJSON {
		line := struct {
			Scenario string              `json:"scenario"`
			File     string              `json:"file"`
			Pass     bool                `json:"pass"`
			Ended    string              `json:"ended"`
			Broken   []verdict.Violation `json:"violations,omitempty"`
		}{x.scenario.ID, x.path, x.wrong == nil, x.ended(), x.r.Violations}
		return json.NewEncoder(a.out).Encode(line)
	}
	word := "ok  "
	if x.wrong != nil {
		word = "FAIL"
	}
	_, err := fmt.Fprintf(a.out, "%s  %-44s %s\n", word, strings.TrimSuffix(filepath.Base(x.path), ".yaml"), firstLines(x.ended(), 6))
	return err
}
