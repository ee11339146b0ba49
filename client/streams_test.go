package client_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"statehouse.dev/statehouse/client"
	"statehouse.dev/statehouse/server"
)

// G5: whatever breaks, a replay has every commit once, in order.
func TestReplayResumes(t *testing.T) {
	const commits = 600
	pad := strings.Repeat("x", 10_000) // so that they come in several batches
	d := startDaemon(t, server.Config{}, nil)
	w := d.dial(client.Config{})
	for i := range commits {
		put(t, w, "a", fmt.Sprintf("k%d", i%100), fmt.Sprintf(`{"i":%d,"pad":%q}`, i, pad))
	}
	c := d.over(func(c call) fault {
		if c.method == "ReplayBatches" && c.n%2 == 1 || c.method == "open ReplayBatches" && c.n%3 == 1 {
			return loseReply
		}
		return none
	}, client.Config{})
	next := client.CommitTS(1)
	for ev, err := range c.Replay(t.Context(), client.ReplayQuery{Agent: "a"}) {
		if err != nil {
			t.Fatal(err)
		}
		if ev.CommitTS != next || len(ev.Operations) != 1 || ev.Operations[0].Key == "" || ev.Mark {
			t.Fatalf("event %+v in place of commit %d", ev, next)
		}
		next++
	}
	if next != commits+1 {
		t.Errorf("%d commits came", next-1)
	}
	some, err := drain(c.Replay(t.Context(), client.ReplayQuery{AllAgents: true, From: 10, To: 590, Limit: 500, NoValues: true}))
	if err != nil || len(some) != 500 || some[0].CommitTS != 10 || some[0].Operations[0].Value != nil {
		t.Errorf("limited: %d events, %v", len(some), err)
	}
	for ev, err := range c.Replay(t.Context(), client.ReplayQuery{Agent: "a"}) {
		if err != nil || ev.CommitTS != 1 {
			t.Errorf("first event %+v, %v", ev, err)
		}
		break // a consumer may leave at any time
	}
}

func TestReplayRanges(t *testing.T) {
	c := startDaemon(t, server.Config{}, nil).dial(client.Config{})
	one := put(t, c, "a", "x/1", `{}`)
	put(t, c, "b", "x/2", `{}`)
	put(t, c, "a", "y/3", `{}`)
	for _, tt := range []struct {
		q    client.ReplayQuery
		want string
	}{
		{client.ReplayQuery{Agent: "a"}, "[1 3]"},
		{client.ReplayQuery{AllAgents: true}, "[1 2 3]"},
		{client.ReplayQuery{AllAgents: true, Prefix: "x/"}, "[1 2]"},
		{client.ReplayQuery{AllAgents: true, From: 2}, "[2 3]"},
		{client.ReplayQuery{AllAgents: true, To: 2}, "[1 2]"},
		{client.ReplayQuery{AllAgents: true, From: 3, To: 2}, "[]"},
		{client.ReplayQuery{AllAgents: true, From: 99}, "[]"},
		{client.ReplayQuery{AllAgents: true, ToTime: one.CommitTime.Add(-1)}, "[]"},
		{client.ReplayQuery{AllAgents: true, FromTime: one.CommitTime, Limit: 1}, "[1]"},
	} {
		all, err := drain(c.Replay(t.Context(), tt.q))
		got := []client.CommitTS{}
		for _, ev := range all {
			got = append(got, ev.CommitTS)
		}
		if err != nil || fmt.Sprint(got) != tt.want {
			t.Errorf("%+v: got %v, %v, want %s", tt.q, got, err, tt.want)
		}
	}
	for _, q := range []client.ReplayQuery{{}, {Agent: "a", AllAgents: true}, {Agent: "a", Limit: -1}} {
		if _, err := drain(c.Replay(t.Context(), q)); !errors.Is(err, client.ErrInvalid) {
			t.Errorf("%+v: %v", q, err)
		}
	}
}

// A watch goes on over broken streams and restarts, without gap or duplicate.
func TestWatchResumes(t *testing.T) {
	d := startDaemon(t, server.Config{}, nil)
	w := d.dial(client.Config{})
	c := d.over(func(c call) fault {
		if c.method == "Watch" && c.n%5 == 4 {
			return loseReply
		}
		return none
	}, client.Config{})
	put(t, w, "a", "k", `{}`)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	next := client.CommitTS(1)
	var last error
	for ev, err := range c.Watch(ctx, client.WatchQuery{Agent: "a"}) {
		if err != nil {
			last = err
			break
		}
		if ev.CommitTS != next || ev.Mark {
			t.Fatalf("event %+v in place of commit %d", ev, next)
		}
		if next++; next > 40 {
			cancel()
			continue
		}
		if next == 20 {
			d.restart()
		}
		put(t, w, "a", "k", `{}`)
	}
	if !errors.Is(last, context.Canceled) || next != 41 {
		t.Errorf("ended at %d with %v", next, last)
	}
}

func TestWatchMarks(t *testing.T) {
	d := startDaemon(t, server.Config{}, nil)
	w := d.dial(client.Config{})
	put(t, w, "a", "k", `{}`)
	put(t, w, "a", "k", `{}`)
	var got []string
	for ev, err := range w.Watch(t.Context(), client.WatchQuery{AllAgents: true, FromNow: true, Marks: true}) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, fmt.Sprint(ev.CommitTS, ev.Mark))
		if len(got) == 1 {
			put(t, w, "b", "k", `{}`)
		}
		if len(got) == 3 {
			break
		}
	}
	if fmt.Sprint(got) != "[2 true 3 false 3 true]" {
		t.Errorf("got %v", got)
	}
	_, err := drain(w.Watch(t.Context(), client.WatchQuery{Agent: "a", After: 99}))
	if !errors.Is(err, client.ErrInvalid) {
		t.Errorf("after a commit that has not been: %v", err)
	}
}

func TestStreamsFailFast(t *testing.T) {
	d := startDaemon(t, server.Config{}, nil)
	c := d.dial(client.Config{FailFast: true})
	d.stop()
	if _, err := drain(c.Replay(t.Context(), client.ReplayQuery{Agent: "a"})); !errors.Is(err, client.ErrUnavailable) {
		t.Errorf("replay: %v", err)
	}
	if _, err := drain(c.Watch(t.Context(), client.WatchQuery{Agent: "a"})); !errors.Is(err, client.ErrUnavailable) {
		t.Errorf("watch: %v", err)
	}
}
