package client_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"statehouse.dev/statehouse/client"
	"statehouse.dev/statehouse/server"
)

func TestReads(t *testing.T) {
	c := startDaemon(t, server.Config{Version: "v", GitSHA: "s"}, nil).dial(client.Config{})
	ctx := t.Context()
	one := put(t, c, "a", "k", `{"v":1}`)
	two := put(t, c, "a", "k", `{"v":2}`)
	if _, err := c.Transact(ctx, client.Batch{Writes: []client.Write{client.Delete("a", "k")}}); err != nil {
		t.Fatal(err)
	}
	rec, err := c.Get(ctx, "a", "k")
	if err != nil || rec.Exists || rec.ReadTS != 3 {
		t.Errorf("a deleted record reads %+v, %v", rec, err)
	}
	for at, want := range map[client.At]string{
		client.AtCommit(one.CommitTS):                        `{"v":1}`,
		client.AtCommit(two.CommitTS):                        `{"v":2}`,
		client.AtTime(one.CommitTime.Add(-time.Millisecond)): ``,
	} {
		rec, err := c.Get(ctx, "a", "k", at)
		if err != nil || string(rec.Value) != want || rec.Exists != (want != "") {
			t.Errorf("at %+v: got %+v, %v", at, rec, err)
		}
	}
	if rec, err := c.GetAtVersion(ctx, "a", "k", 1); err != nil || string(rec.Value) != `{"v":1}` || rec.Agent != "a" {
		t.Errorf("version 1: %+v, %v", rec, err)
	}
	if rec, err := c.GetAtVersion(ctx, "a", "k", 3); err != nil || rec.Exists || rec.Version != 3 {
		t.Errorf("the delete's version: %+v, %v", rec, err)
	}
	if _, err := c.GetAtVersion(ctx, "a", "k", 4); !errors.Is(err, client.ErrNotFound) {
		t.Errorf("version 4: %v", err)
	}
	if _, err := c.Get(ctx, "a", "k", client.AtCommit(99)); !errors.Is(err, client.ErrInvalid) {
		t.Errorf("a commit that has not been: %v", err)
	}
	if _, err := c.Get(ctx, "a", "k", client.At{}, client.At{}); !errors.Is(err, client.ErrInvalid) {
		t.Errorf("two points: %v", err)
	}
	got, err := c.BatchGet(ctx, []client.RecordName{{Agent: "a", Key: "none"}, {Agent: "a", Key: "k"}}, client.AtCommit(1))
	if err != nil || got[0].Exists || string(got[1].Value) != `{"v":1}` || got[1].ReadTS != 1 {
		t.Errorf("batch: %+v, %v", got, err)
	}
	history, err := drain(c.History(ctx, "a", "k", client.HistoryQuery{OldestFirst: true}))
	if err != nil || len(history) != 3 || history[0].TxnID != one.TxnID || !history[2].Deleted {
		t.Errorf("history: %+v, %v", history, err)
	}
	if err := c.Health(ctx); err != nil {
		t.Error(err)
	}
	if b, err := c.Version(ctx); err != nil || b != (client.Build{Version: "v", GitSHA: "s"}) {
		t.Errorf("version %v, %v", b, err)
	}
	if st, err := c.Status(ctx); err != nil || st.Published != 3 || st.StoreID == "" {
		t.Errorf("status %+v, %v", st, err)
	}
}

func TestNamespaces(t *testing.T) {
	c := startDaemon(t, server.Config{}, nil).dial(client.Config{})
	put(t, c, "a", "k", `{"in":"default"}`)
	other := c.In("other")
	if rec, err := other.Get(t.Context(), "a", "k"); err != nil || rec.Exists {
		t.Errorf("read across namespaces: %+v, %v", rec, err)
	}
	put(t, other, "b", "k", `{"in":"other"}`)
	names, err := drain(c.ListNamespaces(t.Context()))
	if err != nil || !slices.Equal(names, []string{"default", "other"}) {
		t.Errorf("namespaces %v, %v", names, err)
	}
	agents, err := drain(other.ListAgents(t.Context(), ""))
	head, herr := other.Get(t.Context(), "b", "k")
	if err != nil || herr != nil || len(agents) != 1 || agents[0] != (client.Agent{Namespace: "other", Agent: "b", First: 2, Head: 2, HeadTime: head.CommitTime}) {
		t.Errorf("agents %+v, %v", agents, err)
	}
}

// Lists page by themselves, and all pages show one place of the order.
func TestLists(t *testing.T) {
	const keys = 2500
	c := startDaemon(t, server.Config{}, nil).dial(client.Config{})
	ctx := t.Context()
	var want []string
	for i := 0; i < keys; i += 500 {
		var b client.Batch
		for j := i; j < i+500; j++ {
			want = append(want, fmt.Sprintf("k%05d", j))
			b.Writes = append(b.Writes, client.Put("a", want[j], []byte(`{}`)))
		}
		if _, err := c.Transact(ctx, b); err != nil {
			t.Fatal(err)
		}
	}
	var got []string
	for rec, err := range c.Scan(ctx, "a", client.ListQuery{}) {
		if err != nil {
			t.Fatal(err)
		}
		if got = append(got, rec.Key); len(got) == 10 {
			put(t, c, "a", "k99999", `{}`) // while the scan is under way
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("scanned %d records, want %d", len(got), len(want))
	}
	listed, err := drain(c.ListKeys(ctx, "a", client.ListQuery{Reverse: true, Limit: 1200, At: client.AtCommit(5)}))
	slices.Reverse(want)
	if err != nil || !slices.Equal(listed, want[:1200]) {
		t.Errorf("listed %d keys backwards, %v", len(listed), err)
	}
	few, err := drain(c.ListKeys(ctx, "a", client.ListQuery{Prefix: "k0001"}))
	if err != nil || len(few) != 10 {
		t.Errorf("prefix: %v, %v", few, err)
	}
	bare, err := drain(c.Scan(ctx, "a", client.ListQuery{Limit: 1, NoValues: true}))
	if err != nil || len(bare) != 1 || bare[0].Value != nil || bare[0].Version != 1 {
		t.Errorf("without values: %+v, %v", bare, err)
	}
	if _, err := drain(c.ListKeys(ctx, "a", client.ListQuery{Limit: -1})); !errors.Is(err, client.ErrInvalid) {
		t.Errorf("a negative limit: %v", err)
	}
}

// Reads are sent again while the daemon cannot be reached.
func TestReadsRepeat(t *testing.T) {
	d := startDaemon(t, server.Config{}, nil)
	c := d.over(first(3, "GetState", loseRequest), client.Config{})
	if _, err := c.Get(t.Context(), "a", "k"); err != nil {
		t.Error(err)
	}
	ctx, sleep := cancelAfter(t, 2)
	c = d.over(first(1000, "GetState", loseReply), client.Config{Sleep: sleep})
	if _, err := c.Get(ctx, "a", "k"); !errors.Is(err, client.ErrUnavailable) || !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if _, err := c.Get(ctx, "a", "k"); !errors.Is(err, context.Canceled) {
		t.Errorf("with a context that has ended: %v", err)
	}
}
