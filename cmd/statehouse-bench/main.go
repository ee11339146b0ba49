// Command statehouse-bench measures a running Statehouse daemon over the wire, against
// ceilings that it measures in the same run.
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
