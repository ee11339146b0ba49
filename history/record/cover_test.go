package record_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"statehouse.dev/statehouse/client"
	"statehouse.dev/statehouse/engine"
	"statehouse.dev/statehouse/history"
	"statehouse.dev/statehouse/history/record"
	"statehouse.dev/statehouse/linearizability"
	"statehouse.dev/statehouse/linearizability/verdict"
	"statehouse.dev/statehouse/server"
)

// used is a daemon whose store has been in use for a while, by others.
func used(t *testing.T) (plain *client.Client, recorded func(string) *client.Client, r *record.Recorder) {
	t.Helper()
	env := engine.MemoryEnv(func(err error) { t.Error(err) }, nil)
	service, err := server.Assemble(env, server.Config{Engine: engine.Options{Dir: "data"}})
	ok(t, err)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	ok(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- service.Serve(ctx, nil, l) }()
	t.Cleanup(func() {
		cancel()
		<-done
		_ = service.Close()
	})
	plain, err = client.Dial(client.Config{Address: l.Addr().String()})
	ok(t, err)
	conn, err := client.Connect(client.Config{Address: l.Addr().String()})
	ok(t, err)
	t.Cleanup(func() { _ = errors.Join(plain.Close(), conn.Close()) })
	began := time.Now()
	r = record.NewRecorder(func() int64 { return int64(time.Since(began)) })
	for i := range 300 {
		others(t, plain, i)
	}
	put(t, plain, "alice", "plan", `{"n":1}`)
	put(t, plain, "alice", "note/1", `{"n":1}`)
	_, err = plain.Transact(t.Context(), client.Batch{Writes: []client.Write{client.Delete("alice", "note/1"), client.Put("bob", "plan", json.RawMessage(`{}`))}})
	ok(t, err)
	return plain, func(name string) *client.Client {
		c, err := client.New(r.Conn(name, conn), client.Config{})
		ok(t, err)
		return c
	}, r
}

func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func put(t *testing.T, c *client.Client, agent, key, value string) {
	t.Helper()
	_, err := c.Transact(t.Context(), client.Batch{Writes: []client.Write{client.Put(agent, key, json.RawMessage(value))}})
	ok(t, err)
}

// others write what the recorded clients have nothing to do with, and much of it.
func others(t *testing.T, c *client.Client, i int) {
	t.Helper()
	put(t, c, fmt.Sprint("other-", i%7), "k", `{"text":"`+strings.Repeat("x", 1000)+`"}`)
}

// work is what recorded clients ask for, others writing between, to the same agents too.
func work(t *testing.T, plain *client.Client, alice, bob *client.Client) {
	t.Helper()
	ctx := t.Context()
	_, err := alice.Get(ctx, "alice", "plan")
	ok(t, err)
	put(t, plain, "alice", "plan", `{"n":2}`)
	for i := range 20 {
		others(t, plain, i)
		_, err := alice.RunTxn(ctx, func(tx *client.Txn) error {
			rec, err := tx.Get(ctx, "alice", "plan")
			if err != nil {
				return err
			}
			return tx.Write(ctx, "alice", fmt.Sprint("note/", i%3), rec.Value)
		})
		ok(t, err)
		put(t, plain, "alice", fmt.Sprint("theirs/", i), `{}`)
		for _, err := range bob.Scan(ctx, "alice", client.ListQuery{Limit: 4}) {
			ok(t, err)
		}
	}
	_, err = bob.Transact(ctx, client.Batch{
		Writes:     []client.Write{client.Put("bob", "plan", json.RawMessage(`{"n":3}`)).IfVersion(1)},
		Conditions: client.Conditions{Heads: []client.HeadPrecondition{{Agent: "carol"}}},
	})
	ok(t, err)
	_, err = bob.Transact(ctx, client.Batch{Writes: []client.Write{client.Put("bob", "plan", json.RawMessage(`{"n":4}`)).IfVersion(1)}})
	if !errors.Is(err, client.ErrPreconditionFailed) {
		t.Fatal(err)
	}
	for _, err := range bob.Replay(ctx, client.ReplayQuery{Agent: "alice"}) {
		ok(t, err)
	}
	_, err = alice.Get(ctx, "carol", "nothing")
	ok(t, err)
}

// judge reads and judges a history as the tool does.
func judge(t *testing.T, h *history.History) linearizability.Result {
	t.Helper()
	var file bytes.Buffer
	ok(t, h.Write(&file))
	again, err := history.ReadHistory(&file)
	ok(t, err)
	if missing := again.Rebuild(); !again.Complete {
		t.Fatalf("commits %v are missing", missing)
	}
	linearizability.AdmitOthers(again)
	return linearizability.Check(again, linearizability.Options{})
}

// TestCover: what clients recorded on a store in use is judged with what their agents have
// been through, and without a byte of others.
func TestCover(t *testing.T) {
	plain, recorded, r := used(t)
	work(t, plain, recorded("alice"), recorded("bob"))
	h := r.History()
	h.Header.Source = history.SourceClient
	if bare := *h; len(bare.Rebuild()) == 0 {
		t.Fatal("nothing is missing from the bare recording: the test is about nothing")
	}
	h = r.History()
	ok(t, record.Cover(t.Context(), plain, h))
	if got := judge(t, h); got.Verdict != verdict.OK || got.Stats.Outside != 0 {
		t.Fatalf("%s, %d operations outside: %+v", got.Verdict, got.Stats.Outside, got.Violations)
	}
	for _, ev := range h.Log {
		for _, o := range ev.Ops {
			if strings.HasPrefix(o.Agent, "other-") {
				t.Fatalf("commit %d of others is in it", ev.CommitTS)
			}
		}
	}
	if b := h.Header.Base; len(b.Agents) != 3 || len(b.Records) != 3 || b.CommitTS != 303 {
		t.Errorf("the base is %+v", b)
	}
	if err := record.Cover(t.Context(), plain, h); err == nil {
		t.Error("a history is covered twice")
	}
}

// TestCoveredLies: every wrong answer about the agents that are covered is found.
func TestCoveredLies(t *testing.T) {
	plain, recorded, r := used(t)
	work(t, plain, recorded("alice"), recorded("bob"))
	find := func(h *history.History, from int, kind history.Kind) *history.Operation {
		i := slices.IndexFunc(h.Operations[from:], func(op *history.Operation) bool { return op.Kind == kind && op.Outcome == history.OK })
		return h.Operations[from+i]
	}
	whole := r.History()
	ok(t, record.Cover(t.Context(), plain, whole))
	var file bytes.Buffer
	ok(t, whole.Write(&file))
	for what, lie := range map[string]func(h *history.History){ // any order
		"a stale read at the base": func(h *history.History) { find(h, 0, history.Get).Out.Records[0].Value = `{"n":7}` },
		"a read of another version": func(h *history.History) {
			rec := &find(h, 10, history.Get).Out.Records[0]
			rec.Version++
		},
		"a key of others left out of a listing": func(h *history.History) {
			op := find(h, 40, history.Scan)
			op.Out.Records = op.Out.Records[1:]
		},
		"an event of others left out of a replay": func(h *history.History) {
			b := &find(h, 0, history.Replay).Batches[0]
			b.Events = slices.Delete(b.Events, 4, 5)
		},
		"an acknowledged commit that is gone": func(h *history.History) {
			id := find(h, 20, history.Transact).In.TxnID
			h.Log = slices.DeleteFunc(h.Log, func(ev history.Event) bool { return ev.TxnID == id })
		},
		"a head that was another": func(h *history.History) {
			for _, op := range h.Operations {
				if len(op.In.Heads) > 0 {
					op.In.Heads[0].Expected = 5
				}
			}
		},
		"a read that was another": func(h *history.History) { find(h, 20, history.Transact).In.Reads.Keys[0].Version++ },
		"a refusal without a reason": func(h *history.History) {
			for _, op := range h.Operations {
				if op.Error != nil {
					op.Error.Details["current_version"] = "9"
				}
			}
		},
		"a read of what had not happened": func(h *history.History) { find(h, 10, history.Get).Out.ReadTS += 1000 },
	} {
		h, err := history.ReadHistory(bytes.NewReader(file.Bytes()))
		ok(t, err)
		lie(h)
		if got := judge(t, h); got.Verdict != verdict.Illegal {
			t.Errorf("%s: %s", what, got.Verdict)
		}
	}
}

// TestCoverSaysWhatItIsNotAbout: whole namespaces, times and other people's transactions
// are not judged, and counted.
func TestCoverSaysWhatItIsNotAbout(t *testing.T) {
	plain, recorded, r := used(t)
	alice := recorded("alice")
	ctx := t.Context()
	_, err := alice.Get(ctx, "alice", "plan")
	ok(t, err)
	theirs, err := plain.Transact(ctx, client.Batch{Writes: []client.Write{client.Put("other-1", "k", json.RawMessage(`{}`))}})
	ok(t, err)
	_, err = alice.GetTransaction(ctx, theirs.TxnID)
	ok(t, err)
	for _, err := range alice.ListAgents(ctx, "") {
		ok(t, err)
	}
	for _, err := range alice.ListNamespaces(ctx) {
		ok(t, err)
	}
	for _, err := range alice.Replay(ctx, client.ReplayQuery{AllAgents: true}) {
		ok(t, err)
	}
	_, err = alice.Get(ctx, "alice", "plan", client.AtTime(time.Now()))
	ok(t, err)
	h := r.History()
	ok(t, record.Cover(ctx, plain, h))
	if got := judge(t, h); got.Verdict != verdict.OK || got.Stats.Outside != 5 {
		t.Errorf("%s, %d operations outside: %+v", got.Verdict, got.Stats.Outside, got.Violations)
	}
	h = r.History()
	h.Header.Redaction = "digest"
	if err := record.Cover(ctx, plain, h); err == nil || !strings.Contains(err.Error(), "redacted") {
		t.Errorf("a redacted one: %v", err)
	}
}
