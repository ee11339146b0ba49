package main

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"

	"statehouse.dev/statehouse/sim/planted"
)

var failedTest = regexp.MustCompile(`(?m)^--- FAIL: (\w+)`)

// tryTests tries a bug that tests find: it is caught if one of its package fails.
func (a *app) tryTests(ctx context.Context, w *workshop, b *planted.Bug, o proveFlags) proof {
	pkg, pattern, _ := strings.Cut(b.Tests, " ")
	why := "tests of " + pkg
	p := proof{Bug: b.Name, Guarantee: b.Guarantee, Unseen: map[string]string{"oracle": why, "serial": why}}
	dir := filepath.Join(w.dir, b.Name)
	err := os.Mkdir(dir, 0o755)
	var list string
	if err == nil {
		list, err = b.Overlay(w.root, dir)
	}
	if err != nil {
		p.Error = err.Error()
		return p
	}
	start := a.now()
	ctx, cancel := context.WithTimeout(ctx, o.budget)
	defer cancel()
	args := []string{"test", "-count=1", "-overlay", list, "-run", pattern, pkg}
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = w.root
	out, err := cmd.CombinedOutput()
	p.Seconds = a.now().Sub(start).Seconds()
	switch m := failedTest.FindSubmatch(out); {
	case m != nil:
		p.Caught, p.By = true, string(m[1])
	case bytes.Contains(out, []byte("panic: ")) && ctx.Err() == nil:
		p.Caught, p.By = true, "a panic in a test"
	case err != nil:
		p.Error = err.Error() + ": " + string(bytes.TrimSpace(out))
	}
	return p
}
