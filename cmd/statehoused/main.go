// Command statehoused is the Statehouse daemon: it keeps the state of agents in one directory,
// and serves it over gRPC until SIGTERM.
//
//	statehoused --data-dir ./data --listen-addr 127.0.0.1:50051
//
// Flags may also come from the environment or a file (--config). A commit is synced to disk
// before it is acknowledged, unless --fsync-on-commit=false. When storage fails the daemon
// exits with 74: started again, it recovers. "statehoused verify" checks a directory that no
// daemon uses.
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
