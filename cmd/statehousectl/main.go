// Command statehousectl talks to a Statehouse daemon over gRPC. It reads and writes the state
// of agents (get, put, delete, txn), lists it (agents, keys, scan), shows what happened to it
// (history, tail, replay, inspect), asks the daemon how it is (health), and makes and opens
// bundles and captures.
//
//	statehousectl put alice plan '{"goal":"tea"}'
//	statehousectl get alice plan --at 5m
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
