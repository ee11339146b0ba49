package client_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"statehouse.dev/statehouse/client"
	pb "statehouse.dev/statehouse/proto/statehouse/v1"
	"statehouse.dev/statehouse/server"
)

// Transactions that are held in the client.

// forgetful is a connection to a daemon that does not know what a Transact says was read:
// it takes the fields for unknown ones.
type forgetful struct {
	grpc.ClientConnInterface
	old *bool
}

func (f forgetful) Invoke(ctx context.Context, method string, args, reply any, opts ...grpc.CallOption) error {
	if req, ok := args.(*pb.TransactRequest); ok && *f.old {
		req = proto.CloneOf(req)
		req.Reads, req.TimeoutMs = nil, nil
		args = req
	}
	return f.ClientConnInterface.Invoke(ctx, method, args, reply, opts...)
}

// old is over to a daemon that is older than reads.
func (d *daemon) old(lose func(call) fault, config client.Config) *client.Client {
	d.t.Helper()
	return d.maybeOld(new(true), lose, config)
}

func (d *daemon) maybeOld(old *bool, lose func(call) fault, config client.Config) *client.Client {
	d.t.Helper()
	if config.Sleep == nil {
		config.Sleep = func(ctx context.Context, _ time.Duration) error { return ctx.Err() }
	}
	conn, err := client.Connect(client.Config{Address: d.addr})
	if err != nil {
		d.t.Fatal(err)
	}
	d.t.Cleanup(func() { _ = conn.Close() })
	c, err := client.New(&lossy{conn: forgetful{conn, old}, lose: lose, count: make(map[string]int)}, config)
	if err != nil {
		d.t.Fatal(err)
	}
	return c
}

// TestOldDaemon: what a transaction read is validated by an older daemon, too, which holds
// it; and a daemon that becomes an older one between a read and the commit does not commit
// without regard to the read.
func TestOldDaemon(t *testing.T) {
	d, ctx := startDaemon(t, server.Config{}, nil), t.Context()
	put(t, d.dial(client.Config{}), "a", "n", `{"n":0}`)
	c := d.old(noLoss, client.Config{})
	txn, err := c.Begin(ctx, 0)
	if err != nil || !txn.Held() {
		t.Fatalf("held by the daemon: %v, %v", txn.Held(), err)
	}
	if _, err := c.RunTxn(ctx, increment(ctx)); err != nil {
		t.Error(err)
	}
	replaced := false
	c = d.maybeOld(&replaced, noLoss, client.Config{})
	held := []bool{}
	_, err = c.RunTxn(ctx, func(txn *client.Txn) error {
		held = append(held, txn.Held())
		err := increment(ctx)(txn)
		if replaced = true; len(held) == 1 {
			put(t, d.dial(client.Config{}), "a", "n", `{"n":10}`)
		}
		return err
	})
	if rec, _ := c.Get(ctx, "a", "n"); err != nil || fmt.Sprint(held) != "[false true]" || string(rec.Value) != `{"n":11}` {
		t.Errorf("runs held by the daemon: %v; %s, %v", held, rec.Value, err)
	}
	replaced = false
	c = d.maybeOld(&replaced, noLoss, client.Config{})
	if txn, err = c.Begin(ctx, 0); err != nil {
		t.Fatal(err)
	}
	if err := increment(ctx)(txn); err != nil {
		t.Fatal(err)
	}
	replaced = true
	if _, err := txn.Commit(ctx); !errors.Is(err, client.ErrUnimplemented) {
		t.Errorf("a commit whose read an older daemon ignores: %v", err)
	}
}

// TestCallsOfTxn counts the calls of a transaction.
func TestCallsOfTxn(t *testing.T) {
	calls := []string{}
	c := startDaemon(t, server.Config{}, nil).over(func(c call) fault { calls = append(calls, c.method); return none }, client.Config{})
	ctx := t.Context()
	run := func(fn func(*client.Txn) error) string {
		calls = calls[:0]
		commit, err := c.RunTxn(ctx, fn)
		if err != nil {
			t.Error(err)
		}
		return fmt.Sprint(calls, " at ", commit.CommitTS)
	}
	write := func(txn *client.Txn) (err error) {
		for i := range 10 {
			err = errors.Join(err, txn.Write(ctx, "a", fmt.Sprint(i), []byte(`{}`)))
		}
		return err
	}
	read := func(txn *client.Txn) error { _, err := txn.Get(ctx, "a", "0"); return err }
	run(write)
	for _, got := range [][2]string{
		{run(write), "[Transact] at 2"}, {run(read), "[GetState] at 2"}, {run(func(*client.Txn) error { return nil }), "[] at 0"},
		{run(func(txn *client.Txn) error { return errors.Join(read(txn), write(txn)) }), "[GetState Transact] at 3"},
		{run(func(txn *client.Txn) error { return errors.Join(write(txn), read(txn)) }), "[Transact] at 4"},
	} {
		if got[0] != got[1] {
			t.Errorf("%s, want %s", got[0], got[1])
		}
	}
}

// TestPhantoms: a key that appears where a transaction has listed is a conflict, and one that
// appears beyond what it has seen is none.
func TestPhantoms(t *testing.T) {
	d, ctx := startDaemon(t, server.Config{}, nil), t.Context()
	c := d.dial(client.Config{PageSize: 2})
	for n, tt := range []struct {
		q        client.ListQuery
		stop     int    // after so many
		own      string // that it writes first
		appears  string
		conflict bool
	}{
		{q: client.ListQuery{}, appears: "zz", conflict: true},
		{q: client.ListQuery{}, appears: "a", conflict: true},
		{q: client.ListQuery{Prefix: "k"}, appears: "kk", conflict: true},
		{q: client.ListQuery{Prefix: "k"}, appears: "l"},
		{q: client.ListQuery{Prefix: "nothing"}, appears: "nothing", conflict: true},
		{q: client.ListQuery{Limit: 3}, appears: "k25", conflict: true},
		{q: client.ListQuery{Limit: 3}, appears: "k35"},
		{q: client.ListQuery{Limit: 2}, appears: "k25"},
		{q: client.ListQuery{}, stop: 3, appears: "k35"},
		{q: client.ListQuery{}, stop: 3, appears: "k3", conflict: true},
		{q: client.ListQuery{}, stop: 1, appears: "k15"},
		{q: client.ListQuery{Reverse: true}, stop: 2, appears: "k35"},
		{q: client.ListQuery{Reverse: true}, stop: 2, appears: "k45", conflict: true},
		{q: client.ListQuery{Reverse: true}, stop: 2, appears: "z", conflict: true},
		{q: client.ListQuery{}, stop: 2, own: "k05", appears: "k15"},
		{q: client.ListQuery{}, stop: 2, own: "k05", appears: "k07", conflict: true},
	} {
		agent := fmt.Sprint("agent-", n)
		for i := range 5 {
			put(t, c, agent, fmt.Sprint("k", i+1), `{}`)
		}
		txn, err := c.Begin(ctx, 0)
		if err != nil {
			t.Fatal(err)
		}
		if tt.own != "" {
			err = txn.Write(ctx, agent, tt.own, []byte(`{}`))
		}
		seen := []string{}
		for key, err := range txn.ListKeys(ctx, agent, tt.q) {
			if err != nil {
				t.Fatal(err)
			}
			if seen = append(seen, key); len(seen) == tt.stop {
				break
			}
		}
		put(t, c, agent, tt.appears, `{}`)
		if err = errors.Join(err, txn.Write(ctx, agent, "result", []byte(`{}`))); err != nil {
			t.Fatal(err)
		}
		if _, err := txn.Commit(ctx); errors.Is(err, client.ErrConflict) != tt.conflict || err != nil && !tt.conflict {
			t.Errorf("%+v: it saw %v, then %q appeared: %v", tt, seen, tt.appears, err)
		}
	}
}

// TestSameAsHeld does the same in a transaction that is held in the client and in one that is
// held in the daemon: they read the same, and end alike.
func TestSameAsHeld(t *testing.T) {
	d, ctx := startDaemon(t, server.Config{}, nil), t.Context()
	c := d.dial(client.Config{PageSize: 3})
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 0))
		agent := fmt.Sprint("agent-", seed)
		key := func() string { return string("aabbc"[r.IntN(5)]) + string("xyz"[r.IntN(3)]) }
		write := func() client.Write {
			w := client.Put(agent, key(), fmt.Appendf(nil, `{"n":%d}`, r.IntN(100)))
			if r.IntN(3) == 0 {
				w = client.Delete(agent, w.Key)
			}
			return w
		}
		others := func() {
			if _, err := c.Transact(ctx, client.Batch{Writes: []client.Write{write()}}); err != nil {
				t.Fatal(err)
			}
		}
		for range r.IntN(8) {
			others()
		}
		local, err1 := c.Begin(ctx, 0)
		held, err2 := c.BeginHeld(ctx, 0)
		if err := errors.Join(err1, err2); err != nil {
			t.Fatal(err)
		}
		both := func(what string, do func(*client.Txn) (string, error)) {
			a, err1 := do(local)
			b, err2 := do(held)
			if a != b || err1 != nil || err2 != nil {
				t.Fatalf("seed %d: %s: %s (%v) in the client, %s (%v) in the daemon", seed, what, a, err1, b, err2)
			}
		}
		at := "the agent before the first read"
		both("a first read", func(txn *client.Txn) (string, error) {
			_, err := txn.Get(ctx, at, "k")
			return "", err
		})
		for range r.IntN(8) {
			switch r.IntN(5) {
			case 0:
				others()
			case 1:
				w := write()
				both("stage", func(txn *client.Txn) (string, error) { return "", txn.Stage(ctx, w) })
			case 2:
				k := key()
				both("get "+k, func(txn *client.Txn) (string, error) {
					rec, err := txn.Get(ctx, agent, k)
					return show(rec), err
				})
			case 3:
				names := []client.RecordName{{Agent: agent, Key: key()}, {Agent: agent, Key: key()}}
				both("batch", func(txn *client.Txn) (string, error) {
					recs, err := txn.BatchGet(ctx, names...)
					return show(recs...), err
				})
			case 4:
				q := client.ListQuery{Prefix: []string{"", "a", "b", "ax"}[r.IntN(4)], Reverse: r.IntN(2) == 0, Limit: r.IntN(4), NoValues: r.IntN(2) == 0}
				both(fmt.Sprintf("scan %+v", q), func(txn *client.Txn) (string, error) {
					recs, err := drain(txn.Scan(ctx, agent, q))
					return show(recs...), err
				})
				both(fmt.Sprintf("keys %+v", q), func(txn *client.Txn) (string, error) {
					keys, err := drain(txn.ListKeys(ctx, agent, q))
					return strings.Join(keys, " "), err
				})
			}
		}
		// The first to commit changes what the other one read, so only one of them does here.
		_, err := local.Commit(ctx)
		if err == nil {
			continue
		}
		if _, other := held.Commit(ctx); !errors.Is(err, client.ErrConflict) || !errors.Is(other, client.ErrConflict) {
			t.Fatalf("seed %d: the commit of what the client holds: %v; of what the daemon holds: %v", seed, err, other)
		}
	}
}

func show(recs ...client.Record) string {
	var out []string
	for _, r := range recs {
		out = append(out, fmt.Sprint(r.RecordName, r.Exists, string(r.Value), r.Version, r.CommitTS, r.CommitTime.UnixNano(), r.ReadTS))
	}
	return strings.Join(out, "; ")
}

func TestTimeoutOfTxn(t *testing.T) {
	d, ctx := startDaemon(t, server.Config{}, nil), t.Context()
	now := time.Now()
	c := d.over(noLoss, client.Config{Now: func() time.Time { return now }})
	begin := func() *client.Txn {
		txn, err := c.Begin(ctx, time.Second)
		if err == nil {
			err = txn.Write(ctx, "a", "k", []byte(`{}`))
		}
		if err != nil {
			t.Fatal(err)
		}
		return txn
	}
	in := begin()
	now = now.Add(999 * time.Millisecond)
	if _, err := in.Commit(ctx); err != nil {
		t.Error(err)
	}
	late := begin()
	now = now.Add(time.Second)
	for what, err := range map[string]error{ // any order
		"write": late.Write(ctx, "a", "k", []byte(`{}`)), "read": func() error { _, err := late.Get(ctx, "a", "k"); return err }(),
		"list":   func() error { _, err := drain(late.ListKeys(ctx, "a", client.ListQuery{})); return err }(),
		"commit": func() error { _, err := late.Commit(ctx); return err }(),
	} {
		if !errors.Is(err, client.ErrTxnExpired) {
			t.Errorf("%s after the timeout: %v", what, err)
		}
	}
	if err := late.Abort(ctx); err != nil {
		t.Errorf("abort after the timeout: %v", err)
	}
}

// TestUnknownOutcomeOfTxn: once its commit was sent a transaction stays as it is, and a later
// Commit asks for the same again.
func TestUnknownOutcomeOfTxn(t *testing.T) {
	d := startDaemon(t, server.Config{}, nil)
	lose := false
	c := d.over(func(c call) fault {
		if lose && c.method == "Transact" {
			return loseReply
		}
		return none
	}, client.Config{})
	txn, err := c.Begin(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := increment(t.Context())(txn); err != nil {
		t.Fatal(err)
	}
	lose = true
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := txn.Commit(ctx); !errors.Is(err, client.ErrOutcomeUnknown) {
		t.Fatalf("an answer that is lost: %v", err)
	}
	lose, ctx = false, t.Context()
	if err := txn.Write(ctx, "a", "n", []byte(`{"n":7}`)); !errors.Is(err, client.ErrTxnCommitted) {
		t.Errorf("a write after the commit was sent: %v", err)
	}
	if err := txn.Abort(ctx); !errors.Is(err, client.ErrTxnCommitted) {
		t.Errorf("an abort after the commit was applied: %v", err)
	}
	if commit, err := txn.Commit(ctx); err != nil || commit.CommitTS != 1 {
		t.Errorf("commit again: %+v, %v", commit, err)
	}
	if out, err := c.GetTransaction(ctx, txn.ID()); err != nil || out.State != client.TxnCommitted {
		t.Errorf("its outcome: %+v, %v", out, err)
	}
}

// TestAbortOfUnknownOutcome: what may yet be applied is decided by the abort.
func TestAbortOfUnknownOutcome(t *testing.T) {
	d := startDaemon(t, server.Config{}, nil)
	lose := false
	c := d.over(func(c call) fault {
		if lose && c.method == "Transact" {
			return loseRequest
		}
		return none
	}, client.Config{})
	txn, err := c.Begin(t.Context(), 0)
	if err == nil {
		err = txn.Write(t.Context(), "a", "k", []byte(`{}`))
	}
	if err != nil {
		t.Fatal(err)
	}
	lose = true
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := txn.Commit(ctx); !errors.Is(err, client.ErrOutcomeUnknown) {
		t.Fatalf("a request that is lost: %v", err)
	}
	if err := txn.Abort(ctx); !errors.Is(err, client.ErrOutcomeUnknown) {
		t.Errorf("an abort that is lost: %v", err)
	}
	lose, ctx = false, t.Context()
	if err := txn.Abort(ctx); err != nil {
		t.Errorf("an abort: %v", err)
	}
	if out, err := c.GetTransaction(ctx, txn.ID()); err != nil || out.State != client.TxnExpired {
		t.Errorf("its outcome: %+v, %v", out, err)
	}
	if _, err := txn.Commit(ctx); !errors.Is(err, client.ErrTxnAborted) {
		t.Errorf("commit after the abort: %v", err)
	}
}

func TestLimitsOfTxn(t *testing.T) {
	c, ctx := startDaemon(t, server.Config{}, nil).dial(client.Config{TxnOps: 2}), t.Context()
	txn, err := c.Begin(ctx, 0)
	if err != nil {
		t.Fatal(err)
	}
	large := fmt.Appendf(nil, `{"text":"%s"}`, strings.Repeat("x", 3<<20))
	for _, tt := range []struct {
		err   error
		limit bool
	}{
		{txn.Write(ctx, "a", "1", []byte(`{}`)), false}, {txn.Write(ctx, "a", "2", []byte(`{}`)), false},
		{txn.Write(ctx, "a", "3", []byte(`{}`)), true}, {txn.Write(ctx, "a", "2", []byte(`{"n":1}`)), false},
		{txn.Stage(ctx, client.Put("a", "1", []byte(`{}`)).IfVersion(0)), false}, {txn.Stage(ctx, client.Put("a", "1", []byte(`{}`)).IfVersion(0)), false},
		{txn.Stage(ctx, client.Delete("a", "1").IfVersion(0)), true},
		{txn.Write(ctx, "a", "1", large), false}, {txn.Write(ctx, "a", "2", large), true},
		{txn.Write(ctx, "a", "1", []byte(`{}`)), false}, {txn.Write(ctx, "a", "2", large), false}, {txn.Write(ctx, "a", "2", []byte(`{}`)), false},
	} {
		if errors.Is(tt.err, client.ErrLimit) != tt.limit || tt.err != nil && !tt.limit {
			t.Errorf("got %v, want a limit to be reached: %v", tt.err, tt.limit)
		}
	}
	if commit, err := txn.Commit(ctx); err != nil || len(commit.Versions) != 2 {
		t.Errorf("commit: %+v, %v", commit, err)
	}
}

// TestConditionsOfTxn: a condition of a write holds also when the write is replaced.
func TestConditionsOfTxn(t *testing.T) {
	c, ctx := startDaemon(t, server.Config{}, nil).dial(client.Config{}), t.Context()
	for where, begin := range kinds { // any order
		txn, err := begin(c, ctx, 0)
		if err != nil {
			t.Fatal(err)
		}
		err = errors.Join(txn.Stage(ctx, client.Put("b", "k", []byte(`{}`)).IfVersion(7)), txn.Write(ctx, "b", "k", []byte(`{}`)), txn.Write(ctx, "a", "k", []byte(`{}`)))
		if _, failed := txn.Commit(ctx); err != nil || !errors.Is(failed, client.ErrPreconditionFailed) {
			t.Errorf("%s: %v, %v", where, err, failed)
		}
	}
}
