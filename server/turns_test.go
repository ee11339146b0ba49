package server

import (
	"context"
	"testing"
	"time"

	"statehouse.dev/statehouse/engine"
)

// TestTimeoutCountsFromArrival: what a commit waits for its turn is off its timeout.
func TestTimeoutCountsFromArrival(t *testing.T) {
	at := time.Unix(1000, 0)
	s := &Service{env: engine.Env{Now: func() time.Time { return at }}}
	timeout := time.Second
	ctx := context.WithValue(t.Context(), turnKey{}, &turn{arrived: at})
	at = at.Add(3 * time.Second)
	if d := s.left(ctx, &timeout); *d != -2*time.Second || timeout != time.Second {
		t.Errorf("after three seconds %v are left of one", *d)
	}
	at = at.Add(-time.Hour) // the clock was set back
	if d := s.left(ctx, &timeout); *d != timeout {
		t.Errorf("%v are left", *d)
	}
	if s.left(ctx, nil) != nil || s.left(t.Context(), &timeout) != &timeout {
		t.Error("without a timeout, or a turn, there is nothing to take off")
	}
}
