package client_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"statehouse.dev/statehouse/client"
	"statehouse.dev/statehouse/server"
)

// TestClaim: a worker waits until a record is due, works while its lease is renewed, and completes it in the commit of
// what came of it: once.
func TestClaim(t *testing.T) {
	c := startDaemon(t, server.Config{}, nil).dial(client.Config{})
	ctx := context.Background()
	if none, err := c.Claim(ctx, "a", client.ClaimOptions{}); err != nil || len(none) != 0 {
		t.Fatalf("a claim takes %v of nothing (%v)", none, err)
	}
	commit, err := c.Transact(ctx, client.Batch{Writes: []client.Write{client.Put("a", "job", []byte(`{"n":1}`)).DueIn(300 * time.Millisecond)}})
	if err != nil {
		t.Fatal(err)
	}
	due := commit.CommitTime.Add(300 * time.Millisecond)
	if rec, err := c.Get(ctx, "a", "job"); err != nil || !rec.DueAt.Equal(due) {
		t.Fatalf("it is due at %v, not %v (%v)", rec.DueAt, due, err)
	}
	claimed, err := c.Claim(ctx, "", client.ClaimOptions{AllAgents: true, Wait: true, Holder: "me", TTL: 500 * time.Millisecond})
	if err != nil || len(claimed) != 1 || claimed[0].Key != "job" || claimed[0].Agent != "a" || !claimed[0].DueAt.Equal(due) || string(claimed[0].Value) != `{"n":1}` {
		t.Fatalf("a claim takes %+v (%v)", claimed, err)
	}
	time.Sleep(1200 * time.Millisecond) // it is renewed
	done, err := claimed[0].Complete(ctx, client.Put("a", "result", []byte(`{}`)))
	if err != nil || len(done.Versions) != 2 {
		t.Fatalf("completed: %+v, %v", done, err)
	}
	if err := claimed[0].Lease.Err(); !errors.Is(err, client.ErrLeaseLost) {
		t.Errorf("the lease of what was completed: %v", err)
	}
	if _, err := claimed[0].Complete(ctx); !errors.Is(err, client.ErrLeaseLost) {
		t.Errorf("completed twice: %v", err)
	}
	if _, err := c.Transact(ctx, client.Batch{Writes: []client.Write{client.Delete("a", "x").DueIn(time.Second)}}); !errors.Is(err, client.ErrInvalid) {
		t.Errorf("a delete that is due: %v", err)
	}
}
