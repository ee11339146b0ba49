//go:build !unix

package main

import (
	"log/slog"

	"statehouse.dev/statehouse/server"
)

// dumpOnSignal does nothing: there is no such signal.
func dumpOnSignal(*server.Service, *slog.Logger) (stop func()) { return func() {} }
