package engine_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"statehouse.dev/statehouse/engine"
	"statehouse.dev/statehouse/sim/simdisk"
)

// TestRenewalsOfMany: each renewal of a request has an answer of its own.
func TestRenewalsOfMany(t *testing.T) {
	w := newWorld(t, 1, engine.Limits{})
	var asked []engine.Renewal
	var want []bool
	for i := range 5 {
		l := fmt.Sprint("l", i)
		token := w.mustAcquire("a", l, "x", time.Minute)
		if want = append(want, i%2 == 1); want[i] {
			token += 7
		}
		asked = append(asked, engine.Renewal{Agent: engine.AgentName{Agent: "a"}, Lease: l, Token: token, TTL: time.Duration(i+1) * time.Hour})
	}
	w.clock = w.clock.Add(time.Second)
	got, err := w.RenewLeases(context.Background(), asked, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i, r := range got {
		if at := w.clock.Add(asked[i].TTL); r.Lost != want[i] || !r.Lost && !r.Deadline.Equal(at) {
			t.Errorf("renewal %d is answered %+v, deadline %v", i, r, at)
		}
	}
	for ttl, good := range map[time.Duration]bool{-1: false, 0: true, engine.MaxTTL: true, engine.MaxTTL + 1: false} {
		if _, err := w.RefreshExpiry(context.Background(), []engine.RecordName{{Agent: "a", Key: "k"}}, ttl, nil); good != (err == nil) || err != nil && !errors.Is(err, engine.ErrInvalid) {
			t.Errorf("a refresh by %v: %v", ttl, err)
		}
	}
	for limit, good := range map[int]bool{-1: false, 0: true, engine.MaxClaim: true, engine.MaxClaim + 1: false} {
		if _, err := w.transact(engine.Conditions{}, claimOp("a", "", limit)); good != (err == nil) || err != nil && !errors.Is(err, engine.ErrInvalid) {
			t.Errorf("a claim of %d: %v", limit, err)
		}
	}
}

// TestActsBesideOthers: a commit may fork several agents and write to others: readers who know no acts get all of it.
func TestActsBesideOthers(t *testing.T) {
	d, clock := simdisk.NewDisk(simdisk.DiskOptions{Seed: 1}), &rigClock{}
	p := openOn(t, d, clock)
	p.transact(t, "1", nil, put("p", "k", 1), put("p", "l", 2))
	r := p.transact(t, "2", nil, forkOf("c", "p", engine.At{}), put("a", "k", 3), forkOf("b", "p", engine.At{}), put("d", "k", 4), forkOf("e", "p", engine.At{}))
	want := []string{"a/k", "b/k", "b/l", "c/k", "c/l", "d/k", "e/k", "e/l"}
	for _, bytes := range []int{1, 100, 1 << 20} {
		var got []string
		in := &engine.Inside{}
		for cursor, n := engine.Cursor(r.CommitTS-1), 0; cursor < engine.Cursor(r.CommitTS); n++ {
			events, next, err := p.ReplayChunk(engine.Filter{AllAgents: true}, cursor, r.CommitTS, engine.Chunk{Bytes: bytes, Inside: in})
			if err != nil || n > 50 {
				t.Fatalf("after %d chunks: %v", n, err)
			}
			cursor, in = next, &engine.Inside{}
			for _, ev := range events {
				for _, op := range ev.Ops {
					if op.Fork == nil {
						got = append(got, op.Name.Agent+"/"+op.Name.Key)
					}
				}
				if in = ev.Rest; in == nil {
					in = &engine.Inside{}
				}
			}
		}
		if slices.Sort(got); !slices.Equal(got, want) {
			t.Errorf("in chunks of %d bytes: %q", bytes, got)
		}
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestManyAfterOthers: an operation on many keys is about those that operations before it wrote, too: all of them.
func TestManyAfterOthers(t *testing.T) {
	d, clock := simdisk.NewDisk(simdisk.DiskOptions{Seed: 1}), &rigClock{}
	p := openOn(t, d, clock)
	p.transact(t, "1", nil, put("a", "k1", 1))
	r := p.transact(t, "2", nil, put("a", "k2", 2), put("b", "k3", 3), put("a", "k3", 3), put("a", "l", 4), put("a", "k4", 5), onRange("a", "k", engine.DeletePrefix{}))
	if n := r.Results[len(r.Results)-1].Keys; n != 4 {
		t.Errorf("%d keys were deleted", n)
	}
	if got := fmt.Sprint(p.keysOf(t, "a"), p.keysOf(t, "b")); got != "[l@1] [k3@1]" {
		t.Errorf("there are %s", got)
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestPagesOfOthersAreRefused: what is asked for with names that are none, or goes on where another list ended, is
// refused.
func TestPagesOfOthersAreRefused(t *testing.T) {
	w := newWorld(t, 1, engine.Limits{})
	w.mustAcquire("a", "l", "x", time.Minute)
	a, none := engine.AgentName{Agent: "a"}, engine.AgentName{Agent: "a\x00b"}
	for _, l := range []engine.LeaseList{
		{Agent: none.Agent}, {Prefix: "l\x00"}, {After: none, AfterName: "l"}, {Agent: "b", After: a, AfterName: "l"},
		{Namespace: "other", After: a, AfterName: "l"}, {Prefix: "m", After: a, AfterName: "l"},
	} {
		if _, _, err := w.Leases(context.Background(), l); !errors.Is(err, engine.ErrInvalid) {
			t.Errorf("%+v: %v", l, err)
		}
	}
	for _, l := range []engine.LeaseList{{After: a, AfterName: "k"}, {Agent: "a", After: a, AfterName: "k"}} {
		if leases, _, err := w.Leases(context.Background(), l); err != nil || len(leases) != 1 {
			t.Errorf("%+v: %v, %v", l, leases, err)
		}
	}
	for _, o := range []engine.DiffOptions{{From: engine.DiffSide{Agent: none}, To: engine.DiffSide{Agent: a}}, {From: engine.DiffSide{Agent: a}, To: engine.DiffSide{Agent: none}}, {From: engine.DiffSide{Agent: a}, To: engine.DiffSide{Agent: a}, Prefix: "k\x00"}} {
		if _, err := w.Diff(o); !errors.Is(err, engine.ErrInvalid) {
			t.Errorf("%+v: %v", o, err)
		}
	}
}
