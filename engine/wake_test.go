package engine_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"statehouse.dev/statehouse/engine"
	"statehouse.dev/statehouse/sim/simdisk"
)

func dueOp(agent, key string, d engine.PutDue) engine.Write {
	return engine.Write{Name: engine.RecordName{Agent: agent, Key: key}, Value: []byte(`{"of":"` + key + `"}`), Eval: d}
}

func (w *world) putDue(agent, key string, d engine.PutDue) engine.CommitResult {
	w.t.Helper()
	return w.must(w.transact(engine.Conditions{}, dueOp(agent, key, d)))
}

func (w *world) must(r engine.CommitResult, err error) engine.CommitResult {
	w.t.Helper()
	if err != nil {
		w.t.Fatalf("%v", err)
	}
	return r
}

func claimOp(agent, prefix string, limit int) engine.Write {
	return leaseOp(agent, prefix, engine.Claim{Holder: "worker", TTL: time.Minute, Limit: limit})
}

// claim takes what is due, and tells it with the keys in the order in which it was given out.
func (w *world) claim(agent, prefix string, limit int) (claimed []engine.Claimed, keys string) {
	w.t.Helper()
	claimed = w.must(w.transact(engine.Conditions{}, claimOp(agent, prefix, limit))).Results[0].Claimed
	return claimed, keysOf(claimed)
}

func keysOf(claimed []engine.Claimed) string {
	var keys []string
	for _, c := range claimed {
		keys = append(keys, c.Record.Name.Key)
	}
	return strings.Join(keys, " ")
}

func (w *world) complete(c engine.Claimed) error {
	_, err := w.transact(engine.Conditions{}, leaseOp(c.Record.Name.Agent, c.Record.Name.Key, engine.Complete{Token: c.Lease.Token}))
	return err
}

func (w *world) dueAt(agent, key string) time.Time {
	w.t.Helper()
	at, err := w.DueAt(engine.RecordName{Agent: agent, Key: key})
	if err != nil {
		w.t.Fatalf("%v", err)
	}
	return at
}

// verified closes the store and verifies it, which holds the rows of what is pending, ready and claimed to
// the records.
func (w *world) verified() engine.Report {
	w.t.Helper()
	w.close()
	return w.verify("at the end")
}

// TestWakeUp: a record is handed out from the daemon's commit on that says that it is due, not a moment
// before, to one worker at a time, until one has completed it under its token.
func TestWakeUp(t *testing.T) {
	w := newWorld(t, 1, engine.Limits{})
	put := w.putDue("a", "k", engine.PutDue{In: time.Hour})
	at := put.CommitTime.Add(time.Hour)
	if got := w.dueAt("a", "k"); !got.Equal(at) || put.Results[0].Version != 1 {
		t.Fatalf("it is due at %v, not %v; %+v", got, at, put)
	}
	w.until(at.Add(-1))
	w.crash(simdisk.CrashOptions{Mode: simdisk.DropAll})
	w.start()
	if _, keys := w.claim("a", "", 1); keys != "" {
		t.Fatalf("%q is handed out before its time", keys)
	}
	w.until(at)
	events, _, err := w.Replay(engine.Filter{Agent: "a", Due: true}, 1, w.Published(), 0)
	if err != nil || len(events) != 1 || events[0].Cause != engine.CauseDue || events[0].CommitTime.Before(at) {
		t.Fatalf("the event says %+v (%v)", events, err)
	}
	w.crash(simdisk.CrashOptions{Mode: simdisk.DropAll}) // between due and claim
	w.start()
	one, keys := w.claim("a", "", 5)
	if keys != "k" || !one[0].DueAt.Equal(at) || string(one[0].Record.Value) != `{"of":"k"}` || one[0].Lease.Name != "due:k" {
		t.Fatalf("a claim takes %q: %+v", keys, one)
	}
	if _, keys := w.claim("a", "", 5); keys != "" {
		t.Fatalf("%q is handed out twice", keys)
	}
	// The work: an ordinary write ends nothing. A renewal holds it for longer.
	w.set("a", "k", 0)
	if err := w.under("a", "due:k", one[0].Lease.Token); err != nil {
		t.Fatal(err)
	}
	w.clock = w.clock.Add(50 * time.Second)
	lapses := w.clock.Add(time.Minute)
	if r := w.renew("a", "due:k", one[0].Lease.Token, 0); r.Lost || !r.Deadline.Equal(lapses) {
		t.Fatalf("renewed to %+v, want %v", r, lapses)
	}
	w.until(lapses.Add(-1))
	if _, keys := w.claim("a", "", 5); keys != "" {
		t.Fatalf("%q is handed out under a lease that was renewed", keys)
	}
	w.until(lapses)
	if err := w.complete(one[0]); !errors.Is(err, engine.ErrLeaseLost) {
		t.Fatalf("completed under a lapsed lease: %v", err)
	}
	if r := w.renew("a", "due:k", one[0].Lease.Token, 0); !r.Lost {
		t.Fatalf("a claim that has lapsed is renewed: %+v", r)
	}
	two, keys := w.claim("a", "", 5)
	if keys != "k" || !two[0].DueAt.Equal(at) || two[0].Lease.Token <= one[0].Lease.Token {
		t.Fatalf("after it has lapsed a claim takes %q: %+v", keys, two)
	}
	if err := w.complete(one[0]); !errors.Is(err, engine.ErrLeaseLost) {
		t.Fatalf("completed under the token of before: %v", err)
	}
	if err := w.complete(two[0]); err != nil {
		t.Fatal(err)
	}
	if err := w.complete(two[0]); !errors.Is(err, engine.ErrLeaseLost) {
		t.Fatalf("completed twice: %v", err)
	}
	w.until(w.clock.Add(240 * time.Hour))
	if _, keys := w.claim("a", "", 5); keys != "" || !w.dueAt("a", "k").IsZero() || !w.get("a", "k").Exists {
		t.Fatalf("%q is handed out after it was completed", keys)
	}
	if r := w.verified(); r.Holds != 0 {
		t.Errorf("there are %d deadlines", r.Holds)
	}
}

// TestClaimsTakeTurns: what has been ready for longest comes first, also of all agents, within a prefix, and
// no two claims get the same record, also in one step with the commit that made it ready.
func TestClaimsTakeTurns(t *testing.T) {
	w := newWorld(t, 1, engine.Limits{})
	for i, key := range []string{"m/3", "m/1", "n/2"} {
		w.putDue(fmt.Sprint("a", i%2), key, engine.PutDue{In: time.Duration(i) * time.Second})
		w.until(w.clock.Add(time.Minute))
	}
	if _, keys := w.claim("a1", "n/", 5); keys != "" {
		t.Fatalf("a claim takes %q of another agent", keys)
	}
	if _, keys := w.claim("", "m/", 1); keys != "m/3" {
		t.Fatalf("a claim of all agents takes %q", keys)
	}
	if _, keys := w.claim("", "", 5); keys != "n/2 m/1" {
		t.Fatalf("the next takes %q", keys)
	}
	// A record that becomes due in the step in which it is claimed, by two at once.
	w.putDue("b", "x", engine.PutDue{In: time.Second})
	w.putDue("b", "y", engine.PutDue{In: time.Second})
	w.clock = w.clock.Add(time.Hour)
	got := w.together(claimOp("b", "", 1), claimOp("b", "", 1), claimOp("", "", 1))
	slices.Sort(got)
	if fmt.Sprint(got) != "[m/3 x y]" { // the claim of m/3 has lapsed
		t.Fatalf("three workers get %q", got)
	}
	// What is ready already, in a step.
	w.putDue("c", "x", engine.PutDue{})
	w.putDue("c", "y", engine.PutDue{})
	w.until(w.clock.Add(time.Second))
	got = w.together(claimOp("c", "", 1), claimOp("c", "", 1), claimOp("c", "", 1))
	slices.Sort(got)
	if fmt.Sprint(got) != "[ x y]" {
		t.Fatalf("three workers get %q of what is ready", got)
	}
	w.verified()
}

// together has claims planned in one step, and tells what each got.
func (w *world) together(claims ...engine.Write) []string {
	w.t.Helper()
	var out []string
	w.ids++
	claim := func(i int) (engine.CommitResult, error) {
		return w.Transact(context.Background(), engine.TxnID(fmt.Sprintf("together-%d-%d", w.ids, i)), claims[i:i+1], engine.Conditions{})
	}
	for i := range claims {
		_ = w.abandon(func() error { _, err := claim(i); return err })
	}
	for i := range claims {
		out = append(out, keysOf(w.must(claim(i)).Results[0].Claimed))
	}
	return out
}

// TestClaimsAnswerTheSame: to a retry, also after a restart.
func TestClaimsAnswerTheSame(t *testing.T) {
	w := newWorld(t, 1, engine.Limits{})
	for _, key := range []string{"k", "j"} {
		w.putDue("a", key, engine.PutDue{})
	}
	w.until(w.clock.Add(time.Second))
	claim := func() string {
		r := w.must(w.Transact(context.Background(), "claim", []engine.Write{claimOp("a", "", 2)}, engine.Conditions{}))
		return fmt.Sprint(r.CommitTS, r.Results)
	}
	first := claim()
	if again := claim(); again != first {
		t.Errorf("a claim is answered %s, and then %s", first, again)
	}
	w.crash(simdisk.CrashOptions{Mode: simdisk.DropAll})
	w.start()
	w.set("a", "k", 0)
	if again := claim(); again != first || !strings.Contains(first, "due:j") {
		t.Errorf("a claim is answered %s, and %s after a restart", first, again)
	}
	w.verified()
}

// TestWakeUpEnds: a rewrite with another time ends a claim, and a delete ends all of it, in every state and
// by whatever way. A release hands it out again.
func TestWakeUpEnds(t *testing.T) {
	w := newWorld(t, 1, engine.Limits{})
	claimed := func(key string) engine.Claimed {
		t.Helper()
		w.putDue("a", key, engine.PutDue{At: time.Unix(1, 0)})
		w.until(w.clock.Add(time.Second))
		c, keys := w.claim("a", "", 5)
		if keys != key {
			t.Fatalf("a claim takes %q, not %q", keys, key)
		}
		return c[0]
	}
	c := claimed("k")
	w.putDue("a", "k", engine.PutDue{In: time.Minute})
	if err := w.complete(c); !errors.Is(err, engine.ErrLeaseLost) {
		t.Fatalf("completed after it was set anew: %v", err)
	}
	w.until(w.clock.Add(time.Minute))
	again, keys := w.claim("a", "", 5)
	if keys != "k" {
		t.Fatalf("a claim takes %q after it was set anew", keys)
	}
	w.must(w.transact(engine.Conditions{}, leaseOp("a", "due:k", engine.Release{Token: again[0].Lease.Token})))
	if err := w.complete(again[0]); !errors.Is(err, engine.ErrLeaseLost) {
		t.Fatalf("completed after a release: %v", err)
	}
	if again, keys = w.claim("a", "", 5); keys != "k" {
		t.Fatalf("a claim takes %q after a release", keys)
	}
	// Completed and set anew, in one commit.
	w.must(w.transact(engine.Conditions{}, leaseOp("a", "k", engine.Complete{Token: again[0].Lease.Token}), dueOp("a", "k", engine.PutDue{In: time.Minute})))
	deletes := map[string][]engine.Write{
		"delete":        {{Name: engine.RecordName{Agent: "a", Key: "k"}, Tombstone: true}},
		"delete prefix": {leaseOp("a", "k", engine.DeletePrefix{})},
		"put and delete": {dueOp("a", "k", engine.PutDue{}),
			{Name: engine.RecordName{Agent: "a", Key: "k"}, Tombstone: true}},
	}
	for _, state := range []string{"pending", "ready", "claimed"} {
		for how, ops := range deletes {
			c = engine.Claimed{}
			switch w.putDue("a", "k", engine.PutDue{In: time.Minute}); state {
			case "ready":
				w.until(w.clock.Add(time.Minute))
			case "claimed":
				c = claimed("k")
			}
			w.restart()
			r := w.must(w.transact(engine.Conditions{}, ops...))
			w.set("a", "k", 0)
			w.until(w.clock.Add(time.Hour))
			if _, keys := w.claim("a", "", 5); keys != "" || !w.dueAt("a", "k").IsZero() {
				t.Errorf("%s, %s: %q is handed out; %+v", state, how, keys, r)
			}
			if state == "claimed" {
				if err := w.complete(c); !errors.Is(err, engine.ErrLeaseLost) {
					t.Errorf("completed after a %s: %v", how, err)
				}
			}
		}
	}
	// It expires at the moment at which it is due.
	w.putDue("a", "k", engine.PutDue{In: time.Minute})
	w.set("a", "k", time.Minute)
	w.until(w.clock.Add(time.Hour))
	if _, keys := w.claim("a", "", 5); keys != "" || w.get("a", "k").Exists {
		t.Errorf("%q is handed out, which has expired", keys)
	}
	if r := w.verified(); r.Holds != 0 {
		t.Errorf("there are %d deadlines", r.Holds)
	}
}

// TestWakeUpClocks: a clock that is set back delays what is due, and one set forward makes it due, and neither
// hands it out twice.
func TestWakeUpClocks(t *testing.T) {
	w := newWorld(t, 1, engine.Limits{})
	put := w.putDue("a", "k", engine.PutDue{In: time.Hour})
	w.until(put.CommitTime.Add(-time.Hour))
	if _, keys := w.claim("a", "", 1); keys != "" {
		t.Fatalf("%q is due an hour before it was written", keys)
	}
	w.until(put.CommitTime.Add(2 * time.Hour))
	w.clock = put.CommitTime
	c, keys := w.claim("a", "", 1)
	if keys != "k" {
		t.Fatalf("a claim takes %q", keys)
	}
	// Held by stamped time, which the clock has fallen behind.
	w.until(put.CommitTime.Add(time.Hour))
	if _, keys := w.claim("a", "", 1); keys != "" {
		t.Fatalf("%q is handed out twice", keys)
	}
	if err := w.complete(c[0]); err != nil {
		t.Fatal(err)
	}
	w.verified()
}

// TestWakeUpsAreRefused: what is asked for in a way that has no sense.
func TestWakeUpsAreRefused(t *testing.T) {
	w := newWorld(t, 1, engine.Limits{})
	version := engine.Version(1)
	ttl := dueOp("a", "k", engine.PutDue{})
	ttl.TTL = time.Minute
	conditional := leaseOp("a", "k", engine.Complete{Token: 1})
	conditional.Expected = &version
	for what, ops := range map[string][]engine.Write{
		"due and expiring":     {ttl},
		"due before 1970":      {dueOp("a", "k", engine.PutDue{At: time.Unix(-1, 0)})},
		"due in a long time":   {dueOp("a", "k", engine.PutDue{In: engine.MaxDueIn + 1})},
		"two claims":           {claimOp("a", "", 1), claimOp("a", "", 1)},
		"too many":             {claimOp("a", "", engine.MaxClaim+1)},
		"no time":              {leaseOp("a", "", engine.Claim{})},
		"no token":             {leaseOp("a", "k", engine.Complete{})},
		"a version of a lease": {conditional},
		"a claim's lease":      {leaseOp("a", "due:k", engine.Acquire{TTL: time.Minute})},
	} {
		if _, err := w.transact(engine.Conditions{}, ops...); !errors.Is(err, engine.ErrInvalid) {
			t.Errorf("%s: %v", what, err)
		}
	}
	// The version of what waits is no token.
	w.putDue("a", "k", engine.PutDue{In: time.Hour})
	for name, op := range map[string]engine.Write{"complete": leaseOp("a", "k", engine.Complete{Token: 1}), "release": leaseOp("a", "due:k", engine.Release{Token: 1})} {
		if _, err := w.transact(engine.Conditions{}, op); !errors.Is(err, engine.ErrLeaseLost) {
			t.Errorf("%s of what is not claimed: %v", name, err)
		}
	}
	if r := w.renew("a", "due:k", 1, 0); !r.Lost {
		t.Errorf("what is not claimed is renewed: %+v", r)
	}
	if err := w.under("a", "due:k", 1); !errors.Is(err, engine.ErrLeaseLost) {
		t.Errorf("what is not claimed is required: %v", err)
	}
	w.verified()
}

// export reads what was committed after a commit.
func (w *world) export(after engine.CommitTS) (s forkStretch) {
	w.t.Helper()
	x, err := w.Export(after)
	if err != nil {
		w.t.Fatalf("%v", err)
	}
	defer x.Close()
	s.of = x.Of()
	for {
		rows, err := x.Next(context.Background())
		if err != nil {
			w.t.Fatalf("%v", err)
		}
		if len(rows) == 0 {
			break
		}
		s.rows = append(s.rows, rows...)
	}
	rows, err := x.System()
	for _, row := range rows {
		c, bad := row.System()
		err = errors.Join(err, bad)
		s.system = append(s.system, c)
	}
	if err != nil {
		w.t.Fatalf("%v", err)
	}
	return s
}

// restore is a world with the store that is made of stretches, up to a commit unless that is 0.
func (w *world) restore(until engine.CommitTS, list ...forkStretch) *world {
	w.t.Helper()
	to := newWorld(w.t, 77, engine.Limits{})
	to.close()
	to.ids = 1000 * (w.ids + 1)
	to.clock, to.disk = w.clock, simdisk.NewDisk(simdisk.DiskOptions{Seed: 77})
	b, err := engine.BeginRestore(to.env(), engine.RestoreOptions{Dir: to.opts.Dir, First: list[0].of, OutcomesAfter: list[len(list)-1].of.OutcomesAfter, Until: until})
	for i := 0; err == nil && i < len(list); i++ {
		if i > 0 {
			err = b.Continue(list[i].of)
		}
		err = errors.Join(err, b.AddSystem(list[i].system...), b.Commits(list[i].rows))
	}
	if err == nil {
		_, _, err = b.Finish()
	}
	if err = errors.Join(err, b.Close()); err != nil {
		w.t.Fatalf("restoring: %v", err)
	}
	to.verify("what was restored")
	to.start()
	return to
}

// TestWakeUpsAreBackedUp: what was pending, ready and claimed is so after a restore, of one stretch and of several, and
// to an earlier moment.
func TestWakeUpsAreBackedUp(t *testing.T) {
	w := newWorld(t, 1, engine.Limits{})
	w.set("a", "plain", 0)
	first := w.export(0) // before there is any
	put := w.putDue("a", "pending", engine.PutDue{In: time.Hour})
	w.putDue("a", "ready", engine.PutDue{In: time.Second})
	w.putDue("b", "claimed", engine.PutDue{In: time.Second})
	allPending := w.Published()
	w.until(w.clock.Add(time.Minute))
	claimed, _ := w.claim("b", "", 1)
	w.clock = w.clock.Add(50 * time.Second)
	w.renew("b", "due:claimed", claimed[0].Lease.Token, 0)
	second := w.export(first.of.To)
	for i, to := range []*world{w.restore(0, w.export(0)), w.restore(0, first, second)} {
		if _, keys := to.claim("", "", 9); keys != "ready" {
			t.Errorf("restore %d: a claim takes %q", i, keys)
		}
		if err := to.under("b", "due:claimed", claimed[0].Lease.Token); err != nil {
			t.Errorf("restore %d: %v", i, err)
		}
		to.until(to.clock.Add(59 * time.Second))
		if _, keys := to.claim("", "", 9); keys != "" {
			t.Errorf("restore %d: a claim takes %q, which was renewed", i, keys)
		}
		to.until(to.clock.Add(time.Second))
		if _, keys := to.claim("b", "", 9); keys != "claimed" {
			t.Errorf("restore %d: after it has lapsed a claim takes %q", i, keys)
		}
		to.until(put.CommitTime.Add(time.Hour))
		if _, keys := to.claim("a", "p", 9); keys != "pending" {
			t.Errorf("restore %d: in its time a claim takes %q", i, keys)
		}
		to.verified()
	}
	then := w.restore(allPending, first, second)
	then.clock = put.CommitTime.Add(500 * time.Millisecond)
	if _, keys := then.claim("", "", 9); keys != "" {
		t.Errorf("at an earlier moment a claim takes %q", keys)
	}
	then.until(put.CommitTime.Add(time.Minute))
	if _, keys := then.claim("", "", 9); keys != "claimed ready" && keys != "ready claimed" {
		t.Errorf("a claim takes %q after what was pending is due", keys)
	}
	then.verified()
	w.verified()
}

// TestEraseDue: what is due is erased with its wake-up, each time, and verify finds the erasure that took it.
func TestEraseDue(t *testing.T) {
	w := newWorld(t, 1, engine.Limits{})
	for range 3 {
		w.putDue("a", "job", engine.PutDue{In: time.Minute})
		if err := w.Erase(context.Background(), engine.Erasure{Agent: "a"}, func(engine.ErasureProgress) error { return nil }); err != nil {
			t.Fatal(err)
		}
		if at := w.dueAt("a", "job"); !at.IsZero() {
			t.Errorf("what was erased is due at %v", at)
		}
		w.close()
		w.verify("after an erasure")
		w.start()
	}
}
