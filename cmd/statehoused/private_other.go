//go:build !unix

package main

import (
	"log/slog"
	"os"
)

// keepPrivate and warnReadable do nothing: files have no bits for others there.
func keepPrivate()                         {}
func warnReadable(*slog.Logger, ...string) {}

func mayWrite(dir string) error {
	_, err := os.Stat(dir)
	return err
}
