package engine_test

import (
	"context"
	"fmt"
	"maps"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"statehouse.dev/statehouse/engine"
	"statehouse.dev/statehouse/sim/simdisk"
)

// TestForksCrash ends the process at every operation on the disk while agents are forked, and while
// what forks inherited is copied before retention takes it: a fork is there as a whole or not at
// all, and has what it inherited, at whatever point it is left and however often.
func TestForksCrash(t *testing.T) {
	type state struct {
		fork engine.CommitTS
		keys map[string]string
	}
	d, clock := simdisk.NewDisk(simdisk.DiskOptions{Seed: 5}), &rigClock{}
	var mu sync.Mutex
	var acked atomic.Int64
	type shot struct {
		disk  *simdisk.Disk
		acked engine.CommitTS
	}
	var shots []shot
	want := map[string]state{}
	p := openOn(t, d, clock)
	now := map[string]string{}
	write := func(agent, key string, n int) {
		w := put(agent, key, n)
		acked.Store(int64(p.transact(t, fmt.Sprint("w-", agent, key, n), nil, w).CommitTS))
		if agent == "a" {
			now[key] = string(w.Value)
		}
	}
	for i := range 40 {
		write("a", fmt.Sprintf("k%02d", i%10), i)
	}
	d.OnOp(func(op simdisk.Op) {
		if changes(op) {
			mu.Lock()
			defer mu.Unlock()
			ts := engine.CommitTS(acked.Load())
			shots = append(shots, shot{d.Clone(), ts})
		}
	})
	fork := func(name string) {
		ts := p.fork(t, "f-"+name, name, "a", engine.At{})
		acked.Store(int64(ts))
		mu.Lock()
		want[name] = state{ts, maps.Clone(now)}
		mu.Unlock()
	}
	fork("f1")
	write("a", "k03", 100)
	fork("f2")
	for i := range 10 {
		write("a", fmt.Sprintf("k%02d", i), 200+i)
	}
	if _, err := p.SetRetention(context.Background(), engine.Retention{MaxVersions: 1}); err != nil {
		t.Fatal(err)
	}
	p.chores()
	clock.ms.Add(300_000)
	write("a", "late", 1)
	if _, err := p.SetRetention(context.Background(), engine.Retention{MaxAge: time.Minute, MaxVersions: 1}); err != nil {
		t.Fatal(err)
	}
	p.chores()
	if err := p.Flush(); err != nil {
		t.Fatal(err)
	}
	d.OnOp(nil)
	shots = append(shots, shot{d.Clone(), engine.CommitTS(acked.Load())})
	check := func(p *process, from engine.CommitTS, when string) {
		t.Helper()
		at := p.at(t)
		if at.TS() < from {
			t.Fatalf("%s: commit %d is lost, %d is the last", when, from, at.TS())
		}
		for name, s := range want {
			recs, _, err := at.Scan(engine.ScanOptions{Agent: engine.AgentName{Agent: name}})
			if err != nil {
				t.Fatalf("%s: %v", when, err)
			}
			if s.fork > at.TS() {
				if len(recs) > 0 {
					t.Fatalf("%s: %q has %d records before it is forked", when, name, len(recs))
				}
				continue
			}
			got := map[string]string{}
			for _, rec := range recs {
				got[rec.Name.Key] = string(rec.Value)
			}
			if !maps.Equal(got, s.keys) {
				t.Fatalf("%s: %q has %v, of %v", when, name, got, s.keys)
			}
		}
	}
	for i, x := range shots {
		if i%stride(3) != 0 && i != len(shots)-1 {
			continue
		}
		for _, mode := range []simdisk.CrashMode{simdisk.DropAll, simdisk.Torn, simdisk.KeepAll} {
			left := x.disk.Clone().Crash(simdisk.CrashOptions{Mode: mode, Seed: uint64(i)})
			when := fmt.Sprintf("operation %d, %s", i, mode)
			if _, err := verifyOn(left.Clone()); err != nil {
				t.Fatalf("%s: verify: %v", when, err)
			}
			p := openOn(t, left, &rigClock{})
			check(p, x.acked, when)
			p.chores()
			check(p, x.acked, when+", and went on")
			if err := p.Close(); err != nil {
				t.Fatal(err)
			}
			if _, err := verifyOn(left); err != nil {
				t.Fatalf("%s, and went on: verify: %v", when, err)
			}
		}
	}
	t.Logf("%d operations", len(shots))
}
