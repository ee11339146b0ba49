package main

import (
	"cmp"
	"context"
	"fmt"
	"runtime"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"statehouse.dev/statehouse/sim"
)

type fuzzFlags struct {
	seeds     int
	from      uint64
	duration  time.Duration
	workers   int
	class     string
	nodes     int
	double    bool
	keepGoing bool
	dir       string
	shrinkFor time.Duration
}

func (a *app) fuzzCommand() *cobra.Command {
	var o fuzzFlags
	cmd := &cobra.Command{
		Use: "fuzz", Short: "Run many seeds, and shrink what fails", Args: cobra.NoArgs,
		Long: `fuzz makes up runs from seeds, one after the other, on all cores, and judges each.
It ends with the first that breaks a guarantee: that one is shrunk to a scenario, and a
report is written.

The digest at the end follows from everything that every run did: the same build
and the same seeds give the same digest.`,
		Example: "  statehouse-sim fuzz --seeds 2000\n  statehouse-sim fuzz --for 10m --from 1000000\n  statehouse-sim fuzz --seeds 500 --check-determinism\n  statehouse-sim fuzz --cluster 3 --seeds 500",
		RunE:    func(cmd *cobra.Command, _ []string) error { return a.fuzz(cmd.Context(), o) },
	}
	f := cmd.Flags()
	f.IntVar(&o.seeds, "seeds", 1000, "how many seeds to run; 0: no end")
	f.Uint64Var(&o.from, "from", 1, "the first seed")
	f.DurationVar(&o.duration, "for", 0, "stop after so long; 0: no limit")
	f.IntVar(&o.workers, "workers", runtime.NumCPU(), "worker processes")
	f.StringVar(&o.class, "class", "", "only runs of this class: recoverable, detectable, fatal")
	f.IntVar(&o.nodes, "cluster", 0, "of so many nodes that keep one store; 0: of a daemon that is alone")
	f.BoolVar(&o.double, "check-determinism", false, "run every seed twice, in two processes, the second time disturbed, and compare them step by step")
	f.BoolVar(&o.keepGoing, "keep-going", false, "do not end with the first failure; only the first is shrunk")
	f.StringVar(&o.dir, "out", "sim-failures", "directory for the scenario and the report of a failure")
	f.DurationVar(&o.shrinkFor, "shrink-for", 40*time.Second, "how long to shrink a failure; 0: do not")
	return cmd
}

// checkClass reports a class of runs that there is not. None: it is drawn.
func checkClass(class string) error {
	if class != "" && !slices.Contains(sim.Classes(), sim.Class(class)) {
		return failed(exitUsage, "--class %q: want one of %v", class, sim.Classes())
	}
	return nil
}

// checkNodes reports a number of nodes that no cluster has.
func checkNodes(nodes int) error {
	if nodes == 0 {
		return nil
	}
	if err := (sim.Config{Nodes: nodes}).Validate(); err != nil {
		return failed(exitUsage, "--cluster %d: %v", nodes, err)
	}
	return nil
}

func (a *app) fuzz(ctx context.Context, o fuzzFlags) error {
	if err := checkClass(o.class); err != nil {
		return err
	}
	if err := checkNodes(o.nodes); err != nil {
		return err
	}
	if o.seeds < 0 || o.workers < 1 {
		return failed(exitUsage, "--seeds must not be negative, and --workers at least 1")
	}
	fleet, err := newFleet(o.workers)
	if err != nil {
		return err
	}
	if o.seeds == 0 && o.duration == 0 {
		fmt.Fprintln(a.err, "fuzzing until interrupted")
	}
	c := newCampaign(a, o)
	if err := c.run(ctx, fleet); err != nil {
		return err
	}
	return c.conclude(ctx, fleet)
}

// campaign is a fuzz on the way.
type campaign struct {
	a        *app
	o        fuzzFlags
	stop     context.CancelFunc
	total    summary
	started  time.Time
	progress progress

	issued   int
	again    []uint64          // seeds to be run a second time
	first    map[uint64]uint64 // sums of the first runs of those
	failures []outcome         // in the order of their seeds
	differs  []uint64          // seeds whose two runs differ
}

func newCampaign(a *app, o fuzzFlags) *campaign {
	return &campaign{a: a, o: o, total: newSummary(), started: a.now(), progress: a.newProgress(), first: make(map[uint64]uint64)}
}

// run runs the seeds.
func (c *campaign) run(ctx context.Context, f *fleet) error {
	stopped, stop := context.WithCancel(ctx)
	defer stop()
	if c.o.duration > 0 {
		stopped, stop = context.WithTimeout(stopped, c.o.duration)
		defer stop()
	}
	c.stop = stop
	defer c.a.clearLine()
	return f.run(stopped, c.next, c.done)
}

func (c *campaign) next() (job, bool) {
	// The second run goes to whichever process is free, some time after the first.
	if n := len(c.again); n > 0 && (n > 2*c.o.workers || c.issued == c.o.seeds) {
		seed := c.again[0]
		c.again = c.again[1:]
		return job{Seed: seed, Class: sim.Class(c.o.class), Nodes: c.o.nodes, Disturb: disturbance(seed)}, true
	}
	if c.o.seeds > 0 && c.issued == c.o.seeds {
		return job{}, false
	}
	seed := c.o.from + uint64(c.issued)
	c.issued++
	return job{Seed: seed, Class: sim.Class(c.o.class), Nodes: c.o.nodes}, true
}

// disturbance is what the second run of a seed is disturbed by. It follows from the seed,
// so that a difference is found again.
func disturbance(seed uint64) uint64 { return seed | 1<<63 }

func (c *campaign) done(o outcome) {
	if sum, second := c.first[o.Seed]; second {
		delete(c.first, o.Seed)
		c.total.Doubled++
		if sum != o.Sum {
			c.differs = append(c.differs, o.Seed)
			if !c.o.keepGoing {
				c.stop()
			}
		}
		return
	}
	if c.o.double {
		c.first[o.Seed] = o.Sum
		c.again = append(c.again, o.Seed)
	}
	c.total.add(&o)
	if len(o.Violations) > 0 {
		at, _ := slices.BinarySearchFunc(c.failures, o.Seed, func(f outcome, seed uint64) int { return cmp.Compare(f.Seed, seed) })
		c.failures = slices.Insert(c.failures, at, o)
		if !c.o.keepGoing {
			c.stop()
		}
	}
	c.progress.show(func(now time.Time) string { return c.total.line(now.Sub(c.started)) })
}

// conclude prints what came of it.
func (c *campaign) conclude(ctx context.Context, f *fleet) error {
	c.total.Elapsed = c.a.now().Sub(c.started).Seconds()
	if err := c.total.print(c.a); err != nil {
		return err
	}
	switch {
	case len(c.failures) > 0:
		return c.a.reportFailure(ctx, &c.failures[0], c.o, f)
	case len(c.differs) > 0:
		return c.a.reportDifference(ctx, c.differs[0], c.o, f)
	case ctx.Err() != nil:
		return failed(exitInterrupted, "interrupted")
	}
	return c.vacuous()
}

// vacuous is an error if so many runs did so little that the whole means nothing.
func (c *campaign) vacuous() error {
	switch {
	case c.total.Runs == 0:
		return failed(exitVacuous, "no seed was run")
	case c.total.Vacuous*2 <= c.total.Runs:
		return nil
	}
	return failed(exitVacuous, "%d of %d runs did too little to mean anything", c.total.Vacuous, c.total.Runs)
}
