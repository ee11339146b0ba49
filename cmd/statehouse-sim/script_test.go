package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestScripts runs testdata/script/*.txtar, one a command, against this tool's real main.
// $REPO is this repository, $STATEHOUSED a daemon of it. Beside the usual commands scripts
// have
//
//	exits CODE PROGRAM ARG...  run it; its exit code must be that
func TestScripts(t *testing.T) {
	repo, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	bin := filepath.Join(t.TempDir(), "statehoused")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-tags", "grpcnotrace", "-o", bin, "statehouse.dev/statehouse/cmd/statehoused").CombinedOutput(); err != nil {
		t.Fatalf("building the daemon: %v\n%s", err, out)
	}
	caches, err := exec.CommandContext(t.Context(), "go", "env", "GOCACHE", "GOMODCACHE", "GOPATH", "GOPROXY").Output()
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Files: scripts(t),
		Setup: func(e *testscript.Env) error {
			e.Setenv("REPO", repo)
			e.Setenv("STATEHOUSED", bin)
			e.Setenv("GORACE", "atexit_sleep_ms=10") // a second for each command otherwise
			for i, value := range strings.Split(strings.TrimSpace(string(caches)), "\n") {
				e.Setenv([]string{"GOCACHE", "GOMODCACHE", "GOPATH", "GOPROXY"}[i], value)
			}
			return nil
		},
		RequireExplicitExec: true,
		Condition: func(name string) (bool, error) { // [sweep]: there is time for longer runs
			if name != "sweep" {
				return false, fmt.Errorf("there is no condition %q", name)
			}
			return os.Getenv("STATEHOUSE_SWEEP") == "full", nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"exits": exits},
	})
}

// worlds are the scripts that do little else than run worlds.
var worlds = []string{"ci.txtar", "explain.txtar", "fuzz.txtar", "run.txtar", "sweep.txtar"}

// scripts are the files to run: under the race detector those that have something for it to
// see.
func scripts(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob("testdata/script/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatal("no scripts", err)
	}
	return slices.DeleteFunc(files, func(path string) bool { return underRace && slices.Contains(worlds, filepath.Base(path)) })
}

func exits(ts *testscript.TestScript, _ bool, args []string) {
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	code := 0
	err = ts.Exec(args[1], args[2:]...)
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		code, err = exit.ExitCode(), nil
	}
	ts.Check(err)
	if code != want {
		ts.Fatalf("exit code %d, want %d", code, want)
	}
}

// TestEveryCommandHasAScript: what is added is tried as its users will.
func TestEveryCommandHasAScript(t *testing.T) {
	for _, cmd := range newRoot(strings.NewReader(""), io.Discard, io.Discard).Commands() {
		if _, err := os.Stat(filepath.Join("testdata/script", cmd.Name()+".txtar")); err != nil {
			t.Errorf("%v", err)
		}
	}
}
