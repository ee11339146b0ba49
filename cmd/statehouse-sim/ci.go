package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

type ciFlags struct {
	seeds       int
	seed        uint64 // the first
	workers     int
	double      bool
	everyBound  bool
	regressions string
	// regressionsGiven: they are wanted, not only taken if they are there.
	regressionsGiven bool
	noScenarios      bool
	junit            string
	artifacts        string
	shrinkFor        time.Duration
}

// regressionDir is where regressions are by default.
const regressionDir = "regressions"

func (a *app) ciCommand() *cobra.Command {
	var o ciFlags
	cmd := &cobra.Command{
		Use: "ci [scenario.yaml | directory...]", Short: "Run everything that a change must pass, and sum it up",
		Long: `ci runs all scenarios (of scenarios/, or those given), a number of fresh seeds, and every
regression: captured histories (*.jsonl, *.edn, also with .zst) are judged as check
does, scenarios (*.yaml, *.yml) are run. A history must be ok, unless a file of its name that
ends in .expect says "illegal" or "unknown" (optionally with the guarantee that is broken:
"illegal G6"). A file of another sort in one of the directories is an error, except for
notes (.md, .txt), reports (.html) and what begins with a dot.

It runs all of it, whatever fails, and prints a summary; each failure comes with the
command that reproduces it. The seeds differ each time: the first is printed, and --seed
runs them again.

The exit code is that of the first failure.`,
		Example: "  statehouse-sim ci\n  statehouse-sim ci --seeds 2000 --junit sim.xml --artifacts sim-failures\n  statehouse-sim ci --seed 1795458300000 --seeds 200",
		RunE: func(cmd *cobra.Command, paths []string) error {
			switch {
			case o.seeds < 0 || o.workers < 1:
				return failed(exitUsage, "--seeds must not be negative, and --workers at least 1")
			case !cmd.Flags().Changed("seed"):
				o.seed = uint64(a.now().UnixMilli())
			}
			o.regressionsGiven = cmd.Flags().Changed("regressions")
			if _, err := os.Stat(o.regressions); !o.regressionsGiven && errors.Is(err, os.ErrNotExist) {
				o.regressions = ""
			}
			return a.ci(cmd.Context(), paths, o)
		},
	}
	f := cmd.Flags()
	f.IntVar(&o.seeds, "seeds", 200, "how many seeds to run; 0: none")
	f.Uint64Var(&o.seed, "seed", 0, "the first seed; drawn from the clock if not given")
	f.IntVar(&o.workers, "workers", runtime.NumCPU(), "worker processes")
	f.BoolVar(&o.double, "check-determinism", true, "run every seed twice, in two processes, the second time disturbed, and compare")
	f.BoolVar(&o.everyBound, "every-bound", false, "fail if no seed comes by one of the bounds that are probed; rare ones take some 250 seeds")
	f.StringVar(&o.regressions, "regressions", regressionDir, "directory of captured histories and scenarios; by default if it is there")
	f.BoolVar(&o.noScenarios, "no-scenarios", false, "run no scenarios")
	f.StringVar(&o.junit, "junit", "", "write what passed and failed to this file, as JUnit XML")
	f.StringVar(&o.artifacts, "artifacts", "", "directory for scenarios, reports and histories of failures; without it nothing is shrunk")
	f.DurationVar(&o.shrinkFor, "shrink-for", 40*time.Second, "how long to shrink the first seed that fails; 0: do not")
	return cmd
}

// ciRun is a ci on the way.
type ciRun struct {
	a         *app
	o         ciFlags
	started   time.Time
	progress  progress
	groups    []*ciGroup
	scenarios map[string]string // the file of each scenario
	again     string            // the command that does the same again
}

// ciGroup is a line of the summary.
type ciGroup struct {
	What    string  `json:"what"`
	Total   int     `json:"total"`
	Failed  int     `json:"failed"`
	Vacuous int     `json:"vacuous"` // ran, and did too little to have passed
	Seconds float64 `json:"seconds"`
	Text    string  `json:"text,omitempty"` // what else there is to say
	cases   []ciCase
}

// ciCase is one thing that passed or failed.
type ciCase struct {
	name    string
	seconds float64
	failure *ciFailure // nil: it passed
}

// ciFailure is a failure and what it makes of the exit code.
type ciFailure struct {
	What  string `json:"what"` // group and name
	Title string `json:"title"`
	failureReport
	Exit int `json:"exit"`
}

func (a *app) ci(ctx context.Context, paths []string, o ciFlags) error {
	scenarios, regressions, err := o.inputs(paths)
	if err != nil {
		return err
	}
	if len(scenarios)+o.seeds+len(regressions) == 0 {
		return failed(exitVacuous, "there is nothing to run: no scenarios, no seeds, no regressions")
	}
	for _, dir := range []string{filepath.Clean(o.artifacts), filepath.Dir(o.junit)} { // "": "."
		if err := os.MkdirAll(dir, 0o755); err != nil { // now, and not when all is done
			return failed(exitUsage, "%v", err)
		}
	}
	c := &ciRun{a: a, o: o, started: a.now(), progress: a.newProgress(), scenarios: make(map[string]string), again: o.command(paths)}
	if !a.asJSON {
		fmt.Fprintf(a.err, "%d scenarios, %d seeds from %d, %d regressions, commit %s\n", len(scenarios), o.seeds, o.seed, len(regressions), commit())
	}
	c.files(ctx, "scenarios", scenarios)
	c.seeds(ctx)
	c.files(ctx, "regressions", regressions)
	a.clearLine()
	if o.junit != "" {
		if err := writeFile(o.junit, func(f *os.File) error { return c.junit(f) }); err != nil {
			return err
		}
	}
	if err := c.print(); err != nil {
		return err
	}
	return c.conclude()
}

// conclude is what it comes to as an exit code.
func (c *ciRun) conclude() error {
	total, failures := c.total(), c.failures()
	switch {
	case len(failures) > 0 && failures[0].Exit == exitInterrupted:
		return failed(exitInterrupted, "interrupted")
	case len(failures) > 0:
		return failed(failures[0].Exit, "%d of %d failed", total.Failed, total.Total)
	}
	return nil
}

// command does the same again.
func (o *ciFlags) command(paths []string) string {
	words := []string{"statehouse-sim", "ci", fmt.Sprintf("--seeds %d --seed %d", o.seeds, o.seed)}
	if !o.double {
		words = append(words, "--check-determinism=false")
	}
	if o.everyBound {
		words = append(words, "--every-bound")
	}
	if o.regressions != "" && o.regressions != regressionDir {
		words = append(words, "--regressions "+shellWord(o.regressions))
	}
	if o.noScenarios {
		words = append(words, "--no-scenarios")
	}
	for _, path := range paths {
		words = append(words, shellWord(path))
	}
	return strings.Join(words, " ")
}

// shellWord is text as one word of a shell's command line.
func shellWord(text string) string {
	if !strings.ContainsFunc(text, func(r rune) bool { return !strings.ContainsRune(plainInShells, r) }) && text != "" {
		return text
	}
	return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
}

const plainInShells = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./=,:@%+"

// shownName is how a file is called in reports: by where it is in its directory.
func shownName(dir, path string) string {
	if name, err := filepath.Rel(dir, path); err == nil && dir != "" && name != "." && filepath.IsLocal(name) {
		return filepath.ToSlash(name)
	}
	return filepath.Base(path)
}

// files runs scenarios and judges histories.
func (c *ciRun) files(ctx context.Context, what string, list []string) {
	g := c.group(what)
	if len(list) == 0 {
		return
	}
	began, collect := c.a.now(), collector()
	for i, path := range list {
		if ctx.Err() != nil {
			g.fail("interrupted", interrupted(len(list)-i))
			break
		}
		c.progress.show(func(time.Time) string { return fmt.Sprintf("%s: %d of %d, %d failed", what, i, len(list), g.Failed) })
		start := c.a.now()
		run := c.scenario
		if sortOf(path) == captureFile {
			run = c.history
		}
		name, f := run(path)
		g.add(ciCase{name, c.a.now().Sub(start).Seconds(), f})
		collect()
	}
	g.Seconds = c.a.now().Sub(began).Seconds()
}

func (c *ciRun) group(what string) *ciGroup {
	g := &ciGroup{What: what}
	c.groups = append(c.groups, g)
	return g
}

// add counts a case.
func (g *ciGroup) add(k ciCase) {
	g.Total++
	g.keep(k)
}

// keep takes a case that is counted already.
func (g *ciGroup) keep(k ciCase) {
	if k.failure != nil {
		g.Failed++
		k.failure.What = g.What + " " + k.name
	}
	g.cases = append(g.cases, k)
}

// fail takes a failure of the whole rather than of one of it.
func (g *ciGroup) fail(name string, f *ciFailure) { g.keep(ciCase{name: name, failure: f}) }

func interrupted(left int) *ciFailure {
	return &ciFailure{Title: "interrupted", Exit: exitInterrupted, failureReport: failureReport{Sentence: fmt.Sprintf("%d were not run", left)}}
}

func (c *ciRun) failures() (list []*ciFailure) {
	for _, g := range c.groups {
		for i := range g.cases {
			if f := g.cases[i].failure; f != nil {
				list = append(list, f)
			}
		}
	}
	return list
}

func (c *ciRun) total() ciGroup {
	t := ciGroup{What: "total", Seconds: c.a.now().Sub(c.started).Seconds()}
	for _, g := range c.groups {
		t.Total, t.Failed, t.Vacuous = t.Total+g.Total, t.Failed+g.Failed, t.Vacuous+g.Vacuous
	}
	return t
}
