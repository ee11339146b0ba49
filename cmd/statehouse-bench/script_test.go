package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"statehouse-bench": main})
}

// TestScripts runs testdata/*.txtar against this tool's real main, with a real statehoused
// in PATH.
func TestScripts(t *testing.T) {
	dir := t.TempDir()
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-tags", "grpcnotrace", "-o", dir, "statehouse.dev/statehouse/cmd/statehoused").CombinedOutput(); err != nil {
		t.Fatalf("building the daemon: %v\n%s", err, out)
	}
	testscript.Run(t, testscript.Params{
		Dir: "testdata",
		Setup: func(e *testscript.Env) error {
			e.Setenv("GORACE", "atexit_sleep_ms=10") // a second for each command otherwise
			e.Setenv("PATH", dir+string(os.PathListSeparator)+e.Getenv("PATH"))
			e.Setenv("STATEHOUSED", filepath.Join(dir, "statehoused"))
			return nil
		},
		Cmds:                map[string]func(*testscript.TestScript, bool, []string){"tidy": tidy, "measured": measured, "narrow": narrow},
		RequireExplicitExec: true,
	})
}

// tidy checks that a directory has nothing of the tool's in it, and that no process has
// the directory on its command line.
func tidy(ts *testscript.TestScript, neg bool, args []string) {
	left, err := filepath.Glob(filepath.Join(ts.MkAbs(args[0]), "statehouse-bench-*"))
	ts.Check(err)
	if len(left) > 0 {
		ts.Fatalf("left behind: %v", left)
	}
	lines, err := filepath.Glob("/proc/[0-9]*/cmdline")
	ts.Check(err)
	for _, line := range lines {
		if text, err := os.ReadFile(line); err == nil && strings.Contains(string(text), ts.MkAbs(args[0])) && !strings.Contains(line, "self") {
			ts.Fatalf("%s still runs: %q", line, text)
		}
	}
}

// measured checks that the JSON of a file has a measurement of the case by each target,
// and that each did something.
func measured(ts *testscript.TestScript, neg bool, args []string) {
	var r struct {
		Measurements []struct {
			Case, Target string
			PerSecond    *float64 `json:"per_second"`
		}
	}
	ts.Check(json.Unmarshal([]byte(ts.ReadFile(args[0])), &r))
	for _, target := range args[2:] {
		found := false
		for _, m := range r.Measurements {
			found = found || m.Case == args[1] && m.Target == target && m.PerSecond != nil && *m.PerSecond > 0
		}
		if found == neg {
			ts.Fatalf("%s by %s: measured is %v", args[1], target, found)
		}
	}
}

// narrow checks that no line of a file is wider than a terminal may be.
func narrow(ts *testscript.TestScript, neg bool, args []string) {
	for line := range strings.Lines(ts.ReadFile(args[0])) {
		if n := len([]rune(strings.TrimSpace(line))); n > 100 {
			ts.Fatalf("%d columns: %s", n, line)
		}
	}
}
