package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"statehouse.dev/statehouse/sim/live"
	"statehouse.dev/statehouse/sim/planted"
)

// withoutPython leaves out the bugs of the Python SDK where they cannot be tried, and says so.
func (a *app) withoutPython(ctx context.Context, root string, bugs []planted.Bug) []planted.Bug {
	ofPython := func(b planted.Bug) bool { return b.By == planted.ByPython }
	if !slices.ContainsFunc(bugs, ofPython) {
		return bugs
	}
	if _, err := live.FindPython(ctx, root); err != nil {
		fmt.Fprintf(a.err, "the bugs of the Python SDK are not tried: %v\n", err)
		return slices.DeleteFunc(bugs, ofPython)
	}
	return bugs
}

// plantPython writes the Python SDK with a bug in it into a folder.
func (a *app) plantPython(bug *planted.Bug, root, dir string) error {
	if err := bug.Lay(root, dir); err != nil {
		return failed(exitInternal, "%v", err)
	}
	fmt.Fprintf(a.out, "%s: a Python SDK in which %s\n  statehouse-sim live --python %s\n", dir, bug.About, shellWord(dir))
	return nil
}

// tryPython tries a bug of the Python SDK: programs use each of its two clients, until what one
// of them was told is wrong. It is caught if it is with both.
func (a *app) tryPython(ctx context.Context, w *workshop, b *planted.Bug, o proveFlags) proof {
	const why = "its users' view"
	p := proof{Bug: b.Name, Guarantee: b.Guarantee, Unseen: map[string]string{"oracle": why, "serial": why}, Caught: true}
	fail := func(err error) proof {
		p.Caught, p.Error = false, err.Error()
		return p
	}
	program, err := live.FindPython(ctx, w.root)
	if err != nil {
		return fail(err)
	}
	dir := filepath.Join(w.dir, b.Name)
	if err := b.Lay(w.root, dir); err != nil {
		return fail(err)
	}
	daemon, err := w.daemon(ctx)
	if err != nil {
		return fail(err)
	}
	start := a.now()
	for _, async := range []bool{false, true} {
		budget, stop := context.WithTimeout(ctx, o.budget)
		by, runs, err := usePython(budget, daemon, live.Python{Dir: dir, Program: program, Async: async})
		over := budget.Err() != nil
		stop()
		if err != nil && !over {
			return fail(err)
		}
		p.Seeds += runs
		p.Caught = p.Caught && by != ""
		if by != "" {
			p.By = by
		}
	}
	p.Seconds = a.now().Sub(start).Seconds()
	return p
}

// usePython runs programs until one shows a bug, and says which check it fails.
func usePython(ctx context.Context, daemon string, p live.Python) (by string, runs int, err error) {
	for seed := uint64(1); ctx.Err() == nil; seed++ {
		o := live.Options{Daemon: daemon, For: 4 * time.Second, Clients: 8, Kills: 2, Stops: 1, Seed: seed, Patience: 30 * time.Second}
		if o.Dir, err = os.MkdirTemp(p.Dir, "data-"); err != nil {
			return "", runs, err
		}
		r, err := live.RunPython(ctx, o, p)
		if err != nil {
			return "", runs, err
		}
		runs++
		if len(r.Violations) > 0 {
			return r.Violations[0].Guarantee + " " + r.Violations[0].Check, runs, nil
		}
	}
	return "", runs, nil
}
