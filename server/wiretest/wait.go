package wiretest

import (
	"context"
	"errors"
	"testing"
	"time"
)

// Patience is how long anything may take that a test waits for. It is only ever spent when
// something is wrong.
const Patience = 2 * time.Minute

// ErrNotYet is for checks that have nothing to say but that.
var ErrNotYet = errors.New("not yet")

// Eventually polls for what another goroutine, or the other end of a connection, is about
// to do.
func Eventually(t testing.TB, what string, check func() error) {
	t.Helper()
	deadline := time.Now().Add(Patience)
	for {
		err := check()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: never: %v", what, err)
		}
		time.Sleep(2 * time.Millisecond)
	}
}

// Timeout is the context of one call.
func Timeout(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), Patience)
	t.Cleanup(cancel)
	return ctx
}
