package main

import (
	"errors"
	"fmt"
	"iter"
	"testing"

	"statehouse.dev/statehouse/client"
)

// A log where commit ts has as many operations as the table says, and the agent
// of the tail is in few of its commits.
func TestLastEvents(t *testing.T) {
	log := map[client.CommitTS]int{1: 2, 2: 1, 900: 3, 5_000: 1, 100_000: 2}
	replays := 0
	replay := func(from, to client.CommitTS) iter.Seq2[client.Event, error] {
		replays++
		return func(yield func(client.Event, error) bool) {
			for _, ts := range []client.CommitTS{1, 2, 900, 5_000, 100_000} {
				if ts >= from && ts <= to && !yield(client.Event{CommitTS: ts, Operations: make([]client.Operation, log[ts])}, nil) {
					return
				}
			}
		}
	}
	for _, tt := range []struct {
		n    int
		head client.CommitTS
		want string
		skip int
	}{
		{0, 100_000, "[]", 0},
		{1, 100_000, "[100000]", 1},
		{2, 100_000, "[100000]", 0},
		{3, 100_000, "[5000 100000]", 0},
		{5, 100_000, "[900 5000 100000]", 1},
		{9, 100_000, "[1 2 900 5000 100000]", 0},
		{1 << 30, 100_000, "[1 2 900 5000 100000]", 0},
		{2, 2, "[1 2]", 1},
		{10, 0, "[]", 0},
	} {
		replays = 0
		events, skip, err := lastEvents(tt.n, tt.head, replay)
		got := []client.CommitTS{}
		for _, ev := range events {
			got = append(got, ev.CommitTS)
		}
		if err != nil || fmt.Sprint(got) != tt.want || skip != tt.skip || replays > 8 {
			t.Errorf("the last %d of %d: %v without %d, %v, in %d replays, want %s without %d", tt.n, tt.head, got, skip, err, replays, tt.want, tt.skip)
		}
	}
	broken := errors.New("broken")
	_, _, err := lastEvents(1, 1, func(_, _ client.CommitTS) iter.Seq2[client.Event, error] {
		return func(yield func(client.Event, error) bool) { yield(client.Event{}, broken) }
	})
	if err != broken {
		t.Errorf("an error comes back as %v", err)
	}
}
