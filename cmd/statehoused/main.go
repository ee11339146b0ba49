// Command statehoused is the Statehouse daemon.
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
	keepPrivate()
	ctx, stop := signal.NotifyContext(context.Background(), interrupt.Signals()...)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Environ(), os.Stdout, os.Stderr, os.Exit))
}
