package client_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"

	"statehouse.dev/statehouse/client"
	"statehouse.dev/statehouse/server"
)

// TestLineage: whoever is a fork says of whom and since when, whoever was forked into whom, and the log says it, too.
func TestLineage(t *testing.T) {
	c, ctx := startDaemon(t, server.Config{}, nil).dial(client.Config{}), t.Context()
	put(t, c, "a", "k", `{"n":1}`)
	var forked []client.Commit
	for i := range 3 { // each of the one before
		commit, err := c.Fork(ctx, string(rune('b'+i)), string(rune('a'+i)), client.At{})
		if err != nil {
			t.Fatal(err)
		}
		forked = append(forked, commit)
		put(t, c, string(rune('b'+i)), "k", fmt.Sprintf(`{"n":%d}`, i+2))
		put(t, c, string(rune('a'+i)), "after", `{}`) // of which the fork knows nothing
	}
	for i, commit := range forked {
		l, err := c.Lineage(ctx, string(rune('b'+i)))
		want := &client.Origin{Namespace: "default", Agent: string(rune('a' + i)), CommitTS: commit.CommitTS - 1, ForkedTS: commit.CommitTS, ForkedAt: commit.CommitTime}
		own := 2
		if i < 2 {
			own++
		}
		if err != nil || !reflect.DeepEqual(l.From, want) || l.Agent.Agent != string(rune('b'+i)) || (len(l.Forks) == 1) != (i < 2) || i < 2 && l.Forks[0].Agent != string(rune('c'+i)) {
			t.Errorf("%+v of %+v, want %+v, %v", l, l.From, want, err)
		}
		all, err := drain(c.Replay(ctx, client.ReplayQuery{Agent: string(rune('b' + i)), AllOperations: true}))
		if err != nil || len(all) != own || !reflect.DeepEqual(all[0].Operations[0].Fork, want) || all[1].Operations[0].Fork != nil || all[0].Operations[0].Many {
			t.Errorf("its log is %+v, %v", all, err)
		}
	}
	if l, err := c.Lineage(ctx, "a"); err != nil || l.From != nil || len(l.Forks) != 1 || l.Forks[0].Agent != "b" {
		t.Errorf("%+v, %v", l, err)
	}
	var values []string
	for ev, err := range c.Replay(ctx, client.ReplayQuery{Agent: "d", WithLineage: true, AllOperations: true}) {
		if err != nil {
			t.Fatal(err)
		}
		for _, op := range ev.Operations {
			if op.Fork == nil {
				values = append(values, op.Agent+string(op.Value))
			}
		}
	}
	if want := []string{`a{"n":1}`, `b{"n":2}`, `c{"n":3}`, `d{"n":4}`}; !slices.Equal(values, want) {
		t.Errorf("with its lineage it is %q", values)
	}
	// Both sides of a difference are named, and the values of both are there.
	keys, err := drain(c.Diff(ctx, "a", client.DiffQuery{ToAgent: "d"}))
	if err != nil || len(keys) != 2 || keys[1].Before.RecordName != (client.RecordName{Namespace: "default", Agent: "a", Key: "k"}) || keys[1].After.RecordName != (client.RecordName{Namespace: "default", Agent: "d", Key: "k"}) {
		t.Errorf("%+v, %v", keys, err)
	}
	for ev, err := range c.Replay(ctx, client.ReplayQuery{Agent: "a", AllOperations: true}) {
		if err != nil || ev.Operations[0].Fork != nil || ev.Operations[0].Many {
			t.Errorf("%+v, %v", ev, err)
		}
	}
}

// TestLeasesPageByPage: all leases are listed, however small the pages are.
func TestLeasesPageByPage(t *testing.T) {
	c, ctx := startSparing(t), t.Context()
	want := map[string][]string{}
	for i := range 9 {
		agent := string(rune('a' + i/3))
		if _, err := c.Transact(ctx, client.Batch{Writes: []client.Write{client.Acquire(agent, fmt.Sprint("l", i), "me", time.Hour)}}); err != nil {
			t.Fatal(err)
		}
		want[agent], want[""] = append(want[agent], fmt.Sprint("l", i)), append(want[""], fmt.Sprint("l", i))
	}
	for agent, names := range want { // each by itself: order cannot matter
		leases, err := drain(c.Leases(ctx, agent, ""))
		var got []string
		for _, l := range leases {
			got = append(got, l.Name)
		}
		if err != nil || !slices.Equal(got, names) {
			t.Errorf("%q has %q, %v", agent, got, err)
		}
	}
}

// TestLostAtTheEnd: a lease that was lost, which its holder learns when it releases it, is what HoldLease fails with.
func TestLostAtTheEnd(t *testing.T) {
	c := startDaemon(t, server.Config{}, nil).dial(client.Config{})
	wrong := errors.New("the work")
	for _, take := range []bool{false, true} {
		err := c.HoldLease(t.Context(), "a", fmt.Sprint("l", take), client.LeaseOptions{TTL: time.Hour}, func(ctx context.Context, l *client.Lease) error {
			if take {
				if _, err := c.Transact(ctx, client.Batch{Writes: []client.Write{client.Release("a", l.Condition().Lease, l.Token)}}); err != nil {
					t.Error(err)
				}
			}
			return wrong
		})
		if want := map[bool]error{false: wrong, true: client.ErrLeaseLost}[take]; !errors.Is(err, want) {
			t.Errorf("taken: %t; it ends with %v", take, err)
		}
	}
}

// TestClaimElsewhere: a claim is completed in the namespace that its record is in.
func TestClaimElsewhere(t *testing.T) {
	d, ctx := startDaemon(t, server.Config{}, nil), t.Context()
	c, far := d.dial(client.Config{}), d.dial(client.Config{Namespace: "far"})
	w := client.Put("a", "k", []byte(`{}`)).DueAt(time.Unix(1, 0))
	if _, err := far.Transact(ctx, client.Batch{Writes: []client.Write{w}}); err != nil {
		t.Fatal(err)
	}
	claimed, err := far.Claim(ctx, "a", client.ClaimOptions{TTL: time.Minute, Wait: true})
	if err != nil || len(claimed) != 1 || claimed[0].Namespace != "far" {
		t.Fatalf("%+v, %v", claimed, err)
	}
	beside := client.Put("a", "done", []byte(`{}`))
	if _, err := claimed[0].Complete(ctx, beside); err != nil {
		t.Fatal(err)
	}
	if rec, err := far.Get(ctx, "a", "done"); err != nil || !rec.Exists || !claimed[0].DueAt.Equal(time.Unix(1, 0)) {
		t.Errorf("%+v, %v", rec, err)
	}
	if rec, err := c.Get(ctx, "a", "k"); err != nil || rec.Exists {
		t.Errorf("%+v, %v", rec, err)
	}
}
