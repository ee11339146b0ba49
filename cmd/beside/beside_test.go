package beside

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func script(t *testing.T, dir, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"+text), 0o755); err != nil {
		t.Fatal(err)
	}
}

// Streams, arguments and the exit code are the command's own.
func TestRun(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	script(t, dir, "other", `read line; echo "$line $*"; echo no >&2; exit 65`)
	var out, errs bytes.Buffer
	c := Command{Name: "other", Args: []string{"--json", "a b"}, In: strings.NewReader("asked\n"), Out: &out, Err: &errs}
	if code, err := c.Run(t.Context()); code != 65 || err != nil || out.String() != "asked --json a b\n" || errs.String() != "no\n" {
		t.Errorf("%d, %v: %q %q", code, err, out.String(), errs.String())
	}
	c.Name = "missing"
	if _, err := c.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "no missing beside this program or in PATH") {
		t.Errorf("%v", err)
	}
}

// What stands beside this program comes before what is in PATH.
func TestBesideFirst(t *testing.T) {
	own, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	script(t, dir, "other", `exit 1`)
	script(t, filepath.Dir(own), "other", `exit 7`)
	defer os.Remove(filepath.Join(filepath.Dir(own), "other"))
	if code, err := (Command{Name: "other"}).Run(t.Context()); code != 7 || err != nil {
		t.Errorf("%d, %v", code, err)
	}
}

// An interrupted command is waited for: its exit code counts.
func TestInterrupted(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	script(t, dir, "other", `trap 'exit 130' TERM; trap '' INT; echo ready; while :; do sleep 0.01; done`)
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if code, err := (Command{Name: "other"}).Run(ctx); code != 130 || err != nil {
		t.Errorf("%d, %v", code, err)
	}
}
