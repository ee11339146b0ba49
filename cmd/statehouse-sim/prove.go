package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"statehouse.dev/statehouse/sim/planted"
)

type proveFlags struct {
	only    []string
	without []string
	budget  time.Duration
	shrink  time.Duration
	workers int
	control int
	more    int
	keep    string
	quick   bool
	seeds   bool // write down which caught the bugs
	mutants mutantFlags
	// coverage: try nothing, and print what of the code runs come by.
	coverage bool
}

func (a *app) proveCommand() *cobra.Command {
	var o proveFlags
	cmd := &cobra.Command{
		Use: "prove", Short: "Plant bugs in the code, and see every one of them caught", Args: cobra.NoArgs,
		Long: `prove plants bugs in the source of the engine and the server, builds this tool with
all of them in it, of which one is on at a time, and runs seeds with each until a guarantee
is broken, on one core, within the budget. Then it runs the same seeds on the code as it is, where nothing may break.

Two judges look at every history, and neither may be needed for the other's sake: the
table says what each sees alone, with the other switched off, in the seeds up to the first
failure and a few more. A bug with "-" under both is caught by other means: the run's own
invariants, the check of what is on disk, a crash or a hang of the daemon.

It needs the go command and the repository: the bugs are edits of the source, laid
over it while building, and not in the code at all otherwise.

The list of bugs is one that somebody thought of. With --mutants the mistakes are made by
rule, all over the code: conditions the wrong way round, bounds moved by one, statements
left out, errors passed over. Each is tried with the seeds and the scenarios that come by it,
and what is printed is the share that is killed, and every mutant that survives. With
--coverage nothing is tried: it prints the share of statements that runs reach at all.

With --quick the seed that caught a bug before is tried first, and no seeds are run for what a
judge alone sees; it is what CI runs.`,
		Example: "  statehouse-sim prove\n  statehouse-sim prove --only ack-before-sync,resume-skips-one\n  statehouse-sim prove --mutants --sample 400 --seed 1",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := o.check(cmd); err != nil {
				return err
			}
			switch {
			case o.coverage:
				return a.coverage(cmd.Context(), o)
			case o.mutants.on:
				return a.proveMutants(cmd.Context(), o)
			}
			return a.prove(cmd.Context(), o)
		},
	}
	f := cmd.Flags()
	f.StringSliceVar(&o.only, "only", nil, "only these bugs")
	f.StringSliceVar(&o.without, "without", nil, "leave out the bugs that only this finds, such as interleave: each takes a build of its own")
	f.DurationVar(&o.budget, "budget", 3*time.Minute, "how long each may take to be caught, on one core")
	f.DurationVar(&o.shrink, "shrink-for", 10*time.Second, "how long to shrink each failure; 0: do not")
	f.IntVar(&o.workers, "workers", runtime.NumCPU(), "bugs tried at a time")
	f.IntVar(&o.control, "control", 0, "seeds to run on the code as it is; 0: as many as the slowest bug took, at least 200")
	f.IntVar(&o.more, "alone-seeds", 100, "seeds to run after the first failure for a judge that alone has not seen the bug")
	f.StringVar(&o.keep, "out", "", "keep the scenario of each bug in this directory")
	f.BoolVar(&o.quick, "quick", false, "try the seeds of "+planted.CaughtList+" first, and none for what a judge alone sees")
	f.BoolVar(&o.seeds, "keep-seeds", false, "write the seeds that caught the bugs to "+planted.CaughtList)
	f.BoolVar(&o.coverage, "coverage", false, "plant nothing, and print which statements and functions no run reaches")
	o.mutants.add(f)
	return cmd
}

// check reports flags that make no sense, or not together.
func (o *proveFlags) check(cmd *cobra.Command) error {
	if o.budget <= 0 || o.shrink < 0 || o.workers < 1 || o.control < 0 || o.more < 0 {
		return failed(exitUsage, "--budget must be more than 0, --workers at least 1, --shrink-for, --control and --alone-seeds not negative")
	}
	return o.mutants.check(cmd, o.coverage)
}

// proof is what became of one bug.
type proof struct {
	Bug       string  `json:"bug"`
	Guarantee string  `json:"promise"`
	Caught    bool    `json:"caught"`
	By        string  `json:"by,omitempty"`
	Seeds     int     `json:"seeds"`
	Seed      uint64  `json:"seed,omitempty"` // that caught it
	Seconds   float64 `json:"seconds"`
	Steps     int     `json:"scenario_steps,omitempty"`
	Error     string  `json:"error,omitempty"`
	// False are seeds that fail without the bug, too, and so are no catch.
	False []uint64 `json:"false_alarms,omitempty"`

	Alone  map[string]string `json:"alone"`            // the check that each judge alone sees fail
	Unseen map[string]string `json:"unseen,omitempty"` // why a judge alone cannot see it
}

func (a *app) prove(ctx context.Context, o proveFlags) error {
	root, err := planted.Root(ctx, ".")
	if err != nil {
		return failed(exitUsage, "%v", err)
	}
	bugs := planted.All()
	for _, name := range o.only {
		if _, err := bugNamed(name); err != nil {
			return err
		}
	}
	bugs = slices.DeleteFunc(bugs, func(b planted.Bug) bool { return slices.Contains(o.without, b.By) })
	if len(o.only) > 0 {
		bugs = slices.DeleteFunc(bugs, func(b planted.Bug) bool { return !slices.Contains(o.only, b.Name) })
	}
	bugs = a.withoutPython(ctx, root, bugs)
	if o.keep != "" {
		if err := os.MkdirAll(o.keep, 0o755); err != nil {
			return failed(exitInternal, "%v", err)
		}
	}
	if !a.asJSON {
		fmt.Fprintf(a.out, "%-32s %-4s %-28s %-28s %-36s %6s %8s %6s\n", "bug", "", "caught by", "oracle alone", "serial alone", "seeds", "seconds", "steps")
	}
	w, err := newWorkshop(ctx, root, bugs)
	if err != nil {
		return failed(exitInternal, "%v", err)
	}
	defer w.close()
	if o.quick {
		o.more = 0
		if w.caught, err = readList(filepath.Join(root, planted.CaughtList), planted.ReadCaught); err != nil {
			return err
		}
	}
	proofs := a.tryAll(ctx, w, bugs, o)
	if ctx.Err() != nil {
		return failed(exitInterrupted, "interrupted")
	}
	if o.seeds {
		if err := keepSeeds(root, proofs); err != nil {
			return err
		}
	}
	return a.concludeProof(ctx, w, proofs, o)
}

// tryAll tries the bugs, some at a time, and prints each when it is done.
func (a *app) tryAll(ctx context.Context, w *workshop, bugs []planted.Bug, o proveFlags) []proof {
	var mu sync.Mutex
	var wg sync.WaitGroup
	proofs := make([]proof, len(bugs))
	next := make(chan int)
	for range o.workers {
		wg.Go(func() {
			for i := range next {
				p := a.try(ctx, w, &bugs[i], o)
				mu.Lock()
				proofs[i] = p
				a.printProof(&p)
				mu.Unlock()
			}
		})
	}
	for i := range bugs {
		if ctx.Err() == nil {
			next <- i
		}
	}
	close(next)
	wg.Wait()
	return proofs
}

func (a *app) printProof(p *proof) {
	if a.asJSON {
		_ = json.NewEncoder(a.out).Encode(p) // a broken pipe ends the program elsewhere
		return
	}
	by := p.By
	switch {
	case p.Error != "":
		by = p.Error
	case !p.Caught:
		by = "NOT CAUGHT"
	}
	fmt.Fprintf(a.out, "%-32s %-4s %-28s %-28s %-36s %6d %8.1f %6d\n",
		p.Bug, p.Guarantee, by, p.alone("oracle"), p.alone("serial"), p.Seeds, p.Seconds, p.Steps)
}

// alone is what a judge alone saw of a bug, or why it cannot.
func (p *proof) alone(judge string) string {
	if reason := p.Unseen[judge]; reason != "" && p.Alone[judge] == "" {
		return "- " + reason
	}
	return cmp.Or(p.Alone[judge], "NOT SEEN")
}

// leastAlone is how many of the bugs each judge has to see with the other switched off, so
// that a mistake in one of them leaves the other.
const leastAlone = 40

// proofTotal is the last line of the table.
type proofTotal struct {
	Caught  int            `json:"caught"`
	Of      int            `json:"of"`
	Control int            `json:"control_seeds"`
	False   int            `json:"false_alarms"`
	Median  int            `json:"scenario_steps_median"`
	Alone   map[string]int `json:"alone"` // bugs that each judge alone sees

	broken, slowest int
	false           map[uint64]bool // seeds that fail without a bug
}

func totalOf(proofs []proof) proofTotal {
	t := proofTotal{Of: len(proofs), Alone: make(map[string]int), false: make(map[uint64]bool)}
	var steps []int
	for i := range proofs {
		p := &proofs[i]
		if p.Caught {
			t.Caught++
		}
		if p.Error != "" {
			t.broken++
		}
		if p.Steps > 0 {
			steps = append(steps, p.Steps)
		}
		for _, seed := range p.False {
			t.false[seed] = true
		}
		for judge := range p.Alone { // counted: order cannot matter
			t.Alone[judge]++
		}
		t.slowest = max(t.slowest, p.Seeds)
	}
	if len(steps) > 0 {
		slices.Sort(steps)
		t.Median = steps[len(steps)/2]
	}
	return t
}

// seedsOf names seeds that fail without a bug.
func seedsOf(seeds map[uint64]bool) string {
	if len(seeds) == 0 {
		return ""
	}
	return fmt.Sprintf(", among them seeds that seemed to catch a bug: %d", slices.Sorted(maps.Keys(seeds)))
}

// concludeProof runs the controls and prints the table's last lines.
func (a *app) concludeProof(ctx context.Context, w *workshop, proofs []proof, o proveFlags) error {
	t := totalOf(proofs)
	seeds := max(o.control, 200)
	if o.control == 0 {
		seeds = max(seeds, t.slowest)
	}
	fleet, err := newFleet(o.workers)
	if err != nil {
		return err
	}
	c := newCampaign(a, fuzzFlags{seeds: seeds, from: 1, workers: o.workers, keepGoing: true})
	if err := c.run(ctx, fleet); err != nil {
		return err
	}
	if err := w.check(ctx, c.total.sums); err != nil {
		return err
	}
	for seed := range t.false { // counted: order cannot matter
		if seed > uint64(seeds) {
			t.False++
		}
	}
	t.Control, t.False = c.total.Runs, t.False+c.total.Failed
	if a.asJSON {
		if err := json.NewEncoder(a.out).Encode(t); err != nil {
			return err
		}
	} else {
		fmt.Fprintf(a.out, "caught %d of %d, scenarios of %d steps (median); %d false alarms in %d seeds of the code as it is\n",
			t.Caught, t.Of, t.Median, t.False, t.Control)
		fmt.Fprintf(a.out, "the oracle alone sees %d, the serial judge alone %d\n", t.Alone["oracle"], t.Alone["serial"])
	}
	switch {
	case t.broken > 0:
		return failed(exitInternal, "%d bugs could not be tried", t.broken)
	case t.Caught < t.Of:
		return failed(exitViolation, "%d bugs were not caught", t.Of-t.Caught)
	case t.False > 0:
		return failed(exitViolation, "%d false alarms%s", t.False, seedsOf(t.false))
	}
	if len(o.only) > 0 {
		return c.vacuous()
	}
	for _, judge := range judges {
		if n := t.Alone[judge]; n < leastAlone {
			return failed(exitViolation, "alone, the %s judge sees %d of the bugs, and has to see %d: the other one could be wrong and no test would show it", judge, n, leastAlone)
		}
	}
	return c.vacuous()
}
