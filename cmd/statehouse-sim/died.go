package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"statehouse.dev/statehouse/history"
	"statehouse.dev/statehouse/linearizability/verdict"
	"statehouse.dev/statehouse/sim"
	"statehouse.dev/statehouse/sim/fuzz"
	"statehouse.dev/statehouse/sim/scenario"
	"statehouse.dev/statehouse/sim/step"
)

// A run that ends its process is shrunk from another process: each trial has one of its own,
// which writes every step into a file before it does it.

// logging makes a run write its steps to a file.
func logging(path string, o *sim.Options) (done func()) {
	f, err := os.Create(path)
	if err != nil {
		return func() {} // the run goes on; whoever reads the file finds none
	}
	o.Before = func(s step.Step) { fmt.Fprintln(f, s) }
	return func() { _ = f.Close() }
}

// replayLogged does steps, and writes to a file which of them fitted or were tried last.
func replayLogged(s *scenario.Scenario, path string) {
	w := sim.NewWorld(s.Seed, s.Config, sim.Options{Class: s.Class})
	f, err := os.Create(path)
	if err != nil {
		return
	}
	defer f.Close()
	for i, st := range s.Steps {
		fmt.Fprintln(f, "try", i)
		if w.Apply(st) == nil {
			fmt.Fprintln(f, "fit", i)
		}
	}
	w.Finish()
}

// fittedIn are the steps that a log says fitted, and the one in which the process died.
func fittedIn(log string, steps []step.Step) (fitted []step.Step) {
	lines := strings.Split(strings.TrimSpace(log), "\n")
	for i, line := range lines {
		var n int
		if _, err := fmt.Sscanf(line, "fit %d", &n); err == nil || i == len(lines)-1 {
			if err != nil {
				_, err = fmt.Sscanf(line, "try %d", &n)
			}
			if err == nil && n < len(steps) {
				fitted = append(fitted, steps[n])
			}
		}
	}
	return fitted
}

// shrinkDead makes a scenario of a seed whose run ends its process.
func (a *app) shrinkDead(ctx context.Context, f *fleet, j job) (*scenario.Scenario, error) {
	file, err := os.CreateTemp("", "statehouse-steps-")
	if err != nil {
		return nil, err
	}
	path := file.Name()
	_ = file.Close() // the workers write to it
	defer os.Remove(path)
	var last string // what the last one to die said
	dies := func(j job) (died bool, log string, err error) {
		w, err := f.hire(ctx)
		if err != nil {
			return false, "", err
		}
		_, _, gone := w.within(j, bound{10 * time.Second, endless.memory})
		_ = w.dismiss() // it has answered, or is dead
		if gone != nil {
			last = firstLines(w.last.String(), 12)
		}
		raw, err := os.ReadFile(path)
		return gone != nil, string(raw), err
	}
	died, log, err := dies(job{Seed: j.Seed, Class: j.Class, Nodes: j.Nodes, Log: path})
	if err != nil || !died {
		return nil, fmt.Errorf("run again, it does not end its process (%v)", err)
	}
	var steps []step.Step
	for line := range strings.Lines(log) {
		st, err := step.Parse(strings.TrimSpace(line))
		if err != nil {
			break // the last line, cut short
		}
		steps = append(steps, st)
	}
	swarm := fuzz.Draw(j.Seed, j.Class)
	sh := fuzz.Shrinker{
		Seed: j.Seed, Config: swarm.Config, Class: swarm.Class, Breach: scenario.Breach{Guarantee: "G7", Check: "process-died"},
		Deadline: a.now().Add(j.Shrink), Now: a.now,
	}
	sh.Run = func(steps []step.Step, c sim.Config) ([]step.Step, *sim.Result) {
		r := &sim.Result{History: &history.History{}}
		s := &scenario.Scenario{ID: "trial", Title: "trial", Class: swarm.Class, Expect: scenario.ExpectOK, Seed: j.Seed, Config: c, Steps: slices.Clone(steps)}
		died, log, err := dies(job{Replay: text(s), Log: path})
		if err == nil && died && ctx.Err() == nil {
			r.Violations = []verdict.Violation{{Guarantee: "G7", Check: "process-died", Sentence: "the process was torn down in the middle of the run:\n" + last}}
		}
		return fittedIn(log, steps), r
	}
	return sh.Shrink(steps)
}

// keepDead shrinks such a run and writes its scenario, which only another process can run.
func (a *app) keepDead(ctx context.Context, rep *failureReport, o *outcome, flags fuzzFlags, f *fleet) error {
	if flags.shrinkFor <= 0 {
		return nil
	}
	shrunk, err := a.shrinkDead(ctx, f, job{Seed: o.Seed, Class: sim.Class(flags.class), Nodes: flags.nodes, Shrink: flags.shrinkFor})
	if err != nil {
		return err
	}
	shrunk.ID = name(&o.Violations[0], o.Seed)
	if err := os.MkdirAll(flags.dir, 0o755); err != nil {
		return err
	}
	rep.Scenario, rep.Steps = filepath.Join(flags.dir, shrunk.ID+".yaml"), len(shrunk.Steps)
	rep.Command = "statehouse-sim run -v " + rep.Scenario
	rep.Note = "running it ends the process"
	return os.WriteFile(rep.Scenario, []byte(text(shrunk)), 0o644)
}
