package main

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"statehouse.dev/statehouse/sim/planted"
)

// tryTests runs the tests that a bug names, on the code with the bug in it.
func (a *app) tryTests(ctx context.Context, w *workshop, b *planted.Bug, o proveFlags) proof {
	const why = "not in a world"
	p := proof{Bug: b.Name, Guarantee: b.Guarantee, Unseen: map[string]string{"oracle": why, "serial": why}}
	start := a.now()
	failed, err := failingTest(ctx, w, b, o)
	if err != nil {
		p.Error = err.Error()
	}
	p.Seeds, p.Seconds, p.Caught, p.By = 1, a.now().Sub(start).Seconds(), failed != "", failed
	return p
}

// failingTest is the first test that fails; "" if none does.
func failingTest(ctx context.Context, w *workshop, b *planted.Bug, o proveFlags) (string, error) {
	dir := filepath.Join(w.dir, b.Name)
	if err := os.Mkdir(dir, 0o755); err != nil {
		return "", err
	}
	list, err := b.Overlay(w.root, dir)
	if err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(ctx, o.budget)
	defer cancel()
	pkg, tests, _ := strings.Cut(b.Tests, " ")
	cmd := exec.CommandContext(ctx, "go", "test", "-overlay", list, "-count=1", "-run", tests, pkg)
	cmd.Dir = w.root
	out, err := cmd.CombinedOutput()
	if err == nil {
		return "", nil
	}
	_, after, found := strings.Cut(string(out), "--- FAIL: ")
	if !found {
		return "", errors.Join(err, errors.New(string(out)))
	}
	name, _, _ := strings.Cut(after, " ")
	return name, nil
}
