package main

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"statehouse.dev/statehouse/linearizability"
	"statehouse.dev/statehouse/sim"
	"statehouse.dev/statehouse/sim/live"
	"statehouse.dev/statehouse/sim/mutant/toggle"
	"statehouse.dev/statehouse/sim/planted"
	"statehouse.dev/statehouse/sim/scenario"
)

// The judges of a history, in the order of the table.
var judges = [...]string{"oracle", "serial"}

// alone has each judge by itself judge a run's history: the check that it sees fail, by its
// name. A history in which the two together saw nothing is not judged again.
func alone(r *sim.Result) map[string]string {
	saw := make(map[string]string)
	if len(r.Judged.Violations) == 0 {
		return saw
	}
	for _, judge := range judges {
		o := r.Judging()
		o.SkipOracle, o.SkipSerial = judge != "oracle", judge != "serial"
		if judged := linearizability.Check(r.History, o); len(judged.Violations) > 0 {
			v := &judged.Violations[0]
			saw[judge] = v.Guarantee + " " + v.Check
		}
	}
	return saw
}

// trial is a bug on trial: seeds are run on the code with the bug in it, until a run fails,
// and then some more for a judge that alone has not seen it.
type trial struct {
	proof
	nodes  int                                // of its seeds; 0: the daemon is alone
	first  *outcome                           // the first run that failed
	seed   uint64                             // the last one handed out
	before uint64                             // the seed that caught it before, to be tried first; 0: none is known
	more   int                                // seeds after the first failure
	asIs   func(seed uint64) (outcome, error) // what the code without the bug does
	err    error
	budget context.Context
	stop   context.CancelFunc
}

// workshop is where the tool is built with bugs in it.
type workshop struct {
	root, dir string
	together  string // the program that all bugs are in which can stand beside others
	number    map[string]int
	caught    map[string]uint64 // by which seed each bug was caught before

	building    sync.Mutex
	statehoused string // the daemon without a bug, once it is built
}

// newWorkshop builds the program that the bugs share. It lives until close.
func newWorkshop(ctx context.Context, root string, bugs []planted.Bug) (w *workshop, err error) {
	w = &workshop{root: root, number: make(map[string]int)}
	bugs = slices.DeleteFunc(slices.Clone(bugs), func(b planted.Bug) bool {
		return b.By == planted.ByInterleave || b.By == planted.ByPython || b.By == planted.ByTest
	})
	if w.dir, err = os.MkdirTemp("", "statehouse-planted-"); err != nil {
		return nil, err
	}
	overlay, alone, err := planted.Combine(root, bugs)
	if err == nil && len(overlay) > 0 {
		w.together = filepath.Join(w.dir, "statehouse-sim")
		err = overlay.Build(ctx, root, "./cmd/statehouse-sim", w.dir, w.together)
	}
	if err != nil {
		w.close()
		return nil, err
	}
	for i := range bugs {
		if alone[bugs[i].Name] == "" {
			w.number[bugs[i].Name] = i + 1
		}
	}
	return w, nil
}

func (w *workshop) close() { _ = os.RemoveAll(w.dir) } // of the temporary files of a process that ends

// daemon builds the daemon as it is.
func (w *workshop) daemon(ctx context.Context) (program string, err error) {
	w.building.Lock()
	defer w.building.Unlock()
	if w.statehoused == "" {
		w.statehoused, err = live.Build(ctx, w.root, w.dir)
	}
	return w.statehoused, err
}

// check runs seeds in the program that the bugs share with none of them on: it must do what
// the code does as it is, sum by sum.
func (w *workshop) check(ctx context.Context, sums map[uint64]uint64) error {
	if w.together == "" {
		return nil
	}
	var wrong error
	err := (&fleet{size: 1, binary: w.together, recycle: 500}).run(ctx, jobsOf(unchanged), func(o outcome) {
		if sums[o.Seed] != o.Sum {
			wrong = differs(o.Seed)
		}
	})
	return cmp.Or(err, wrong)
}

// differs is the error of a program with bugs or mutants in it that does something else than
// this one, though none is on.
func differs(seed uint64) error {
	return failed(exitInternal, "with nothing planted, seed %d does not do what it does in this program: is this one of the commit that is planted in?", seed)
}

// fleet is one worker with a bug in it.
func (w *workshop) fleet(ctx context.Context, b *planted.Bug) (*fleet, error) {
	if n := w.number[b.Name]; n > 0 {
		return &fleet{size: 1, binary: w.together, recycle: 500, env: []string{fmt.Sprintf("%s=%d", toggle.Variable, n)}}, nil
	}
	dir := filepath.Join(w.dir, b.Name)
	if err := os.Mkdir(dir, 0o755); err != nil {
		return nil, err
	}
	program := filepath.Join(dir, "statehouse-sim")
	return &fleet{size: 1, binary: program, recycle: 500}, b.Build(ctx, w.root, "./cmd/statehouse-sim", dir, program)
}

// try runs seeds on the code with a bug in it.
func (a *app) try(ctx context.Context, w *workshop, b *planted.Bug, o proveFlags) proof {
	switch b.By {
	case planted.ByInterleave:
		return a.tryInterleaved(ctx, w.root, b, o)
	case planted.ByPython:
		return a.tryPython(ctx, w, b, o)
	case planted.ByTest:
		return a.tryTests(ctx, w, b, o)
	}
	t := trial{nodes: nodesOf(b), proof: proof{Bug: b.Name, Guarantee: b.Guarantee, Alone: make(map[string]string), Unseen: b.Unseen}, more: o.more, before: w.caught[b.Name]}
	fail := func(err error) proof { t.Error = err.Error(); return t.proof }
	f, err := w.fleet(ctx, b)
	if err != nil {
		return fail(err)
	}
	start := a.now()
	t.budget, t.stop = context.WithTimeout(ctx, o.budget)
	defer t.stop()
	t.asIs = func(seed uint64) (outcome, error) { return asIs(t.budget, seed, t.nodes) }
	if err := f.run(t.budget, t.next, t.done); err != nil {
		return fail(err)
	}
	if t.err != nil && ctx.Err() == nil {
		return fail(t.err)
	}
	t.Seconds = a.now().Sub(start).Seconds()
	if t.first != nil && o.shrink > 0 && ctx.Err() == nil {
		if err := t.shrink(ctx, a, f, o); err != nil {
			return fail(err)
		}
	}
	return t.proof
}

// nodesOf is how many nodes a bug's seeds have; 0: the daemon is alone.
func nodesOf(b *planted.Bug) int {
	if b.By == planted.ByCluster {
		return 3
	}
	return 0
}

// asIs runs a seed on the code as it is.
func asIs(ctx context.Context, seed uint64, nodes int) (as outcome, err error) {
	f, err := newFleet(1)
	if err != nil {
		return as, err
	}
	asked := false
	err = f.run(ctx, func() (job, bool) {
		first := !asked
		asked = true
		return job{Seed: seed, Nodes: nodes}, first
	}, func(o outcome) { as = o })
	return as, err
}

func (t *trial) next() (job, bool) {
	if t.first != nil && (t.more == 0 || len(t.Alone)+len(t.Unseen) >= len(judges)) {
		return job{}, false
	}
	if t.first != nil {
		t.more--
	}
	if seed := t.before; seed > 0 {
		t.before = 0
		return job{Seed: seed, Nodes: t.nodes, Alone: true}, true
	}
	t.seed++
	return job{Seed: t.seed, Nodes: t.nodes, Alone: true}, true
}

func (t *trial) done(o outcome) {
	if t.first == nil {
		t.Seeds++
	}
	if len(o.Violations) > 0 && t.first == nil {
		switch as, err := t.asIs(o.Seed); {
		case err != nil:
			t.err = err
			t.stop()
			return
		case len(as.Violations) > 0: // which says nothing of the bug
			t.False = append(t.False, o.Seed)
			return
		}
		t.first, t.Caught, t.Seed = &o, true, o.Seed
		t.By = o.Violations[0].Guarantee + " " + o.Violations[0].Check
	}
	for judge, check := range o.Alone { // each by itself: order cannot matter
		if t.Alone[judge] == "" {
			t.Alone[judge] = check
		}
	}
}

// shrink makes a scenario of the first run that failed, in a process that has the bug.
func (t *trial) shrink(ctx context.Context, a *app, f *fleet, o proveFlags) error {
	if t.first.Violations[0].Check == "process-died" {
		if shrunk, err := a.shrinkDead(ctx, f, job{Seed: t.first.Seed, Nodes: t.nodes, Shrink: o.shrink}); err == nil {
			t.Steps = len(shrunk.Steps)
		}
		return nil
	}
	w, err := f.hire(ctx)
	if err != nil {
		return err
	}
	shrunk, err := w.do(job{Seed: t.first.Seed, Nodes: t.nodes, Shrink: o.shrink})
	_ = w.dismiss() // it has answered
	if err == nil && shrunk.Small != nil {
		t.Steps = shrunk.Small.Steps
	}
	if err != nil || shrunk.Scenario == "" {
		return nil // there is no scenario to show: caught it is
	}
	s, err := scenario.Read(strings.NewReader(shrunk.Scenario))
	if err != nil {
		return fmt.Errorf("the scenario that it was shrunk to cannot be read: %w", err)
	}
	t.Steps = len(s.Steps)
	if o.keep == "" {
		return nil
	}
	return os.WriteFile(filepath.Join(o.keep, t.Bug+".yaml"), []byte(shrunk.Scenario), 0o644)
}

// keepSeeds writes down which seeds caught the bugs, beside those of bugs that were not tried now.
func keepSeeds(root string, proofs []proof) error {
	list := filepath.Join(root, planted.CaughtList)
	seeds, err := readList(list, planted.ReadCaught)
	if err != nil {
		return err
	}
	if seeds == nil {
		seeds = make(map[string]uint64)
	}
	for i := range proofs {
		if p := &proofs[i]; p.Caught && p.Seed > 0 {
			seeds[p.Bug] = p.Seed
		}
	}
	if err := os.WriteFile(list, []byte(planted.Caught(seeds)), 0o644); err != nil {
		return failed(exitInternal, "%v", err)
	}
	return nil
}
