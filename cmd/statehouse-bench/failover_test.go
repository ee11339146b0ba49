package main

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"testing"
)

// TestFailover runs what make failover does, for a few seconds: under load the member of a cluster that leads is killed
// and started again, the others go on, and the history of all clients is right; with one answer changed it is not.
func TestFailover(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes seconds")
	}
	bin, dir := t.TempDir(), t.TempDir()
	build := exec.CommandContext(t.Context(), "go", "build", "-tags", "grpcnotrace", "-o", bin, "./cmd/statehoused", "./cmd/statehousectl", "./cmd/statehouse-bench", "./cmd/statehouse-sim")
	drill := exec.CommandContext(t.Context(), ".ci/failover", dir, fmt.Sprint(freePorts(t)), "6", "0")
	drill.Env = append(os.Environ(), "BIN="+bin)
	for _, cmd := range []*exec.Cmd{build, drill} {
		cmd.Dir = "../.."
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%q: %v\n%s", cmd.Args, err, out)
		}
	}
}

// freePorts is a port at which nobody listens, nor at those of the other listeners of three members: see .ci/cluster.
func freePorts(t *testing.T) int {
	t.Helper()
	for range 100 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		first, free := l.Addr().(*net.TCPAddr).Port, true
		_ = l.Close()
		for i := range 9 {
			l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", first+i/3*10+i%3))
			if free = free && err == nil; err == nil {
				_ = l.Close()
			}
		}
		if free {
			return first
		}
	}
	t.Fatal("there are no ports")
	return 0
}
