package engine_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"statehouse.dev/statehouse/engine"
	"statehouse.dev/statehouse/sim/simdisk"
)

// TestHoldsCrash ends the process at every operation on the disk of a run in which records expire, leases
// are acquired, renewed, released and lapse. What is left verifies; what was acknowledged is there: a
// record or a lease until the deadline that was answered, and no longer than until the first step after it.
func TestHoldsCrash(t *testing.T) {
	w := newWorld(t, 1, engine.Limits{})
	type promise struct { // as of the last answer
		head   engine.CommitTS
		clock  time.Time
		until  map[string]time.Time // of records and leases, by name
		tokens map[string]engine.Version
	}
	type shot struct {
		disk *simdisk.Disk
		promise
	}
	var mu sync.Mutex
	var shots []shot
	now := promise{until: map[string]time.Time{}, tokens: map[string]engine.Version{}}
	keep := func() { // what was answered by now
		mu.Lock()
		defer mu.Unlock()
		next := promise{head: w.Published(), clock: w.clock, until: map[string]time.Time{}, tokens: map[string]engine.Version{}}
		records, _, err := w.now().Scan(engine.ScanOptions{Agent: engine.AgentName{Agent: "a"}})
		if err != nil {
			t.Fatal(err)
		}
		for _, rec := range records {
			if !rec.ExpiresAt.IsZero() {
				next.until[rec.Name.Key] = rec.ExpiresAt
			}
		}
		for _, l := range w.leases(engine.LeaseList{Agent: "a"}) {
			next.until["lease "+l.Name], next.tokens["lease "+l.Name] = l.Deadline, l.Token
		}
		now = next
	}
	w.set("a", "first", time.Minute)
	keep()
	w.disk.OnOp(func(op simdisk.Op) {
		if changes(op) {
			mu.Lock()
			defer mu.Unlock()
			shots = append(shots, shot{w.disk.Clone(), now})
		}
	})
	for i := range 12 {
		key := fmt.Sprint("k", i%3)
		w.set("a", key, time.Duration(20+10*(i%4))*time.Second)
		keep()
		name := fmt.Sprint("l", i%2)
		token, err := w.acquire("a", name, "me", 25*time.Second)
		keep()
		if err == nil {
			w.clock = w.clock.Add(5 * time.Second)
			_ = w.renew("a", name, token, 0)
			keep()
			if i%3 == 0 {
				if _, err := w.transact(engine.Conditions{}, leaseOp("a", name, engine.Release{Token: token})); err != nil {
					t.Fatal(err)
				}
				keep()
			}
		}
		if _, err := w.RefreshExpiry(context.Background(), []engine.RecordName{{Agent: "a", Key: key}}, 30*time.Second, nil); err != nil {
			t.Fatal(err)
		}
		keep()
		w.until(w.clock.Add(8 * time.Second))
		keep()
		if i%5 == 4 {
			if err := w.Flush(); err != nil {
				t.Fatal(err)
			}
		}
	}
	w.disk.OnOp(nil)
	w.close()
	for i, x := range shots {
		if i%stride(2) != 0 {
			continue
		}
		for _, mode := range []simdisk.CrashMode{simdisk.DropAll, simdisk.Torn, simdisk.KeepAll} {
			when := fmt.Sprintf("operation %d, %s", i, mode)
			left := &world{t: t, disk: x.disk.Clone().Crash(simdisk.CrashOptions{Mode: mode, Seed: uint64(i)}), clock: x.clock, rand: w.rand, opts: w.opts, ids: 1 << 20}
			left.verify(when)
			left.start()
			if left.Published() < x.head {
				t.Fatalf("G1: %s: commit %d is lost, %d is the last", when, x.head, left.Published())
			}
			if left.Published() == x.head { // or something that was not answered may have ended it
				for name, until := range x.until {
					got := left.get("a", name).ExpiresAt
					if token := x.tokens[name]; token > 0 {
						for _, l := range left.leases(engine.LeaseList{Agent: "a"}) {
							if "lease "+l.Name == name && l.Token == token {
								got = l.Deadline
							}
						}
					}
					if got.Before(until) {
						t.Fatalf("%s: %q is held until %v, and it was answered until %v", when, name, got, until)
					}
				}
			}
			left.until(left.clock.Add(time.Hour))
			if n := len(left.leases(engine.LeaseList{})); n > 0 {
				t.Fatalf("%s: %d leases are left", when, n)
			}
			for _, key := range []string{"first", "k0", "k1", "k2"} {
				if left.get("a", key).Exists {
					t.Fatalf("%s: %q is there after its time", when, key)
				}
			}
			left.close()
			if r := left.verify(when + ", and went on"); r.Holds != 0 {
				t.Fatalf("%s: %d deadlines are left", when, r.Holds)
			}
		}
	}
	t.Logf("%d operations", len(shots))
}
