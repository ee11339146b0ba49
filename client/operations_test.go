package client_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"statehouse.dev/statehouse/client"
	"statehouse.dev/statehouse/server"
)

func TestOperations(t *testing.T) {
	c := startDaemon(t, server.Config{}, nil).dial(client.Config{})
	ctx := t.Context()
	want := func(rec client.Record, err error, key, value string, version client.Version) {
		t.Helper()
		if err != nil || rec.Key != key || string(rec.Value) != value || rec.Version != version || rec.Namespace != "default" || rec.Agent != "a" {
			t.Errorf("%s is %s at version %d, %v, not %s is %s at %d", rec.Key, rec.Value, rec.Version, err, key, value, version)
		}
	}
	rec, err := c.Increment(ctx, "a", "n", "/used", "9007199254740993")
	want(rec, err, "n", `{"used":9007199254740993}`, 1)
	rec, err = c.Increment(ctx, "a", "n", "/used", "-0.5", client.AtLeast("0"), client.AtMost("1e20"))
	want(rec, err, "n", `{"used":9007199254740992.5}`, 2)
	_, err = c.Increment(ctx, "a", "n", "/used", "-9007199254740993", client.AtLeast("0"))
	var refused *client.Error
	if !errors.Is(err, client.ErrEvaluation) || !errors.As(err, &refused) || refused.Details["pointer"] != "/used" || refused.Details["key"] != "n" {
		t.Errorf("below its bound: %v", err)
	}
	rec, err = c.Merge(ctx, "a", "n", json.RawMessage(`{"used":null,"by":{"x":1}}`))
	want(rec, err, "n", `{"by":{"x":1}}`, 3)
	for i := range 3 {
		rec, err = c.Append(ctx, "a", "log/", fmt.Appendf(nil, `{"i":%d}`, i))
		want(rec, err, fmt.Sprintf("log/%016d", i+1), fmt.Sprintf(`{"i":%d}`, i), 1)
	}
	rec, existed, err := c.PutIfAbsent(ctx, "a", "once", json.RawMessage(`{"first":true}`))
	if want(rec, err, "once", `{"first":true}`, 1); existed {
		t.Error("what was absent existed")
	}
	rec, existed, err = c.PutIfAbsent(ctx, "a", "once", json.RawMessage(`{"first":false}`))
	if want(rec, err, "once", `{"first":true}`, 1); !existed {
		t.Error("what existed did not")
	}
	b := client.Batch{TxnID: "many", Writes: []client.Write{
		client.Append("a", "log/", []byte(`{}`)), client.Put("b", "plain", []byte(`{"n":1}`)), client.Increment("b", "plain", "/n", "1"), client.Append("a", "log/", []byte(`{}`)),
		client.PutIfAbsent("a", "once", []byte(`{}`)), client.Delete("a", "n"),
	}}
	for range 2 {
		commit, err := c.Transact(ctx, b)
		const want = `[{{default a log/0000000000000004} 1} {{default b plain} 1} {{default b plain} 1} {{default a log/0000000000000005} 1} {{default a once} 0} {{default a n} 4}]`
		if got := fmt.Sprint(commit.Versions); err != nil || got != want {
			t.Fatalf("%s, %v, not %s", got, err, want)
		}
		for i, r := range commit.Results {
			value := map[int]string{2: `{"n":2}`, 4: `{"first":true}`}[i]
			if string(r.Value) != value || r.Existed != (i == 4) {
				t.Errorf("%d: %+v", i, r)
			}
		}
	}
}

// TestOperationsInTransactions: increments of transactions do not conflict, and what they come to
// cannot be read before the commit.
func TestOperationsInTransactions(t *testing.T) {
	c := startDaemon(t, server.Config{}, nil).dial(client.Config{})
	ctx := t.Context()
	put(t, c, "a", "config", `{"step":2}`)
	var done sync.WaitGroup
	for range 8 {
		done.Go(func() {
			for range 10 {
				if _, err := c.RunTxn(ctx, func(tx *client.Txn) error {
					if _, err := tx.Get(ctx, "a", "config"); err != nil {
						return err
					}
					return errors.Join(tx.Stage(ctx, client.Increment("a", "n", "/n", "2")), tx.Stage(ctx, client.Append("a", "log/", []byte(`{}`))))
				}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	done.Wait()
	if rec, err := c.Get(ctx, "a", "n"); err != nil || string(rec.Value) != `{"n":160}` || rec.Version != 80 {
		t.Errorf("%s at %d, %v", rec.Value, rec.Version, err)
	}
	tx, err := c.Begin(ctx, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(tx.Write(ctx, "a", "n", []byte(`{"n":1}`)), tx.Stage(ctx, client.Increment("a", "n", "/n", "1")), tx.Stage(ctx, client.Append("a", "log/", []byte(`{}`)))); err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Get(ctx, "a", "n"); !errors.Is(err, client.ErrInvalid) {
		t.Errorf("what is not known is read: %v", err)
	}
	if _, err := tx.Get(ctx, "a", "log/0000000000000099"); !errors.Is(err, client.ErrInvalid) {
		t.Errorf("what is not known is read: %v", err)
	}
	for _, prefix := range []string{"", "lo", "log/00", "n"} {
		for _, err := range tx.ListKeys(ctx, "a", client.ListQuery{Prefix: prefix}) {
			if !errors.Is(err, client.ErrInvalid) {
				t.Errorf("what is not known is listed: %v", err)
			}
		}
	}
	if _, err := tx.Get(ctx, "a", "config"); err != nil {
		t.Error(err)
	}
	commit, err := tx.Commit(ctx)
	if err != nil || len(commit.Results) != 3 || string(commit.Results[1].Value) != `{"n":2}` || commit.Versions[2].Key != "log/0000000000000081" {
		t.Errorf("%+v, %v", commit, err)
	}
	held, err := c.BeginHeld(ctx, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	if err := held.Stage(ctx, client.Increment("a", "n", "/n", "1")); !errors.Is(err, client.ErrInvalid) {
		t.Errorf("a transaction that the daemon holds takes an increment: %v", err)
	}
}
