//go:build !unix

package main

import "log/slog"

// keepPrivate and warnReadable do nothing: files have no bits for others there.
func keepPrivate()                         {}
func warnReadable(*slog.Logger, ...string) {}
