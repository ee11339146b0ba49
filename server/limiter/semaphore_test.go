package limiter

import (
	"context"
	"errors"
	"strings"
	"testing"

	"statehouse.dev/statehouse/engine"
)

// TestSemaphoreIsFair: whoever waits for room gets it in turn, also when others give
// up, and nothing is lost of it.
func TestSemaphoreIsFair(t *testing.T) {
	waits := make(chan struct{}, 1)
	r := NewSemaphore(10, func(ctx context.Context, in <-chan struct{}) error {
		waits <- struct{}{}
		select {
		case <-in:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	})
	enter := func(ctx context.Context, n int64) <-chan error {
		done := make(chan error, 1)
		go func() {
			_, err := r.Acquire(ctx, n)
			done <- err
		}()
		select {
		case <-waits:
		case err := <-done:
			done <- err
		}
		return done
	}
	ctx, cancel := context.WithCancel(context.Background())
	all, first, gone, small := enter(t.Context(), 100), enter(t.Context(), 6), enter(ctx, 10), enter(t.Context(), 1)
	if err := <-all; err != nil || len(first) > 0 || len(gone) > 0 || len(small) > 0 {
		t.Fatalf("more than all there is: %v; the others: %d %d %d", err, len(first), len(gone), len(small))
	}
	r.Release(10)
	if err := <-first; err != nil || len(small) > 0 {
		t.Errorf("the first: %v; the last was let past the second: %v", err, len(small) > 0)
	}
	cancel()
	if err := errors.Join(<-small); err != nil || !errors.Is(<-gone, context.Canceled) {
		t.Errorf("after one who gave up: %v", err)
	}
	r.Release(6)
	r.Release(1)
	if taken, waiting := r.Usage(); taken != 0 || waiting != 0 {
		t.Errorf("%d of 10 are taken, %d wait", taken, waiting)
	}
}

// TestSemaphoreGivenUpTooLate: what is given up in the moment it gets its room gives that
// back.
func TestSemaphoreGivenUpTooLate(t *testing.T) {
	waits := make(chan struct{})
	s := NewSemaphore(2, func(_ context.Context, in <-chan struct{}) error {
		close(waits)
		<-in
		return context.Canceled
	})
	if _, err := s.Acquire(t.Context(), 2); err != nil {
		t.Fatal(err)
	}
	done := make(chan error)
	go func() {
		_, err := s.Acquire(t.Context(), 1)
		done <- err
	}()
	<-waits
	s.Release(2)
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	if taken, waiting := s.Usage(); taken != 0 || waiting != 0 {
		t.Errorf("%d are taken, %d wait", taken, waiting)
	}
}

// TestLimiter: what is past the limit is refused by name, and what leaves makes room.
func TestLimiter(t *testing.T) {
	var l Limiter
	l.Init(2, "things", func() {})
	if err := errors.Join(l.Check(), l.Enter(), l.Enter()); err != nil || l.Free() != 0 || l.Limit() != 2 {
		t.Errorf("%v, %d free of %d", err, l.Free(), l.Limit())
	}
	for _, err := range []error{l.Check(), l.Enter()} {
		if !errors.Is(err, engine.ErrLimit) || !strings.Contains(err.Error(), "things under way: the limit of 2") {
			t.Errorf("past the limit: %v", err)
		}
	}
	l.Leave()
	if err := l.Enter(); err != nil {
		t.Errorf("one has left: %v", err)
	}
}
