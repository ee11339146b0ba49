package client_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"statehouse.dev/statehouse/client"
	"statehouse.dev/statehouse/server"
)

// kinds are the two ways to hold a transaction.
var kinds = map[string]func(*client.Client, context.Context, time.Duration) (*client.Txn, error){
	"in the client": (*client.Client).Begin, "in the daemon": (*client.Client).BeginHeld,
}

func TestTxn(t *testing.T) {
	for where, begin := range kinds { // any order
		t.Run(where, func(t *testing.T) { testTxn(t, begin) })
	}
}

func testTxn(t *testing.T, begin func(*client.Client, context.Context, time.Duration) (*client.Txn, error)) {
	c := startDaemon(t, server.Config{}, nil).dial(client.Config{})
	ctx := t.Context()
	put(t, c, "a", "old", `{"v":1}`)
	txn, err := begin(c, ctx, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	if rec, err := txn.Get(ctx, "a", "old"); err != nil || rec.Version != 1 || txn.Snapshot() != 1 {
		t.Fatalf("read %+v at %d: %v", rec, txn.Snapshot(), err)
	}
	if err := errors.Join(txn.Write(ctx, "a", "new", []byte(`{"v":2}`)), txn.Delete(ctx, "a", "old")); err != nil {
		t.Fatal(err)
	}
	rec, err := txn.Get(ctx, "a", "new")
	if err != nil || !rec.Exists || string(rec.Value) != `{"v":2}` {
		t.Errorf("its own write reads %+v, %v", rec, err)
	}
	keys, err := drain(txn.ListKeys(ctx, "a", client.ListQuery{}))
	if err != nil || strings.Join(keys, " ") != "new" {
		t.Errorf("keys inside: %v, %v", keys, err)
	}
	records, err := drain(txn.Scan(ctx, "a", client.ListQuery{}))
	if err != nil || len(records) != 1 || records[0].Key != "new" {
		t.Errorf("scan inside: %v, %v", records, err)
	}
	got, err := txn.BatchGet(ctx, client.RecordName{Agent: "a", Key: "old"}, client.RecordName{Agent: "a", Key: "new"})
	if err != nil || got[0].Exists || !got[1].Exists {
		t.Errorf("batch inside: %v, %v", got, err)
	}
	if rec, _ := c.Get(ctx, "a", "new"); rec.Exists {
		t.Error("a staged write is seen outside")
	}
	txn.Metadata = map[string]string{"actor": "test"}
	commit, err := txn.Commit(ctx)
	if err != nil || commit.CommitTS != 2 || len(commit.Versions) != 2 || commit.Versions[1].Version != 2 {
		t.Fatalf("commit %+v, %v", commit, err)
	}
	if again, err := txn.Commit(ctx); err != nil || again.CommitTS != commit.CommitTS {
		t.Errorf("commit again %+v, %v", again, err)
	}
	if err := txn.Abort(ctx); !errors.Is(err, client.ErrTxnCommitted) {
		t.Errorf("abort after commit: %v", err)
	}
	if ev := events(t, c, "a"); len(ev) != 2 || ev[1].Metadata["actor"] != "test" {
		t.Errorf("events %+v", ev)
	}

	txn, _ = begin(c, ctx, 0)
	if err := txn.Abort(ctx); err != nil {
		t.Error(err)
	}
	if err := txn.Write(ctx, "a", "k", []byte(`{}`)); !errors.Is(err, client.ErrTxnAborted) {
		t.Errorf("write after abort: %v", err)
	}
	if _, err := txn.Commit(ctx); !errors.Is(err, client.ErrTxnAborted) {
		t.Errorf("commit after abort: %v", err)
	}
}

func TestTxnLost(t *testing.T) {
	d := startDaemon(t, server.Config{}, nil)
	ctx := t.Context()
	t.Run("commit", func(t *testing.T) {
		c := d.over(first(2, "Transact", loseReply), client.Config{})
		commit, err := c.RunTxn(ctx, func(txn *client.Txn) error { return txn.Write(ctx, "commit", "k", []byte(`{}`)) })
		if err != nil {
			t.Fatal(err)
		}
		if ev := events(t, c, "commit"); len(ev) != 1 || ev[0].CommitTS != commit.CommitTS {
			t.Errorf("events %+v, commit %+v", ev, commit)
		}
	})
	t.Run("write", func(t *testing.T) {
		c := d.over(first(1, "Write", loseRequest), client.Config{})
		txn, err := c.BeginHeld(ctx, 0)
		if err != nil {
			t.Fatal(err)
		}
		if err := txn.Write(ctx, "write", "k", []byte(`{}`)); !errors.Is(err, client.ErrUnavailable) {
			t.Errorf("got %v", err)
		}
		if _, err := txn.Commit(ctx); !errors.Is(err, client.ErrUnavailable) {
			t.Errorf("a transaction that may lack a write commits: %v", err)
		}
		if err := txn.Abort(ctx); err != nil {
			t.Error(err)
		}
	})
	t.Run("write in RunTxn", func(t *testing.T) {
		c := d.old(first(2, "Write", loseRequest), client.Config{})
		runs := 0
		_, err := c.RunTxn(ctx, func(txn *client.Txn) error {
			runs++
			for i := range 2 {
				_ = txn.Write(ctx, "run", fmt.Sprint(i), []byte(`{}`)) // careless: RunTxn knows better
			}
			return nil
		})
		if ev := events(t, c, "run"); err != nil || runs != 2 || len(ev) != 1 || len(ev[0].Operations) != 2 {
			t.Errorf("%d runs, events %+v, %v", runs, ev, err)
		}
	})
	t.Run("restart", func(t *testing.T) {
		c := d.old(noLoss, client.Config{})
		runs := 0
		_, err := c.RunTxn(ctx, func(txn *client.Txn) error {
			if runs++; runs == 1 {
				d.restart()
			}
			return txn.Write(ctx, "restart", "k", []byte(`{}`))
		})
		if ev := events(t, c, "restart"); err != nil || runs < 2 || len(ev) != 1 {
			t.Errorf("%d runs, events %+v, %v", runs, ev, err)
		}
	})
}

// Increments from many clients, answers lost among them, are each counted once.
func TestRunTxnCounts(t *testing.T) {
	const clients, rounds = 8, 10
	d := startDaemon(t, server.Config{}, nil)
	ctx := t.Context()
	var wg sync.WaitGroup
	for range clients {
		c := d.over(func(c call) fault {
			if c.method == "Transact" && c.n%3 == 1 {
				return loseReply
			}
			return none
		}, client.Config{})
		wg.Go(func() {
			for range rounds {
				if _, err := c.RunTxn(ctx, increment(ctx)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	rec, err := d.dial(client.Config{}).Get(ctx, "a", "n")
	if want := fmt.Sprintf(`{"n":%d}`, clients*rounds); err != nil || string(rec.Value) != want || rec.Version != clients*rounds {
		t.Errorf("got %s at version %d, want %s; %v", rec.Value, rec.Version, want, err)
	}
}

func increment(ctx context.Context) func(*client.Txn) error {
	return func(txn *client.Txn) error {
		rec, err := txn.Get(ctx, "a", "n")
		if err != nil {
			return err
		}
		n := 0
		if rec.Exists {
			if _, err := fmt.Sscanf(string(rec.Value), `{"n":%d}`, &n); err != nil {
				return err
			}
		}
		return txn.Write(ctx, "a", "n", fmt.Appendf(nil, `{"n":%d}`, n+1))
	}
}

func TestRunTxnGivesUp(t *testing.T) {
	d := startDaemon(t, server.Config{}, nil)
	other := d.dial(client.Config{})
	ctx, sleep := cancelAfter(t, 3)
	c := d.over(noLoss, client.Config{Sleep: sleep})
	runs := 0
	_, err := c.RunTxn(ctx, func(txn *client.Txn) error {
		runs++
		if _, err := txn.Get(ctx, "a", "k"); err != nil {
			return err
		}
		put(t, other, "a", "k", `{}`)
		return txn.Write(ctx, "a", "k", []byte(`{}`))
	})
	if !errors.Is(err, client.ErrConflict) || !errors.Is(err, context.Canceled) || runs != 3 {
		t.Errorf("%d runs, %v", runs, err)
	}

	mine := errors.New("mine")
	if _, err := other.RunTxn(t.Context(), func(*client.Txn) error { return mine }); err != mine {
		t.Errorf("an error of the function comes back as %v", err)
	}
	st, err := other.Status(t.Context())
	if err != nil || st.OpenTxns != 0 {
		t.Errorf("transactions left open: %+v, %v", st, err)
	}
}
