package engine_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"statehouse.dev/statehouse/engine"
	"statehouse.dev/statehouse/sim/simdisk"
)

// set commits a value that lives for a while.
func (w *world) set(agent, key string, ttl time.Duration) engine.CommitResult {
	w.t.Helper()
	w.ids++
	r, err := w.Transact(context.Background(), engine.TxnID(fmt.Sprintf("set-%d", w.ids)),
		[]engine.Write{{Name: engine.RecordName{Agent: agent, Key: key}, Value: []byte(`{}`), TTL: ttl}}, engine.Conditions{})
	if err != nil {
		w.t.Fatalf("setting %s of %s: %v", key, agent, err)
	}
	return r
}

func (w *world) get(agent, key string) engine.Record {
	w.t.Helper()
	rec, err := w.now().Get(engine.RecordName{Agent: agent, Key: key})
	if err != nil {
		w.t.Fatalf("%v", err)
	}
	return rec
}

// until moves the clock to a moment and lets the daemon do what is due.
func (w *world) until(at time.Time) {
	w.clock = at
	w.Tick()
	for w.Step() {
	}
}

// TestExpiry: a record is there until the commit that removes it, which is the daemon's, says why, and
// moves no head.
func TestExpiry(t *testing.T) {
	w := newWorld(t, 1, engine.Limits{})
	set := w.set("a", "k", time.Minute)
	w.set("a", "stays", 0)
	at := set.CommitTime.Add(time.Minute)
	if rec := w.get("a", "k"); !rec.ExpiresAt.Equal(at) || !w.get("a", "stays").ExpiresAt.IsZero() {
		t.Fatalf("it expires at %v, not %v", rec.ExpiresAt, at)
	}
	w.until(at.Add(-1))
	if rec := w.get("a", "k"); !rec.Exists || w.Published() != 2 {
		t.Fatalf("it is gone before its time")
	}
	w.clock = at.Add(time.Hour)
	if rec := w.get("a", "k"); !rec.Exists {
		t.Fatalf("it is gone by the clock, before the commit that removes it")
	}
	w.clock = at.Add(-1)
	w.crash(simdisk.CrashOptions{Mode: simdisk.DropAll})
	w.start()
	w.until(at)
	if rec := w.get("a", "k"); rec.Exists || rec.Version != 2 || w.Published() != 3 {
		t.Fatalf("it is there after its time: %+v", rec)
	}
	events, _, err := w.Replay(engine.Filter{Agent: "a"}, 2, 3, 0)
	if err != nil || len(events) != 1 || events[0].Cause != engine.CauseExpired || events[0].Principal != "statehouse" ||
		len(events[0].Ops) != 1 || !events[0].Ops[0].Tombstone || events[0].CommitTime.Before(at) {
		t.Fatalf("the event says %+v (%v)", events, err)
	}
	agents, _, err := w.now().Agents("", "", "", engine.Page{})
	if err != nil || len(agents) != 1 || agents[0].Head != 2 {
		t.Fatalf("the agent's head is %+v (%v)", agents, err)
	}
	for head, want := range map[engine.CommitTS]error{2: nil, 3: engine.ErrPrecondition} {
		_, err := w.Transact(context.Background(), engine.TxnID(fmt.Sprintf("head-%d", head)), nil,
			engine.Conditions{Heads: []engine.HeadPrecondition{{Agent: engine.AgentName{Agent: "a"}, Expected: head}}})
		if !errors.Is(err, want) {
			t.Errorf("a commit on condition that the head is %d is answered %v", head, err)
		}
	}
	w.restart()
	if agents, _, err := w.now().Agents("", "", "", engine.Page{}); err != nil || agents[0].Head != 2 {
		t.Fatalf("after a restart the agent's head is %+v (%v)", agents, err)
	}
	w.close()
	if r := w.verify("at the end"); r.Holds != 0 {
		t.Errorf("there are %d deadlines", r.Holds)
	}
}

// TestExpiryFollowsTheRecord: what is written or deleted ends the deadline of before, also within a
// step, and a change by the writer leaves it as it is.
func TestExpiryFollowsTheRecord(t *testing.T) {
	w := newWorld(t, 1, engine.Limits{})
	name := engine.RecordName{Agent: "a", Key: "k"}
	transact := func(writes ...engine.Write) {
		w.ids++
		if _, err := w.Transact(context.Background(), engine.TxnID(fmt.Sprintf("write-%d", w.ids)), writes, engine.Conditions{}); err != nil {
			t.Fatal(err)
		}
	}
	value := func(ttl time.Duration) engine.Write {
		return engine.Write{Name: name, Value: []byte(`{"n":1}`), TTL: ttl}
	}
	increment := engine.Write{Name: name, Eval: engine.Increment{Pointer: "/n", Delta: "1"}}
	for _, c := range []struct {
		what   string
		writes []engine.Write
		ends   time.Duration // 0: it stays
	}{
		{"a value without", []engine.Write{value(0)}, 0},
		{"a later deadline", []engine.Write{value(2 * time.Hour)}, 2 * time.Hour},
		{"an earlier deadline", []engine.Write{value(time.Minute)}, time.Minute},
		{"an increment", []engine.Write{increment}, time.Hour - time.Second},
		{"a value and an increment", []engine.Write{value(0), increment}, 0},
		{"a value with a deadline and an increment", []engine.Write{value(time.Minute), increment}, time.Minute},
	} {
		transact(value(time.Hour))
		w.clock = w.clock.Add(time.Second)
		transact(c.writes...)
		want := time.Time{}
		if c.ends > 0 {
			want = w.clock.Add(c.ends)
		}
		if got := w.get("a", "k").ExpiresAt; !got.Equal(want) {
			t.Errorf("after %s it expires at %v, want %v", c.what, got, want)
		}
		version := w.get("a", "k").Version
		w.restart()
		w.until(w.clock.Add(3 * time.Hour))
		if rec := w.get("a", "k"); rec.Exists == (c.ends > 0) || rec.Exists && rec.Version != version {
			t.Errorf("after %s, and three hours, there is %+v", c.what, rec)
		}
		w.close()
		w.verify(c.what)
		w.start()
	}
}

// TestClockJumps: set forward by years, it makes everything due, and each step does some; set back, it
// makes nothing due early.
func TestClockJumps(t *testing.T) {
	w := newWorld(t, 1, engine.Limits{})
	w.opts.Tuning.FiredHolds = 4
	w.restart()
	const n = 10
	for i := range n {
		w.set("a", fmt.Sprint(i), time.Hour)
	}
	w.until(w.clock.Add(-time.Hour))
	w.until(w.clock.Add(time.Hour))
	if w.Published() != n {
		t.Fatalf("something has expired early")
	}
	w.clock = w.clock.AddDate(10, 0, 0)
	for _, want := range []engine.CommitTS{n + 1, n + 2, n + 3} {
		w.Step()
		if w.Published() != want {
			t.Fatalf("commit %d is published, not %d", w.Published(), want)
		}
	}
	if w.Step() {
		t.Errorf("there was more to do")
	}
	if records, _, err := w.now().Scan(engine.ScanOptions{Agent: engine.AgentName{Agent: "a"}}); err != nil || len(records) != 0 {
		t.Errorf("%d records are left, %v", len(records), err)
	}
	w.close()
	w.verify("at the end")
}

// TestForkOfHolds: a fork inherits what expires without its deadline, and no lease; what is written to it
// expires like anything else.
func TestForkOfHolds(t *testing.T) {
	w := newWorld(t, 1, engine.Limits{})
	w.set("a", "k", time.Minute)
	w.set("a", "again", time.Minute)
	w.mustAcquire("a", "main", "me", time.Minute)
	fork := engine.Write{Name: engine.RecordName{Agent: "b"}, Eval: engine.Fork{Parent: "a"}}
	if _, err := w.transact(engine.Conditions{}, fork); err != nil {
		t.Fatal(err)
	}
	if !w.get("b", "k").ExpiresAt.IsZero() || len(w.leases(engine.LeaseList{Agent: "b"})) != 0 {
		t.Errorf("a fork inherits a deadline or a lease")
	}
	w.set("b", "k", 0)
	w.set("b", "again", time.Hour)
	if got := w.get("b", "again").ExpiresAt; !got.Equal(w.clock.Add(time.Hour)) {
		t.Errorf("what was written to a fork expires at %v", got)
	}
	w.mustAcquire("b", "main", "me", time.Minute)
	w.until(w.clock.Add(time.Minute))
	if w.get("a", "k").Exists || !w.get("b", "k").Exists || !w.get("b", "again").Exists {
		t.Errorf("the wrong records have expired")
	}
	w.until(w.clock.Add(time.Hour))
	if w.get("b", "again").Exists || len(w.leases(engine.LeaseList{})) != 0 {
		t.Errorf("something of the fork has not expired")
	}
	w.close()
	w.verify("at the end")
}
