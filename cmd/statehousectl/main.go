// Command statehousectl is the operator's and developer's tool for Statehouse.
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
