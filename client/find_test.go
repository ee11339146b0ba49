package client_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"testing"

	"statehouse.dev/statehouse/client"
	"statehouse.dev/statehouse/engine"
	"statehouse.dev/statehouse/server"
)

// Pages that end before their limit, with nothing on them among these, go unnoticed.
func startSparing(t *testing.T) *client.Client {
	return startDaemon(t, server.Config{Engine: engine.Options{Tuning: engine.Tuning{LookedRows: 2}}}, nil).dial(client.Config{PageSize: 2})
}

func TestFind(t *testing.T) {
	c, ctx := startSparing(t), t.Context()
	for i := range 12 {
		b := client.Batch{Writes: []client.Write{client.Put(fmt.Sprint("agent-", i%2), fmt.Sprintf("task/%02d", i), fmt.Appendf(nil, `{"n":%d,"open":%t}`, i, i >= 8))}}
		b.Metadata = map[string]string{"actor": fmt.Sprint("actor-", i%3)}
		if _, err := c.Transact(ctx, b); err != nil {
			t.Fatal(err)
		}
	}
	n := func(c client.Comparison, value string) client.Condition {
		return client.Condition{Pointer: "/n", Comparison: c, Value: json.RawMessage(value)}
	}
	for _, x := range []struct {
		q    client.FindQuery
		want []string
	}{
		{client.FindQuery{AllAgents: true, Where: []client.Condition{n(client.GreaterOrEqual, "9")}}, []string{"agent-0 task/10", "agent-1 task/09", "agent-1 task/11"}},
		{client.FindQuery{Agent: "agent-0", Where: []client.Condition{n(client.In, "[2, 4.0, 3]")}}, []string{"agent-0 task/02", "agent-0 task/04"}},
		{client.FindQuery{Agent: "agent-0", Where: []client.Condition{n(client.Less, "8"), n(client.NotEqual, "2"), {Metadata: "actor", Comparison: client.Equal, Value: json.RawMessage(`"actor-0"`)}}}, []string{"agent-0 task/00", "agent-0 task/06"}},
		{client.FindQuery{Agent: "agent-1", Changed: true, Limit: 3}, []string{"agent-1 task/11", "agent-1 task/09", "agent-1 task/07"}},
		{client.FindQuery{Agent: "agent-1", Where: []client.Condition{{Pointer: "/none", Comparison: client.Exists}}}, nil},
		{client.FindQuery{Agent: "agent-0", At: client.AtCommit(3), Prefix: "task/0"}, []string{"agent-0 task/00", "agent-0 task/02"}},
	} {
		scanned := uint64(0)
		x.q.Looked = func(n uint64) { scanned += n }
		x.q.WithMetadata = true
		var got []string
		for rec, err := range c.Find(ctx, x.q) {
			if err != nil {
				t.Fatal(err)
			}
			if got = append(got, rec.Agent+" "+rec.Key); rec.Version != 1 || len(rec.Value) == 0 || rec.Metadata["actor"] == "" || rec.ReadTS == 0 {
				t.Errorf("%+v", rec)
			}
		}
		if !slices.Equal(got, x.want) || scanned < uint64(len(got)) {
			t.Errorf("%+v: %v, %d looked at", x.q, got, scanned)
		}
	}
	_, err := drain(c.Find(ctx, client.FindQuery{Agent: "a", Where: []client.Condition{n("~", "1")}}))
	if !errors.Is(err, client.ErrInvalid) {
		t.Errorf("a comparison that there is not: %v", err)
	}
	if _, err := drain(c.Find(ctx, client.FindQuery{Agent: "agent-0", At: client.NotBefore(12)})); err != nil {
		t.Errorf("not before the last commit: %v", err)
	}
	if _, err := c.Get(ctx, "agent-0", "task/00", client.NotBefore(13)); !errors.Is(err, client.ErrInvalid) {
		t.Errorf("not before one that is still to come: %v", err)
	}
}

func TestListOfFolders(t *testing.T) {
	c, ctx := startSparing(t), t.Context()
	for _, key := range []string{"a", "b/1", "b/2", "bb", "c/x/1", "d"} {
		put(t, c, "agent", key, "{}")
	}
	want := []client.Listed{{Name: "a"}, {Name: "b/", Folder: true}, {Name: "bb"}, {Name: "c/", Folder: true}, {Name: "d"}}
	for _, reverse := range []bool{false, true} {
		got, err := drain(c.List(ctx, "agent", "/", client.ListQuery{Reverse: reverse}))
		if reverse {
			slices.Reverse(got)
		}
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("reverse %v: %v, %v", reverse, got, err)
		}
	}
	if got, err := drain(c.List(ctx, "agent", "/", client.ListQuery{Prefix: "c/", Limit: 1})); err != nil || len(got) != 1 || got[0].Name != "c/x/" {
		t.Errorf("%v, %v", got, err)
	}
}

func TestDiff(t *testing.T) {
	c, ctx := startSparing(t), t.Context()
	for i := range 6 {
		put(t, c, "a", fmt.Sprint("k", i), fmt.Sprintf(`{"n":%d,"same":true}`, i))
	}
	put(t, c, "a", "k1", `{"n":10,"same":true}`)
	put(t, c, "b", "k0", `{"same":true,"n":0}`)
	for _, x := range []struct {
		q    client.DiffQuery
		want []string
	}{
		{client.DiffQuery{}, nil},
		{client.DiffQuery{From: client.AtCommit(5)}, []string{`k1 true true [{"op":"replace","path":"/n","value":10}]`, "k5 false true "}},
		{client.DiffQuery{From: client.AtCommit(0), To: client.AtCommit(2)}, []string{"k0 false true ", "k1 false true "}},
		{client.DiffQuery{ToAgent: "b", Limit: 2}, []string{"k1 true false ", "k2 true false "}},
		{client.DiffQuery{ToNamespace: "other", Prefix: "k5"}, []string{"k5 true false "}},
	} {
		keys, err := drain(c.Diff(ctx, "a", x.q))
		var got []string
		for _, k := range keys {
			got = append(got, fmt.Sprint(k.Key, " ", k.Before.Exists, " ", k.After.Exists, " ", string(k.Patch)))
			if k.Before.Exists && (len(k.Before.Value) == 0 || k.Before.Version == 0 || k.Before.Agent != "a") {
				t.Errorf("%+v", k)
			}
		}
		if err != nil || !slices.Equal(got, x.want) {
			t.Errorf("%+v: %q, %v", x.q, got, err)
		}
	}
}
