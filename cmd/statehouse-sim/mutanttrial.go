package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"statehouse.dev/statehouse/sim/mutant"
	"statehouse.dev/statehouse/sim/mutant/toggle"
)

// whatFailed is what of a run went wrong, in a few words.
func whatFailed(o *outcome) string {
	if len(o.Violations) > 0 {
		return o.Violations[0].Guarantee + " " + o.Violations[0].Check
	}
	return o.Wrong
}

// try tries a mutant with every tool: how many of them see it is the score, and so a kill by
// one does not spare the others.
func (s *scoring) try(ctx context.Context, m mutant.Mutant) mutant.Result {
	start := s.a.now()
	r := mutant.Result{
		Mutant: m, By: make(map[mutant.Tool]string),
		ReachedBySeeds: len(s.seeds[m.Number]), ReachedByScenarios: len(s.scenarios[m.Number]),
	}
	if s.o.mutants.first {
		s.seenBy(&r, mutant.Tests, s.unitTests(ctx, &m))
	}
	if !s.enough(&r) {
		s.simulate(ctx, &r)
	}
	if !s.enough(&r) {
		s.seenBy(&r, mutant.Live, s.live(ctx, &m))
	}
	if !s.o.mutants.first {
		s.seenBy(&r, mutant.Tests, s.unitTests(ctx, &m))
	}
	r.Seconds = s.a.now().Sub(start).Seconds()
	return r
}

// enough reports whether nothing more has to be asked about a mutant.
func (s *scoring) enough(r *mutant.Result) bool { return s.o.mutants.first && r.Seen() }

func (s *scoring) seenBy(r *mutant.Result, tool mutant.Tool, saw string) {
	if saw != "" {
		r.By[tool] = saw
	}
}

// simulate tries a mutant with seeds and scenarios.
func (s *scoring) simulate(ctx context.Context, r *mutant.Result) {
	k := &bench{
		bound: bound{s.o.mutants.hang, s.o.mutants.memory << 20},
		fleet: &fleet{binary: s.program, env: []string{fmt.Sprintf("%s=%d", toggle.Variable, r.Number)}},
	}
	defer k.dismiss()
	s.fuzz(ctx, k, r)
	for _, file := range s.scenarios[r.Number] {
		if s.enough(r) {
			return
		}
		if saw := k.run(ctx, job{Scenario: file}); saw != "" {
			r.By[mutant.Scenarios], r.Scenario = saw, strings.TrimSuffix(filepath.Base(file), ".yaml")
			break
		}
	}
}

// fuzz runs the seeds that come by the mutant, within the budget. The worker is not ended by
// that, but by its own bound: one that was killed in the middle of a run has seen nothing.
func (s *scoring) fuzz(ctx context.Context, k *bench, r *mutant.Result) {
	runs, until := 0, s.a.now().Add(s.o.budget)
	for _, seed := range s.seeds[r.Number] {
		if ctx.Err() != nil || s.a.now().After(until) {
			break
		}
		saw := k.run(ctx, job{Seed: seed})
		runs, r.Seeds = runs+1, int(seed)
		if saw != "" {
			r.By[mutant.Fuzz] = saw
			return
		}
	}
	// A fuzz that does nothing fails, as a whole.
	if runs >= unchanged && k.vacuous*2 > runs {
		r.By[mutant.Fuzz] = mutant.Vacuous
	}
}

// bench has a worker do one job after the other, and another one if that died.
type bench struct {
	fleet   *fleet
	bound   bound
	worker  *worker
	vacuous int
}

// run does a job and says what failed; "" if nothing did.
func (k *bench) run(ctx context.Context, j job) string {
	if k.worker == nil {
		w, err := k.fleet.hire(ctx)
		if err != nil {
			return "" // it was interrupted
		}
		k.worker = w
	}
	o, killed, err := k.worker.within(j, k.bound)
	switch {
	case ctx.Err() != nil:
		k.dismiss()
		return ""
	case killed != "":
		k.dismiss()
		return killed
	case err != nil:
		o = k.worker.died(j, "")
		k.worker = nil
	}
	if o.Vacuous {
		k.vacuous++
	}
	return whatFailed(&o)
}

func (k *bench) dismiss() {
	if k.worker != nil {
		_ = k.worker.dismiss() // it has answered, or was killed
		k.worker = nil
	}
}

// live runs the real daemon, and clients, with the mutant in both.
func (s *scoring) live(ctx context.Context, m *mutant.Mutant) string {
	if !s.o.mutants.live {
		return ""
	}
	return s.process(ctx, m, s.dir, time.Minute, s.program, "live", "--daemon", s.daemon, "--for", "6s", "--kills", "2", "--stops", "1")
}

// process runs a program with the mutant in it: what is wrong about how it ends.
func (s *scoring) process(ctx context.Context, m *mutant.Mutant, dir string, limit time.Duration, program string, args ...string) string {
	bounded, stop := context.WithTimeout(ctx, limit)
	defer stop()
	cmd := exec.CommandContext(bounded, program, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%d", toggle.Variable, m.Number))
	cmd.WaitDelay = time.Second
	err := cmd.Run()
	var exit *exec.ExitError
	switch {
	case err == nil || ctx.Err() != nil:
		return ""
	case bounded.Err() != nil:
		return mutant.Hang
	case errors.As(err, &exit):
		return exit.String()
	}
	return err.Error()
}
