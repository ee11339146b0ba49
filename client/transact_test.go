package client_test

import (
	"context"
	"errors"
	"net"
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
