package interrupt

import (
	"os"
	"os/signal"
	"slices"
	"syscall"
	"testing"
)

// TestSignals: an interrupt ends a program unless it was started so that it does not.
func TestSignals(t *testing.T) {
	notified := make(chan os.Signal, 1)
	signal.Notify(notified, syscall.SIGINT) // whatever the runner of this test has done
	defer signal.Stop(notified)
	if got := Signals(); !slices.Contains(got, os.Signal(syscall.SIGINT)) || !slices.Contains(got, os.Signal(syscall.SIGTERM)) {
		t.Errorf("%v", got)
	}
	signal.Ignore(syscall.SIGINT)
	defer signal.Reset(syscall.SIGINT)
	if got := Signals(); slices.Contains(got, os.Signal(syscall.SIGINT)) || !slices.Contains(got, os.Signal(syscall.SIGTERM)) {
		t.Errorf("ignored: %v", got)
	}
}
