package client_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"statehouse.dev/statehouse/client"
	"statehouse.dev/statehouse/engine"
	"statehouse.dev/statehouse/server"
)

func TestTransact(t *testing.T) {
	c := startDaemon(t, server.Config{}, nil).dial(client.Config{})
	ctx := t.Context()
	commit, err := c.Transact(ctx, client.Batch{
		Writes: []client.Write{
			client.Put("a", "x", []byte(`{"n":9007199254740993}`)).IfVersion(0),
			client.Delete("b", "y"),
			client.Put("a", "x", []byte(`{"n":9007199254740993,"again":true}`)),
		},
		Conditions: client.Conditions{Metadata: map[string]string{"actor": "test"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if commit.CommitTS != 1 || commit.CommitTime.IsZero() || len(commit.TxnID) != 36 || len(commit.Versions) != 3 {
		t.Errorf("commit %+v", commit)
	}
	for _, v := range commit.Versions {
		if v.Version != 1 || v.Namespace != "default" {
			t.Errorf("version %+v", v)
		}
	}
	rec, err := c.Get(ctx, "a", "x")
	if err != nil || !rec.Exists || string(rec.Value) != `{"n":9007199254740993,"again":true}` {
		t.Errorf("read %+v, %v", rec, err)
	}
	out, err := c.GetTransaction(ctx, commit.TxnID)
	if err != nil || out.State != client.TxnCommitted || out.Commit.CommitTS != 1 {
		t.Errorf("outcome %+v, %v", out, err)
	}
	if out, err = c.GetTransaction(ctx, "never"); err != nil || out.State != client.TxnNeverSeen {
		t.Errorf("outcome of another %+v, %v", out, err)
	}
}

// G6: a commit whose answer was lost is repeated under the same id and takes
// effect once.
func TestTransactRepeats(t *testing.T) {
	for _, f := range []fault{loseReply, loseRequest} {
		d := startDaemon(t, server.Config{}, nil)
		c := d.over(first(3, "Transact", f), client.Config{})
		commit := put(t, c, "a", "k", `{}`)
		if ev := events(t, c, "a"); len(ev) != 1 || ev[0].TxnID != commit.TxnID || ev[0].CommitTS != commit.CommitTS {
			t.Errorf("fault %d: events %+v, commit %+v", f, ev, commit)
		}
	}
}

// cancelAfter ends a context in the n-th pause between tries.
func cancelAfter(t *testing.T, n int) (context.Context, func(context.Context, time.Duration) error) {
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	return ctx, func(ctx context.Context, _ time.Duration) error {
		if n--; n <= 0 {
			cancel()
		}
		return ctx.Err()
	}
}

func TestTransactOutcomeUnknown(t *testing.T) {
	d := startDaemon(t, server.Config{}, nil)
	ctx, sleep := cancelAfter(t, 3)
	c := d.over(first(1000, "Transact", loseReply), client.Config{Sleep: sleep})
	b := client.Batch{TxnID: "mine", Writes: []client.Write{client.Put("a", "k", []byte(`{}`))}}
	_, err := c.Transact(ctx, b)
	var unknown *client.OutcomeUnknownError
	if !errors.As(err, &unknown) || unknown.TxnID != "mine" || !errors.Is(err, client.ErrOutcomeUnknown) || !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v", err)
	}
	if errors.Is(err, client.ErrUnavailable) {
		t.Error("an unknown outcome is taken for a definite failure")
	}
	if out, err := c.GetTransaction(t.Context(), "mine"); err != nil || out.State != client.TxnCommitted {
		t.Errorf("outcome %+v, %v", out, err)
	}
}

// What was certainly not sent was certainly not applied.
func TestTransactNotSent(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	_ = l.Close()
	b := client.Batch{Writes: []client.Write{client.Put("a", "k", []byte(`{}`))}}

	ctx, sleep := cancelAfter(t, 3)
	for _, config := range []client.Config{{FailFast: true}, {Sleep: sleep}} {
		config.Address = addr
		c, err := client.Dial(config)
		if err != nil {
			t.Fatal(err)
		}
		_, err = c.Transact(ctx, b)
		if !errors.Is(err, client.ErrUnavailable) || errors.Is(err, client.ErrOutcomeUnknown) {
			t.Errorf("fail fast %v: got %v", config.FailFast, err)
		}
		if config.FailFast == errors.Is(err, context.Canceled) {
			t.Errorf("fail fast %v: was the call repeated? %v", config.FailFast, err)
		}
		_ = c.Close()
	}
}

func TestTransactRefused(t *testing.T) {
	d := startDaemon(t, server.Config{Engine: engine.Options{Limits: engine.Limits{TxnOps: 2}}}, nil)
	c := d.dial(client.Config{})
	put(t, c, "a", "k", `{}`)
	w := func(ws ...client.Write) client.Batch { return client.Batch{Writes: ws} }
	reused := client.Batch{TxnID: "one", Writes: []client.Write{client.Put("a", "r", []byte(`{}`))}}
	if _, err := c.Transact(t.Context(), reused); err != nil {
		t.Fatal(err)
	}
	reused.Writes[0].Key = "other"
	ok := client.Put("a", "k", []byte(`{}`))
	for _, tt := range []struct {
		name  string
		batch client.Batch
		want  error
	}{
		{"expected version", w(ok.IfVersion(7)), client.ErrPreconditionFailed},
		{"absent", w(ok.IfVersion(0)), client.ErrPreconditionFailed},
		{"head", client.Batch{Writes: []client.Write{ok}, Conditions: client.Conditions{Heads: []client.HeadPrecondition{{Agent: "a", Expected: 99}}}}, client.ErrPreconditionFailed},
		{"key", client.Batch{Writes: []client.Write{ok}, Conditions: client.Conditions{Keys: []client.KeyPrecondition{{RecordName: client.RecordName{Agent: "a", Key: "z"}, Expected: 1}}}}, client.ErrPreconditionFailed},
		{"no value", w(client.Put("a", "k", nil)), client.ErrInvalid},
		{"not an object", w(client.Put("a", "k", []byte(`1`))), client.ErrInvalid},
		{"both", w(client.Write{RecordName: ok.RecordName, Value: []byte(`{}`), Tombstone: true}), client.ErrInvalid},
		{"empty", client.Batch{}, client.ErrInvalid},
		{"limit", w(ok, ok, ok), client.ErrLimit},
		{"reused id", reused, client.ErrTxnIDReused},
	} {
		_, err := c.Transact(t.Context(), tt.batch)
		var e *client.Error
		if !errors.Is(err, tt.want) || !errors.As(err, &e) || e.MaybeApplied {
			t.Errorf("%s: got %v", tt.name, err)
		}
	}
	_, err := c.Transact(t.Context(), w(ok.IfVersion(7)))
	var e *client.Error
	if !errors.As(err, &e) || e.Code != "PRECONDITION_FAILED" || !e.Answered || e.Details["current_version"] != "1" {
		t.Errorf("got %#v", err)
	}
}

// A refusal that follows a lost answer is not taken for more than it says.
func TestTransactRefusedAfterDoubt(t *testing.T) {
	d := startDaemon(t, server.Config{Engine: engine.Options{Limits: engine.Limits{TxnOps: 1}}}, nil)
	put(t, d.dial(client.Config{}), "a", "k", `{}`)
	c := d.over(first(1, "Transact", loseRequest), client.Config{})
	_, err := c.Transact(t.Context(), client.Batch{Writes: []client.Write{client.Put("a", "k", []byte(`{}`)).IfVersion(0)}})
	var e *client.Error
	if !errors.As(err, &e) || !e.MaybeApplied || !errors.Is(err, client.ErrPreconditionFailed) {
		t.Errorf("precondition: got %v", err)
	}

	ctx, sleep := cancelAfter(t, 3)
	c = d.over(first(1, "Transact", loseRequest), client.Config{Sleep: sleep})
	two := []client.Write{client.Put("a", "k", []byte(`{}`)), client.Put("a", "l", []byte(`{}`))}
	_, err = c.Transact(ctx, client.Batch{Writes: two})
	if !errors.Is(err, client.ErrOutcomeUnknown) {
		t.Errorf("limit: got %v", err)
	}
}

func TestTxn(t *testing.T) {
	c := startDaemon(t, server.Config{}, nil).dial(client.Config{})
	ctx := t.Context()
	put(t, c, "a", "old", `{"v":1}`)
	txn, err := c.Begin(ctx, time.Minute)
	if err != nil || txn.Snapshot() != 1 {
		t.Fatalf("begin: %+v, %v", txn, err)
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

	txn, _ = c.Begin(ctx, 0)
	if err := txn.Abort(ctx); err != nil {
		t.Error(err)
	}
	if _, err := txn.Commit(ctx); !errors.Is(err, client.ErrTxnAborted) {
		t.Errorf("commit after abort: %v", err)
	}
}

func TestTxnLost(t *testing.T) {
	d := startDaemon(t, server.Config{}, nil)
	ctx := t.Context()
	t.Run("commit", func(t *testing.T) {
		c := d.over(first(2, "Commit", loseReply), client.Config{})
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
		txn, err := c.Begin(ctx, 0)
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
		c := d.over(first(2, "Write", loseRequest), client.Config{})
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
		c := d.dial(client.Config{})
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
			if c.method == "Commit" && c.n%3 == 1 {
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
