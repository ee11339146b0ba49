package main

import (
	"bufio"
	"io"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"statehouse.dev/statehouse/cmd/statehouse-bench/bench"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"statehouse-bench": main})
}

// TestScripts runs testdata/*.txtar against this tool's real main, with a real statehoused
// at STATEHOUSE_ADDRESS.
func TestScripts(t *testing.T) {
	address := startDaemon(t)
	testscript.Run(t, testscript.Params{
		Dir: "testdata",
		Setup: func(e *testscript.Env) error {
			e.Setenv("GORACE", "atexit_sleep_ms=10") // a second for each command otherwise
			e.Setenv("STATEHOUSE_ADDRESS", address)
			return nil
		},
		RequireExplicitExec: true,
	})
}

// startDaemon starts one in memory, which is killed when the test ends.
func startDaemon(t *testing.T) (address string) {
	t.Helper()
	bin := filepath.Join(t.TempDir(), "statehoused")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-tags", "grpcnotrace", "-o", bin, "statehouse.dev/statehouse/cmd/statehoused").CombinedOutput(); err != nil {
		t.Fatalf("building the daemon: %v\n%s", err, out)
	}
	cmd := exec.CommandContext(t.Context(), bin, "--use-memory", "--listen-addr", "127.0.0.1:0") // killed at the end
	log, err := cmd.StderrPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Wait() })
	listening := regexp.MustCompile(`msg=listening address=(\S+)`)
	for lines := bufio.NewScanner(log); lines.Scan(); {
		if m := listening.FindStringSubmatch(lines.Text()); m != nil {
			go func() { _, _ = io.Copy(io.Discard, log) }() // a full pipe would lose lines
			return m[1]
		}
	}
	t.Fatal("the daemon does not listen")
	return ""
}

// The table has a line for each ratio, and says which aims were missed.
func TestTable(t *testing.T) {
	var b strings.Builder
	table(&b, []bench.Ratio{{Name: "commits", Value: 0.7, Aim: 0.55, Met: true}, {Name: "latency", Value: 2, Aim: 1.4, AtMost: true}})
	want := regexp.MustCompile(`^ratio +value +aim\ncommits +0\.70 +>= 0\.55\nlatency +2\.00 +<= 1\.4  missed\n$`)
	if !want.MatchString(b.String()) {
		t.Errorf("%s", b.String())
	}
}
