package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"statehouse.dev/statehouse/sim/mutant"
)

func (o *mutantFlags) add(f *pflag.FlagSet) {
	f.BoolVar(&o.on, "mutants", false, "try mutants, mistakes made by rule, instead of the list of bugs; --only takes their IDs")
	f.StringSliceVar(&o.packages, "packages", []string{"./engine/...", "./server/...", "./client/..."}, "mutants: of these packages")
	f.StringSliceVar(&o.files, "files", nil, "mutants: only those in these files of the packages, as in 'engine/lease*.go' (from the root of the repository)")
	f.IntVar(&o.sample, "sample", 0, "mutants: draw so many; 0: all")
	f.Uint64Var(&o.seed, "seed", 1, "mutants: what the sample is drawn from")
	f.IntVar(&o.seeds, "seeds", 160, "mutants: seeds that each is tried with, of those that come by it")
	f.BoolVar(&o.fixed, "fixed", false, "mutants: only those of "+fixedList+", all of which have to be killed")
	f.IntVar(&o.fix, "fix", 0, "mutants: write so many of those that were killed at the least cost to "+fixedList)
	f.BoolVar(&o.live, "with-live", false, "mutants: run the real daemon with each, too")
	f.BoolVar(&o.tests, "with-tests", false, "mutants: run the tests of its package that come by it with each, too")
	f.StringSliceVar(&o.testsIn, "tests-in", nil, "mutants: with --with-tests, those of these packages as well, as in ./server")
	f.BoolVar(&o.first, "first", false, "mutants: tests first, and no more once something has seen a mutant: what none sees is found sooner")
	f.DurationVar(&o.hang, "hang", 10*time.Second, "mutants: processor time, or time of doing nothing, after which a run is taken for endless")
	f.Int64Var(&o.memory, "memory", 1536, "mutants: MiB that a process may take")
}

// check reports flags that are for mutants only, and those that do not go together.
func (o *mutantFlags) check(cmd *cobra.Command, coverage bool) error {
	var err error
	cmd.Flags().Visit(func(f *pflag.Flag) {
		if !o.on && strings.HasPrefix(f.Usage, "mutants: ") && !(coverage && (f.Name == "seeds" || f.Name == "packages")) {
			err = failed(exitUsage, "--%s is for --mutants", f.Name)
		}
	})
	switch {
	case err != nil:
		return err
	case coverage && o.on:
		return failed(exitUsage, "--coverage tries no mutants")
	case o.sample < 0 || o.fix < 0 || o.seeds < unchanged || o.hang <= 0 || o.memory <= 0:
		return failed(exitUsage, "--sample and --fix must not be negative, --seeds at least %d, --hang and --memory more than 0", unchanged)
	case len(o.testsIn) > 0 && !o.tests:
		return failed(exitUsage, "--tests-in is for --with-tests")
	case o.first && o.fix > 0:
		return failed(exitUsage, "--fix writes how the simulator kills, which --first does not try on what a test sees")
	case o.fixed && (o.sample > 0 || o.fix > 0 || o.live || o.tests || o.first || len(o.files) > 0 || cmd.Flags().Changed("only")):
		return failed(exitUsage, "--fixed takes its mutants, and how each is killed, from %s", fixedList)
	}
	return nil
}

// score is what mutants came to.
type score struct {
	Packages   map[string]*mutant.Tally `json:"packages"`
	Rooms      map[string]*mutant.Tally `json:"rooms"`
	Total      mutant.Tally             `json:"total"`
	Equivalent map[string]string        `json:"equivalent"`
	Commit     string                   `json:"commit"`
}

func scoreOf(results []mutant.Result) score {
	t := score{Packages: make(map[string]*mutant.Tally), Rooms: make(map[string]*mutant.Tally), Commit: commit()}
	add := func(m map[string]*mutant.Tally, key string, r *mutant.Result) {
		if m[key] == nil {
			m[key] = &mutant.Tally{}
		}
		m[key].Add(r)
	}
	for i := range results {
		r := &results[i]
		add(t.Packages, r.Package, r)
		add(t.Rooms, r.Room(), r)
		t.Total.Add(r)
	}
	return t
}

// printResult prints a mutant that survives; where a program reads, every one.
func (s *scoring) printResult(r *mutant.Result) {
	switch {
	case s.a.asJSON:
		_ = json.NewEncoder(s.a.out).Encode(r) // a broken pipe ends the program elsewhere
	case !r.Killed() && !(s.o.mutants.first && r.Seen()):
		s.a.clearLine()
		fmt.Fprintln(s.a.out, survivor(r))
	}
}

// print prints what the mutants came to.
func (s *scoring) print(results []mutant.Result, equivalent map[string]string) error {
	t := scoreOf(results)
	t.Equivalent = equivalent
	if s.a.asJSON {
		return json.NewEncoder(s.a.out).Encode(t)
	}
	for _, id := range slices.Sorted(maps.Keys(equivalent)) {
		fmt.Fprintf(s.a.out, "excluded: %s: %s\n", id, equivalent[id])
	}
	fmt.Fprintln(s.a.out)
	return s.table(&t)
}

// survivor is a mutant that no tool of the simulator saw.
func survivor(r *mutant.Result) string {
	how := fmt.Sprintf("%d seeds and %d scenarios come by it", r.ReachedBySeeds, r.ReachedByScenarios)
	if !r.Reached() {
		how = "no run comes by it"
	}
	if saw := r.By[mutant.Tests]; saw != "" {
		how += "; tests see it: " + saw
	}
	return fmt.Sprintf("%s:%d: %s: %s\n\t%s; %s", r.File, r.Line, r.Rule, r.Change, r.ID, how)
}

func (s *scoring) table(t *score) error {
	w := tabwriter.NewWriter(s.a.out, 0, 8, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(w, "mutants\tnot reached\tkilled by fuzz\tscenarios\t")
	if s.o.mutants.live {
		fmt.Fprintf(w, "live\t")
	}
	if s.o.mutants.tests {
		fmt.Fprintf(w, "tests\t")
	}
	fmt.Fprintf(w, "by the simulator\t95 %%\t")
	if s.o.mutants.tests {
		fmt.Fprintf(w, "by it or tests\t95 %%\t")
	}
	fmt.Fprintf(w, "  of\t\n")
	line := func(name string, t *mutant.Tally) {
		share := func(n int) string { return fmt.Sprintf("%d %%", (200*n+t.Of)/(2*max(t.Of, 1))) }
		fmt.Fprintf(w, "%d\t%s\t%s\t%s\t", t.Of, share(t.NotReached), share(t.By[mutant.Fuzz]), share(t.By[mutant.Scenarios]))
		if s.o.mutants.live {
			fmt.Fprintf(w, "%s\t", share(t.By[mutant.Live]))
		}
		if s.o.mutants.tests {
			fmt.Fprintf(w, "%s\t", share(t.By[mutant.Tests]))
		}
		fmt.Fprintf(w, "%s\t%.0f-%.0f %%\t", share(t.Killed), 100*t.Low, 100*t.High)
		if s.o.mutants.tests {
			fmt.Fprintf(w, "%s\t%.0f-%.0f %%\t", share(t.Seen), 100*t.SeenLow, 100*t.SeenHigh)
		}
		fmt.Fprintf(w, "  %s\t\n", name)
	}
	for _, name := range slices.Sorted(maps.Keys(t.Packages)) {
		line(name, t.Packages[name])
	}
	for _, name := range slices.Sorted(maps.Keys(t.Rooms)) {
		if _, whole := t.Packages[name]; !whole || t.Packages[name].Of != t.Rooms[name].Of {
			line(name+" and below", t.Rooms[name])
		}
	}
	line("all", &t.Total)
	fmt.Fprintf(w, "commit %s\n", cmp.Or(t.Commit, "unknown"))
	return w.Flush()
}
