package main

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"statehouse.dev/statehouse/sim/planted"
)

// testsOfThePast are the tests that compare the past, as retention and erasures leave it, with a
// model of what was committed.
const testsOfThePast = "^(TestPast|TestErase|TestRetentionByAge|TestRetentionByVersions)$"

// tryTests tries a bug on the tests of the package that it is in.
func (a *app) tryTests(ctx context.Context, root string, b *planted.Bug, o proveFlags) proof {
	const why = "tests of the package"
	p := proof{Bug: b.Name, Guarantee: b.Guarantee, Unseen: map[string]string{"oracle": why, "serial": why}}
	fail := func(err error) proof { p.Error = err.Error(); return p }
	dir, err := os.MkdirTemp("", "statehouse-planted-")
	if err != nil {
		return fail(err)
	}
	defer os.RemoveAll(dir)
	list, err := b.Overlay(root, dir)
	if err != nil {
		return fail(err)
	}
	start := a.now()
	ctx, stop := context.WithTimeout(ctx, o.budget)
	defer stop()
	cmd := exec.CommandContext(ctx, "go", "test", "-overlay", list, "-run", testsOfThePast, "./"+filepath.Dir(b.Edits[0].File))
	cmd.Dir = root
	out, err := cmd.CombinedOutput()
	p.Seconds = a.now().Sub(start).Round(time.Second).Seconds()
	var exit *exec.ExitError
	if p.Caught = errors.As(err, &exit) && strings.Contains(string(out), "--- FAIL"); err != nil && !p.Caught {
		return fail(errors.New(strings.TrimSpace(string(out))))
	}
	p.By = "tests"
	return p
}
