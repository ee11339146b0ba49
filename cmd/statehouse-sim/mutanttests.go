package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"statehouse.dev/statehouse/sim/mutant"
	"statehouse.dev/statehouse/sim/mutant/toggle"
)

// testProgram is the tests of a package, with all mutants in it.
type testProgram struct {
	dir, program string
	rapid        bool // it has properties, and is told to leave no files in the repository
	tests        []aTest
}

// aTest is a test of a program, as it went with no mutant on.
type aTest struct {
	name    string
	took    time.Duration // of the processor
	reached map[uint32]bool
}

// quick is what a test takes at most that is tried before others.
const quick = 300 * time.Millisecond

// buildTests builds the tests of the packages that mutants are in, and of those asked for.
func (s *scoring) buildTests(ctx context.Context, chosen []mutant.Mutant) error {
	var packages []string
	for i := range chosen {
		packages = append(packages, chosen[i].Package)
	}
	for _, p := range s.o.mutants.testsIn {
		packages = append(packages, filepath.ToSlash(filepath.Clean(p)))
	}
	slices.Sort(packages)
	for _, pkg := range slices.Compact(packages) {
		t := &testProgram{dir: filepath.Join(s.root, pkg), program: filepath.Join(s.dir, strings.ReplaceAll(pkg, "/", "_")+".test")}
		if err := s.overlay.Go(ctx, s.root, s.dir, "test", "-c", "-vet=off", "-o", t.program, "./"+pkg); err != nil {
			return err
		}
		if _, err := os.Stat(t.program); err == nil { // otherwise it has no tests
			s.tests = append(s.tests, t)
		}
	}
	return nil
}

// recordTests runs every test by itself with no mutant on, and notes which mutants it comes by.
func (s *scoring) recordTests(ctx context.Context) error {
	var mu sync.Mutex
	var wrong error
	for _, p := range s.tests {
		names, err := p.list(ctx)
		if err != nil {
			return failed(exitInternal, "listing the tests of %s: %v", p.dir, err)
		}
		next := make(chan string)
		var wg sync.WaitGroup
		for range s.o.workers {
			wg.Go(func() {
				for name := range next {
					t, err := p.record(ctx, filepath.Join(s.dir, "reached-"+name), name)
					mu.Lock()
					p.tests, wrong = append(p.tests, t), cmp.Or(wrong, err)
					mu.Unlock()
				}
			})
		}
		for _, name := range names {
			next <- name
		}
		close(next)
		wg.Wait()
		if wrong != nil || ctx.Err() != nil {
			break
		}
	}
	if ctx.Err() != nil {
		return failed(exitInterrupted, "interrupted")
	}
	return wrong
}

// list is what the program calls its tests, examples and fuzz targets.
func (p *testProgram) list(ctx context.Context) (names []string, err error) {
	help, _ := exec.CommandContext(ctx, p.program, "-h").CombinedOutput() // that is an error, too
	p.rapid = bytes.Contains(help, []byte("-rapid.nofailfile"))
	cmd := exec.CommandContext(ctx, p.program, "-test.list", ".")
	cmd.Dir = p.dir
	out, err := cmd.Output()
	for line := range strings.Lines(string(out)) {
		if name := strings.TrimSpace(line); name != "" && !strings.HasPrefix(name, "Benchmark") {
			names = append(names, name)
		}
	}
	return names, err
}

// command runs tests of the program, for so long at most.
func (p *testProgram) command(ctx context.Context, limit time.Duration, env []string, names ...string) *exec.Cmd {
	args := []string{"-test.failfast", "-test.timeout=" + limit.String(), "-test.run", "^(" + strings.Join(names, "|") + ")$"}
	if p.rapid {
		args = append(args, "-rapid.nofailfile")
	}
	cmd := exec.CommandContext(ctx, p.program, args...)
	cmd.Dir, cmd.Env, cmd.WaitDelay = p.dir, append(os.Environ(), env...), time.Second
	return cmd
}

// record runs a test with no mutant on.
func (p *testProgram) record(ctx context.Context, into, name string) (aTest, error) {
	t := aTest{name: name, reached: make(map[uint32]bool)}
	cmd := p.command(ctx, 10*time.Minute, []string{toggle.Variable + "=" + toggle.Record, toggle.RecordIn + "=" + into}, name)
	if out, err := cmd.CombinedOutput(); err != nil && ctx.Err() == nil {
		return t, failed(exitViolation, "with no mutant on, %s of %s fails: %v\n%s", name, p.dir, err, out)
	}
	if cmd.ProcessState != nil {
		t.took = cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	}
	text, _ := os.ReadFile(into) // none: it comes by no mutant
	_ = os.Remove(into)          // the directory goes, too
	for line := range strings.Lines(string(text)) {
		n, _ := strconv.ParseUint(strings.TrimSpace(line), 10, 32)
		t.reached[uint32(n)] = true
	}
	return t, nil
}

// unitTests runs the tests that come by a mutant, the quick ones first: which of them fails.
func (s *scoring) unitTests(ctx context.Context, m *mutant.Mutant) string {
	for _, slow := range []bool{false, true} {
		for _, p := range s.tests {
			var names []string
			var took time.Duration
			for i := range p.tests {
				if t := &p.tests[i]; t.reached[m.Number] && (t.took > quick) == slow {
					names, took = append(names, t.name), took+t.took
				}
			}
			if len(names) == 0 {
				continue
			}
			limit := bound{5*took + s.o.mutants.hang, s.o.mutants.memory << 20}
			if saw := p.fails(ctx, m, limit, names); saw != "" {
				return saw
			}
		}
	}
	return ""
}

var failing = regexp.MustCompile(`(?m)^--- FAIL: (\S+)`)

// fails runs tests with a mutant on, and says which fails, or how it ends.
func (p *testProgram) fails(ctx context.Context, m *mutant.Mutant, limit bound, names []string) string {
	// What waits for ever may do a little all the time, so that it never seems to do nothing.
	cmd := p.command(ctx, max(2*time.Minute, 4*limit.time), []string{fmt.Sprintf("%s=%d", toggle.Variable, m.Number)}, names...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Start()
	if err == nil {
		done, watched := make(chan struct{}), make(chan string, 1)
		go func() { watched <- watch(cmd.Process, done, limit) }()
		err = cmd.Wait()
		close(done)
		if killed := <-watched; killed != "" {
			return killed
		}
	}
	var exit *exec.ExitError
	switch {
	case err == nil || ctx.Err() != nil:
		return ""
	case failing.Match(out.Bytes()):
		return string(failing.FindSubmatch(out.Bytes())[1])
	case errors.As(err, &exit):
		return exit.String()
	}
	return err.Error()
}
