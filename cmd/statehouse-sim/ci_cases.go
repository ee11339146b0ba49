package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"statehouse.dev/statehouse/linearizability/verdict"
	"statehouse.dev/statehouse/sim"
	"statehouse.dev/statehouse/sim/fuzz"
)

// reportsKept is of how many failing seeds a report is written: those after the first
// mostly show the same.
const reportsKept = 10

// errFailure is a failure that an error is.
func errFailure(title string, err error, command string) *ciFailure {
	f := &ciFailure{Title: title, Exit: exitInternal, failureReport: failureReport{Sentence: err.Error(), Command: command, Commit: commit()}}
	if known := (*failure)(nil); errors.As(err, &known) {
		f.Exit = known.code
	}
	return f
}

// brokenFailure is a failure that a violation is.
func brokenFailure(v *verdict.Violation, command string) *ciFailure {
	f := &ciFailure{Title: named(v.Guarantee) + " is broken: " + v.Check, Exit: codeOf(v), failureReport: reportOf(v)}
	f.Command = command
	return f
}

// scenario runs a scenario.
func (c *ciRun) scenario(path string) (name string, f *ciFailure) {
	defer single()()
	command := "statehouse-sim run -v " + shellWord(path)
	s, err := readScenario(path)
	if err != nil {
		return filepath.Base(path), errFailure("is no scenario", err, command)
	}
	if before, taken := c.scenarios[s.ID]; taken {
		return s.ID, errFailure("is there twice", failed(exitUsage, "%s and %s are both scenario %s", before, path, s.ID), command)
	}
	c.scenarios[s.ID] = path
	x, err := runScenario(path, s, sim.Options{Command: command})
	if err != nil {
		return s.ID, errFailure("cannot be run", err, command)
	}
	failure := x.failure()
	if failure == nil {
		return s.ID, nil
	}
	if v := x.broken(); v != nil {
		f = brokenFailure(v, command)
	} else {
		f = errFailure("does not end as it says", failure, command)
		f.Sentence = x.wrong.Error()
	}
	f.Class = string(x.r.Class)
	c.keepRun(f, filepath.Base(path), x.r.Result)
	return s.ID, f
}

// history judges a history.
func (c *ciRun) history(path string) (name string, f *ciFailure) {
	name = shownName(c.o.regressions, path)
	command := "statehouse-sim check " + shellWord(path)
	want, broken, err := expected(bare(path) + ".expect")
	if err != nil {
		return name, errFailure("is expected to be what nothing is", err, command)
	}
	h, r, k, err := c.a.judge(path, judging{parts: true})
	if err != nil {
		return name, errFailure("cannot be read", err, command)
	}
	if k.Operations == 0 {
		return name, errFailure("means nothing", failed(exitVacuous, "%s holds no operation: nothing in it was judged", path), command)
	}
	if k.Verdict == want && (broken == "" || broken == k.Violations[0].Guarantee) {
		return name, nil
	}
	switch k.Verdict {
	case verdict.Illegal:
		f = brokenFailure(&k.Violations[0], command)
		if want == verdict.Illegal {
			f.Note = "it was expected to show that " + named(broken) + " is broken"
		}
	case verdict.Unknown:
		f = errFailure("could not be checked", k.err(), command)
		if len(k.Missing) > 0 {
			f.Sentence = k.missing()
		}
	default:
		f = errFailure("keeps every guarantee", failed(exitViolation, "it was expected to be %s: the judge is blind, or the file was changed", want), command)
	}
	if c.o.artifacts != "" {
		f.Report = filepath.Join(c.o.artifacts, strings.ReplaceAll(name, "/", "-")+".html")
		f.cannotKeep(reportTo(f.Report, h, r))
	}
	return name, f
}

// expected reads what verdict a history must be given, and which guarantee it shows
// broken if that matters.
func expected(path string) (want verdict.Verdict, broken string, err error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return verdict.OK, "", nil
	}
	if err != nil {
		return "", "", failed(exitUsage, "%v", err)
	}
	words := strings.Fields(string(text))
	switch {
	case len(words) == 1 && (words[0] == string(verdict.OK) || words[0] == string(verdict.Unknown) || words[0] == string(verdict.Illegal)):
		return verdict.Verdict(words[0]), "", nil
	case len(words) == 2 && words[0] == string(verdict.Illegal) && named(words[1]) != words[1]:
		return verdict.Illegal, words[1], nil
	}
	return "", "", failed(exitUsage, `%s says %q; it can say ok, unknown, illegal, or illegal and a guarantee, as in "illegal G6"`, path, strings.TrimSpace(string(text)))
}

// seeds runs fresh seeds.
func (c *ciRun) seeds(ctx context.Context) {
	g := c.group("seeds")
	if c.o.seeds == 0 {
		return
	}
	summary := fmt.Sprintf("%d seeds from %d", c.o.seeds, c.o.seed)
	flags := fuzzFlags{seeds: c.o.seeds, from: c.o.seed, workers: c.o.workers, double: c.o.double, keepGoing: true, dir: c.o.artifacts, shrinkFor: c.o.shrinkFor}
	k := newCampaign(c.a, flags)
	fleet, err := newFleet(c.o.workers)
	if err == nil {
		err = k.run(ctx, fleet)
	}
	k.total.Elapsed = c.a.now().Sub(k.started).Seconds()
	k.total.finish()
	g.Total, g.Vacuous, g.Seconds = k.total.Runs, k.total.Vacuous, k.total.Elapsed
	g.Text = fmt.Sprintf("%d operations, %d acknowledged commits, %d faults, %d vacuous, %d unjudged, %d run twice, digest %s",
		k.total.Operations, k.total.Acked, total(k.total.Faults), k.total.Vacuous, k.total.Unjudged, k.total.Doubled, k.total.Digest)
	for i := range k.failures {
		if k.failures[i].Vacuous {
			g.Vacuous-- // it is counted as what it is besides
		}
		c.progress.show(func(time.Time) string { return fmt.Sprintf("looking into %d of %d failures", i+1, len(k.failures)) })
		g.keep(ciCase{name: fmt.Sprintf("seed %d", k.failures[i].Seed), failure: c.seed(ctx, &k.failures[i], i, flags, fleet)})
	}
	for _, seed := range k.differs {
		again := fmt.Sprintf("statehouse-sim fuzz --seeds 1 --from %d --check-determinism", seed)
		g.keep(ciCase{name: fmt.Sprintf("seed %d", seed), failure: errFailure("two runs of it differ", c.a.reportDifference(ctx, seed, flags, fleet), again)})
	}
	last := ciCase{name: summary, seconds: g.Seconds}
	switch {
	case err != nil:
		last.failure = errFailure("were not run", err, c.again)
	case ctx.Err() != nil:
		last.failure = interrupted(c.o.seeds - k.total.Runs)
	case k.vacuous() != nil:
		last.failure = errFailure("mean nothing", k.vacuous(), c.again)
	case c.o.everyBound && len(k.total.NeverHit) > 0: // where none comes by a bound, a mistake can hide at it
		last.failure = errFailure("leave bounds out", failed(exitVacuous, "none came by %s", strings.Join(k.total.NeverHit, ", ")), c.again)
	}
	g.keep(last)
}

// seed looks into the n-th seed that failed.
func (c *ciRun) seed(ctx context.Context, o *outcome, n int, flags fuzzFlags, fleet *fleet) *ciFailure {
	v := &o.Violations[0]
	f := brokenFailure(v, "statehouse-sim run -v "+sizedFlags(o.Seed, "", fuzz.Size{}))
	command := f.Command
	if n > 0 || c.o.artifacts == "" {
		flags.shrinkFor = 0
	}
	rep, err := c.a.lookInto(ctx, o, flags, fleet)
	if err != nil {
		f.cannotKeep(err)
		return f
	}
	// The seed is enough to see it again, wherever this commit is; the scenario is a file
	// that may be on another machine by then.
	f.failureReport, f.Command = *rep, command
	if v.Check != "process-died" && rep.Scenario == "" && n < reportsKept && ctx.Err() == nil {
		defer single()()
		c.keepRun(f, name(v, o.Seed), fuzz.Generate(o.Seed, sim.Options{Command: command}))
	}
	return f
}

// keepRun writes the report and the history of a failing run, if that is asked for.
func (c *ciRun) keepRun(f *ciFailure, name string, r *sim.Result) {
	if c.o.artifacts == "" {
		return
	}
	f.Report, f.History = filepath.Join(c.o.artifacts, name+".html"), filepath.Join(c.o.artifacts, name+".jsonl")
	f.cannotKeep(errors.Join(writeReport(f.Report, r), historyTo(f.History, r.History)))
}

// cannotKeep notes that something could not be written: the failure matters more.
func (f *ciFailure) cannotKeep(err error) {
	if err != nil {
		f.Note = strings.TrimSpace(f.Note + " " + err.Error())
	}
}
