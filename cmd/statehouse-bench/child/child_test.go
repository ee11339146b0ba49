//go:build linux

package child

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

func shell(script string) Command {
	return Command{Path: "/bin/sh", Args: []string{"-c", script}, Ready: regexp.MustCompile(`^ready (\S+)`)}
}

// What a server and its own children compute is counted, also of children that have ended.
func TestCPU(t *testing.T) {
	const spin = `i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done`
	p, err := Start(t.Context(), shell(`echo nothing; echo ready here; (`+spin+`); (`+spin+`; sleep 60) & `+spin+`; wait`))
	if err != nil {
		t.Fatal(err)
	}
	defer p.End()
	if p.Said[1] != "here" {
		t.Errorf("said %q", p.Said)
	}
	var last time.Duration
	for range 200 {
		now, err := p.CPU()
		if err != nil || now < last-20*time.Millisecond { // what has ended is counted in ticks
			t.Fatalf("%v after %v: %v", now, last, err)
		}
		last = now
		if last > 0 {
			own, err := processCPU(p.Pid())
			if err != nil {
				t.Fatal(err)
			}
			if last > 2*own && own > 20*time.Millisecond { // all three have run
				return
			}
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Errorf("only %v was counted", last)
}

// A server that ends before it is ready says why; one that ends later is noticed.
func TestEnded(t *testing.T) {
	if _, err := Start(t.Context(), shell(`echo it cannot be >&2`)); err == nil || !strings.Contains(err.Error(), "ended at once\nit cannot be") {
		t.Errorf("%v", err)
	}
	p, err := Start(t.Context(), shell(`sleep 61 & echo ready now`))
	if err != nil {
		t.Fatal(err)
	}
	<-p.ended
	left, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range left {
		if text, err := os.ReadFile(path); err == nil && strings.Contains(string(text), fmt.Sprintf(" %d ", p.Pid())) && strings.Contains(string(text), "(sleep)") && !strings.Contains(string(text), ") Z ") {
			t.Errorf("it left a process behind: %s", text)
		}
	}
	if _, err := p.CPU(); err == nil || !strings.Contains(err.Error(), "ended by itself") {
		t.Errorf("%v", err)
	}
	p.End()
	if _, err := Start(t.Context(), Command{Path: "/nowhere"}); err == nil {
		t.Error("nothing was started")
	}
}

// One that is not ready when the run is interrupted is ended.
func TestInterrupted(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	start := time.Now()
	if _, err := Start(ctx, shell(`exec sleep 60`)); err == nil || time.Since(start) > 9*time.Second {
		t.Errorf("%v after %v", err, time.Since(start))
	}
}

// A daemon that was not started here is found by its port.
func TestListening(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(l.Addr().String())
	if pid, ok := Listening(port); !ok || pid != os.Getpid() {
		t.Errorf("%d %v", pid, ok)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if pid, ok := Listening(port); ok {
		t.Errorf("%d listens on a closed port", pid)
	}
}

func TestRun(t *testing.T) {
	if err := shell("exit 0").Run(t.Context()); err != nil {
		t.Error(err)
	}
	if err := shell("echo no; exit 3").Run(t.Context()); err == nil || !strings.Contains(err.Error(), "no") {
		t.Errorf("%v", err)
	}
}
