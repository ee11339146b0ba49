package statehousetest_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"statehouse.dev/statehouse/client"
	"statehouse.dev/statehouse/client/statehousetest"
)

func put(t *testing.T, c *client.Client, key string, w ...func(client.Write) client.Write) client.Commit {
	t.Helper()
	write := client.Put("a", key, []byte(`{"n":1}`))
	for _, f := range w {
		write = f(write)
	}
	commit, err := c.Transact(t.Context(), client.Batch{Writes: []client.Write{write}})
	if err != nil {
		t.Fatal(err)
	}
	return commit
}

func exists(t *testing.T, c *client.Client, key string) bool {
	t.Helper()
	rec, err := c.Get(t.Context(), "a", key)
	if err != nil {
		t.Fatal(err)
	}
	return rec.Exists
}

// TestOwn: what one test commits no other sees, whether they have a daemon each or share one.
func TestOwn(t *testing.T) {
	shared := statehousetest.Start(t, statehousetest.Options{})
	for i := range 2 {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			for _, c := range []*client.Client{statehousetest.New(t), shared.Client(t)} {
				if exists(t, c, "k") {
					t.Error("another test's record is there")
				}
				put(t, c, "k")
				if !exists(t, c, "k") {
					t.Error("the test's own record is not there")
				}
			}
		})
	}
}

// TestAdvance: time stands still until it is moved, and then what is due has happened, however much it is.
func TestAdvance(t *testing.T) {
	clock := statehousetest.NewClock(time.Time{})
	d := statehousetest.Start(t, statehousetest.Options{Clock: clock})
	c := d.Client(t)
	const records = 1000 // more than a step of the daemon expires
	var b client.Batch
	for i := range records {
		b.Writes = append(b.Writes, client.Put("a", fmt.Sprintf("k%03d", i), []byte(`{"n":1}`)).For(time.Minute))
	}
	if _, err := c.Transact(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	lease, err := c.AcquireLease(t.Context(), "a", "turn", client.LeaseOptions{TTL: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	if commit := put(t, c, "stays"); !commit.CommitTime.Equal(clock.Now()) {
		t.Errorf("committed at %v, and the clock stands at %v", commit.CommitTime, clock.Now())
	}
	clock.Advance(time.Minute - time.Millisecond)
	if !exists(t, c, "k000") || !exists(t, c, "k999") {
		t.Error("a record has expired before its time")
	}
	clock.Advance(time.Millisecond)
	for i := range records {
		if exists(t, c, fmt.Sprintf("k%03d", i)) {
			t.Fatalf("record %d has not expired", i)
		}
	}
	if !exists(t, c, "stays") {
		t.Error("a record that does not expire is gone")
	}
	_, err = c.Transact(t.Context(), client.Batch{Writes: []client.Write{client.Delete("a", "stays")}, Conditions: client.Conditions{Leases: []client.LeasePrecondition{lease.Condition()}}})
	if !errors.Is(err, client.ErrLeaseLost) {
		t.Errorf("after the lease has lapsed: %v", err)
	}
}

// TestRestart: a restart keeps what is stored, the address and the clock.
func TestRestart(t *testing.T) {
	clock := statehousetest.NewClock(time.Time{})
	d := statehousetest.Start(t, statehousetest.Options{Clock: clock, Token: "secret"})
	c, address := d.Client(t), d.Address
	put(t, c, "k", func(w client.Write) client.Write { return w.For(time.Hour) })
	d.Restart(t)
	if d.Address != address || !exists(t, c, "k") {
		t.Errorf("at %s, before at %s; the record exists: %v", d.Address, address, exists(t, c, "k"))
	}
	clock.Advance(time.Hour)
	if exists(t, c, "k") {
		t.Error("a record has not expired after a restart")
	}
	stranger, err := client.Dial(client.Config{Address: d.Address})
	if err != nil {
		t.Fatal(err)
	}
	defer stranger.Close()
	if _, err := stranger.Status(t.Context()); !errors.Is(err, client.ErrUnauthenticated) {
		t.Errorf("without the token: %v", err)
	}
}

// TestStopped: a clock does not wait for a daemon that is gone.
func TestStopped(t *testing.T) {
	clock := statehousetest.NewClock(time.Time{})
	d, err := statehousetest.Run(statehousetest.Options{Clock: clock})
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Stop(); err != nil {
		t.Fatal(err)
	}
	clock.Advance(time.Hour)
}
