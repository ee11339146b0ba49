package main

import (
	"fmt"
	"os"
	"path/filepath"

	"statehouse.dev/statehouse/linearizability/verdict"
	"statehouse.dev/statehouse/sim"
	"statehouse.dev/statehouse/sim/fuzz"
	"statehouse.dev/statehouse/sim/scenario"
)

// smallRun is a small run that fails as a large one did, of which no scenario can be made: what a
// client's program saw is not in the steps.
type smallRun struct {
	Seed  uint64    `json:"seed"`
	Size  fuzz.Size `json:"size"`
	Steps int       `json:"steps"`
}

// smallest looks for a small run in place of one whose steps do not show what broke.
func (a *app) smallest(r *sim.Result, j job) *smallRun {
	v := &r.Violations[0]
	found := fuzz.Smallest(scenario.Breach{Guarantee: v.Guarantee, Check: v.Check}, j.Class, j.Nodes, a.now().Add(j.Shrink), a.now, collector())
	if found == nil {
		return nil
	}
	return &smallRun{found.Seed, found.Size, found.Result.Stats.Steps}
}

// keepSmall runs a small run again, and writes its report.
func (a *app) keepSmall(rep *failureReport, v *verdict.Violation, s *smallRun, flags fuzzFlags) error {
	if err := os.MkdirAll(flags.dir, 0o755); err != nil {
		return failed(exitInternal, "%v", err)
	}
	rep.Command = "statehouse-sim run -v " + sizedFlags(s.Seed, flags.class, s.Size)
	r := fuzz.GenerateSmall(s.Seed, s.Size, sim.Options{Class: sim.Class(flags.class), Command: rep.Command})
	if !r.Failed() {
		return failed(exitNondetermism, "%s does not fail, as it did in another process", rep.Command)
	}
	rep.Steps = s.Steps
	rep.Note = fmt.Sprintf("the client saw it, which is in no steps: not a scenario, but the smallest run that was found, of %d steps", s.Steps)
	rep.show(&r.Violations[0], r.History, nil)
	base := filepath.Join(flags.dir, name(v, s.Seed))
	rep.Report, rep.History = base+".html", base+".jsonl"
	if err := writeReport(rep.Report, r); err != nil {
		return err
	}
	return historyTo(rep.History, r.History)
}

// sizedFlags are the flags of the run of a seed that is bounded.
func sizedFlags(seed uint64, class string, z fuzz.Size) string {
	flags := fmt.Sprintf("--seed %d", seed)
	if class != "" {
		flags += " --class " + class
	}
	if z.Nodes > 0 {
		flags += fmt.Sprintf(" --cluster %d", z.Nodes)
	}
	if z.Clients > 0 {
		flags += fmt.Sprintf(" --clients %d --rounds %d", z.Clients, z.Rounds)
	}
	if z.Calm {
		flags += " --calm"
	}
	return flags
}
