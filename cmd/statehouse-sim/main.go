// Command statehouse-sim tests Statehouse: it runs the daemon's code in a simulated world,
// injects crashes, disk faults and lost messages, and checks every answer that a client was
// given against the guarantees of docs/GUARANTEES.md. A run follows from its seed.
//
// "run --seed 1" does one run, fuzz many; shrink makes a failing one a scenario of a few
// steps, and explain tells what happened in it. ci runs all that a change must pass. check
// judges the history of a real daemon, and repro searches for a run that shows the same.
package main

import (
	"context"
	"os"
	"os/signal"

	"statehouse.dev/statehouse/cmd/interrupt"
)

// Set by the Makefile with -ldflags -X.
var (
	version = "0.1.0-dev"
	gitSHA  = "unknown"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), interrupt.Signals()...)
	defer stop()
	os.Exit(execute(ctx, newRoot(os.Stdin, os.Stdout, os.Stderr), os.Args[1:]))
}
