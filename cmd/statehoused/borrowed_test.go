package main

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

// TestBorrowedLog: warnings of a library stand in the daemon's log, however many clients cause; what is none only
// for those who look for it.
func TestBorrowedLog(t *testing.T) {
	var out bytes.Buffer
	var level slog.LevelVar
	log := borrowedLog(slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: &level})), "mcp")
	log.Info("resource subscribed", "uri", "statehouse://ns/agent/key")
	if out.Len() != 0 {
		t.Errorf("%s", out.String())
	}
	for i := range 1000 {
		log.With("session", "s").Error(fmt.Sprintf("calling %d: %s", i, strings.Repeat("x", 10_000)), "error", errors.New("broken"))
	}
	if got := out.String(); strings.Count(got, "\n") > 10 || len(got) > 10*2*maxBorrowed || !strings.Contains(got, `level=WARN msg=mcp message="calling 0: xxx`) || !strings.Contains(got, "error=broken") {
		t.Errorf("%d bytes: %.300s", len(got), got)
	}
	out.Reset()
	level.Set(slog.LevelDebug)
	log.Info("resource subscribed", "uri", "u")
	if got := out.String(); !strings.Contains(got, `level=DEBUG msg="resource subscribed" uri=u`) {
		t.Errorf("%s", got)
	}
}
