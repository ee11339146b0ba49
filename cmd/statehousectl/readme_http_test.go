package main

import (
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestReadmeHTTP does what the README says with curl, and holds that it prints what stands there.
func TestReadmeHTTP(t *testing.T) {
	if _, err := exec.LookPath("curl"); err != nil {
		t.Skip("there is no curl here: apt-get install curl")
	}
	dir := t.TempDir()
	bin := filepath.Join(dir, "bin")
	buildInto(t, bin)
	s := newReadmeSession(t, dir, bin)
	defer func() { s.stop(syscall.SIGKILL) }()
	for _, step := range stepsUnder(t, "From a program") {
		switch {
		case strings.HasPrefix(step.command, "statehoused "):
			if !strings.Contains(step.command, " --http-listen-addr localhost:") {
				t.Errorf("the daemon is started without HTTP: %s", step.command)
			}
			s.start("--http-listen-addr", "127.0.0.1:0")
		case strings.HasPrefix(step.command, "H="):
		case strings.HasPrefix(step.command, "curl "):
			step.command = "curl -sS" + strings.TrimPrefix(step.command, "curl")
			s.check(step)
		default:
			t.Errorf("a command that this test does not know: %s", step.command)
		}
	}
	if s.ran < 3 {
		t.Errorf("%d commands were run", s.ran)
	}
}
