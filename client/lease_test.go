package client_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"statehouse.dev/statehouse/client"
	"statehouse.dev/statehouse/server"
)

// TestHoldLease: a lease is renewed as long as it is held, its work is cancelled when it is lost, and whoever
// waits for it gets it then.
func TestHoldLease(t *testing.T) {
	c := startDaemon(t, server.Config{}, nil).dial(client.Config{})
	ctx := t.Context()
	o := client.LeaseOptions{Holder: "one", TTL: 600 * time.Millisecond}
	waiting := make(chan client.Version, 1)
	err := c.HoldLease(ctx, "a", "main", o, func(ctx context.Context, l *client.Lease) error {
		time.Sleep(3 * o.TTL) // it is renewed meanwhile
		if _, err := c.AcquireLease(ctx, "a", "main", client.LeaseOptions{}); !errors.Is(err, client.ErrLeaseHeld) {
			t.Errorf("a lease that is held is acquired: %v", err)
		}
		under := client.Batch{Writes: []client.Write{client.Put("a", "k", []byte(`{}`))}}
		under.Leases = []client.LeasePrecondition{l.Condition()}
		if _, err := c.Transact(ctx, under); err != nil {
			t.Errorf("under the lease: %v", err)
		}
		go func() {
			next, err := c.AcquireLease(context.WithoutCancel(ctx), "a", "main", client.LeaseOptions{Wait: true})
			if err != nil {
				t.Error(err)
				close(waiting)
				return
			}
			waiting <- next.Token
			_ = next.Release(context.WithoutCancel(ctx))
		}()
		time.Sleep(50 * time.Millisecond)
		if _, err := c.Transact(ctx, client.Batch{Writes: []client.Write{client.Release("a", "main", l.Token)}}); err != nil {
			t.Errorf("an operator's release: %v", err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(time.Minute):
			t.Error("the work goes on without the lease")
		}
		if !errors.Is(context.Cause(ctx), client.ErrLeaseLost) {
			t.Errorf("the cause is %v", context.Cause(ctx))
		}
		if _, err := c.Transact(context.WithoutCancel(ctx), under); !errors.Is(err, client.ErrLeaseLost) {
			t.Errorf("without the lease: %v", err)
		}
		if next := <-waiting; next <= l.Token {
			t.Errorf("token %d follows %d", next, l.Token)
		}
		return nil
	})
	if !errors.Is(err, client.ErrLeaseLost) {
		t.Errorf("the work ended with %v", err)
	}
}

// TestExpiringWrites: a record says when it expires, and a refresh puts it off.
func TestExpiringWrites(t *testing.T) {
	c := startDaemon(t, server.Config{}, nil).dial(client.Config{})
	ctx := t.Context()
	commit, err := c.Transact(ctx, client.Batch{Writes: []client.Write{client.Put("a", "k", []byte(`{}`)).For(time.Hour), client.Append("a", "log/", []byte(`{}`)).For(time.Minute)}})
	if err != nil {
		t.Fatal(err)
	}
	rec, err := c.Get(ctx, "a", "k")
	if err != nil || !rec.ExpiresAt.Equal(commit.CommitTime.Add(time.Hour)) {
		t.Fatalf("it expires at %v, %v", rec.ExpiresAt, err)
	}
	at, err := c.RefreshExpiry(ctx, 2*time.Hour, client.RecordName{Agent: "a", Key: "k"}, client.RecordName{Agent: "a", Key: "none"})
	if err != nil || at[0].Before(commit.CommitTime.Add(2*time.Hour)) || !at[1].IsZero() {
		t.Fatalf("refreshed to %v, %v", at, err)
	}
	for rec, err := range c.Scan(ctx, "a", client.ListQuery{}) {
		if want := map[string]time.Time{"k": at[0], "log/0000000000000001": commit.CommitTime.Add(time.Minute)}[rec.Key]; err != nil || !rec.ExpiresAt.Equal(want) {
			t.Errorf("%s expires at %v, want %v (%v)", rec.Key, rec.ExpiresAt, want, err)
		}
	}
}
