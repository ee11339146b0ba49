package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"statehouse.dev/statehouse/linearizability/verdict"
	"statehouse.dev/statehouse/sim"
	"statehouse.dev/statehouse/sim/fuzz"
	"statehouse.dev/statehouse/sim/mutant/toggle"
	"statehouse.dev/statehouse/sim/scenario"
)

// job is what a worker process is asked for, one a line.
type job struct {
	Seed    uint64        `json:"seed"`
	Class   sim.Class     `json:"class,omitempty"`
	Nodes   int           `json:"nodes,omitempty"`   // of a cluster
	Digests bool          `json:"digests,omitempty"` // the answer is to have one a step
	Disturb uint64        `json:"disturb,omitempty"` // sim.Options
	Shrink  time.Duration `json:"shrink,omitempty"`  // shrink a failing run for so long
	Alone   bool          `json:"alone,omitempty"`   // of a failing run, what each judge alone sees
	Log     string        `json:"log,omitempty"`     // write each step to this file before it is done
	Replay  string        `json:"replay,omitempty"`  // do the steps of this scenario instead, with Log
	// Scenario is the file of one that is run in the place of a seed.
	Scenario string `json:"scenario,omitempty"`
}

// outcome is what became of a job.
type outcome struct {
	Seed       uint64              `json:"seed"`
	Class      sim.Class           `json:"class"`
	Sum        uint64              `json:"sum"`
	Stats      sim.Stats           `json:"stats"`
	Violations []verdict.Violation `json:"violations,omitempty"`
	Vacuous    bool                `json:"vacuous,omitempty"`
	Detected   bool                `json:"detected,omitempty"`
	Digests    []uint64            `json:"digests,omitempty"`
	Steps      []string            `json:"steps,omitempty"` // with Digests
	Scenario   string              `json:"scenario,omitempty"`
	ShrinkErr  string              `json:"shrink_error,omitempty"`
	Small      *smallRun           `json:"small,omitempty"` // in place of a scenario
	Alone      map[string]string   `json:"alone,omitempty"`
	File       string              `json:"file,omitempty"`    // of the scenario
	Wrong      string              `json:"wrong,omitempty"`   // how the scenario did not end as it says
	Reached    []uint32            `json:"reached,omitempty"` // the mutants that the run came by, if that is recorded
}

func (a *app) workerCommand() *cobra.Command {
	return &cobra.Command{
		Use: "worker", Short: "Do the runs that another process asks for", Hidden: true, Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			single()
			in := bufio.NewScanner(a.in)
			in.Buffer(nil, 1<<20)
			out := json.NewEncoder(a.out)
			collect := collector()
			for in.Scan() {
				var j job
				if err := json.Unmarshal(in.Bytes(), &j); err != nil {
					return failed(exitInternal, "a job that cannot be read: %v", err)
				}
				o := a.work(j)
				o.Reached = toggle.Reached()
				if err := out.Encode(o); err != nil {
					return failed(exitInternal, "%v", err)
				}
				collect()
			}
			return in.Err()
		},
	}
}

func (a *app) work(j job) outcome {
	if j.Scenario != "" {
		return ofScenario(j.Scenario)
	}
	if j.Replay != "" {
		if s, err := scenario.Read(strings.NewReader(j.Replay)); err == nil {
			replayLogged(s, j.Log)
		}
		return outcome{}
	}
	opts := sim.Options{Class: j.Class, Disturb: j.Disturb}
	if j.Log != "" {
		defer logging(j.Log, &opts)()
	}
	r := fuzz.GenerateSmall(j.Seed, fuzz.Size{Nodes: j.Nodes}, opts)
	o := outcome{Seed: j.Seed, Class: r.Class, Sum: r.Sum, Stats: r.Stats, Violations: r.Violations, Vacuous: r.Vacuous(), Detected: r.Detected}
	if j.Digests {
		o.Digests = r.Digests
		for _, s := range r.Steps {
			o.Steps = append(o.Steps, s.String())
		}
	}
	if j.Alone && r.Failed() {
		o.Alone = alone(r)
	}
	if j.Shrink > 0 && r.Failed() {
		shrunk, err := a.shrink(j.Seed, r, j.Shrink, nil)
		switch {
		case err == nil:
			o.Scenario = text(shrunk)
		default:
			o.ShrinkErr = err.Error()
			o.Small = a.smallest(r, j)
		}
	}
	return o
}

// ofScenario is what became of a scenario.
func ofScenario(path string) (o outcome) {
	s, err := readScenario(path)
	if err != nil {
		return outcome{File: path, Wrong: err.Error()}
	}
	o.File = path
	x, err := runScenario(path, s, sim.Options{})
	switch {
	case err != nil:
		o.Wrong = err.Error()
	case x.wrong != nil:
		o.Wrong = "does not end as it says"
		if v := x.broken(); v != nil {
			o.Wrong = v.Guarantee + " " + v.Check
		}
	}
	return o
}

// shrink makes a scenario of a failing run.
func (a *app) shrink(seed uint64, r *sim.Result, limit time.Duration, progress func(steps, runs int)) (*scenario.Scenario, error) {
	v := &r.Violations[0]
	s := fuzz.Shrinker{
		Between: collector(),
		Seed:    seed, Config: r.Config, Class: r.Class, Breach: scenario.Breach{Guarantee: v.Guarantee, Check: v.Check},
		Deadline: a.now().Add(limit), Now: a.now, Progress: progress,
	}
	shrunk, err := s.Shrink(r.Steps)
	if err == nil {
		shrunk.ID = name(v, seed)
		shrunk.Story = fmt.Sprintf("Shrunk from seed %d: %s", seed, shrunk.Story)
	}
	return shrunk, err
}
