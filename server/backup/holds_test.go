package backup_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"statehouse.dev/statehouse/engine"
	"statehouse.dev/statehouse/server/backup"
)

// TestBackupOfHolds: what expires, and leases, last as long in a restored store, at whichever commit it
// ends: exactly if that is the end of a segment, and else at least until then.
func TestBackupOfHolds(t *testing.T) {
	r := newRig(t, 7)
	type until map[string]time.Time // by key, or lease
	states := map[engine.CommitTS]until{}
	now := until{}
	commit := func(w engine.Write, ttl time.Duration) {
		t.Helper()
		r.ids++
		w.Name.Agent = "a"
		res, err := r.e.Transact(context.Background(), engine.TxnID(fmt.Sprint(r.ids)), []engine.Write{w}, engine.Conditions{})
		if err != nil {
			t.Fatal(err)
		}
		next := until{}
		for k, v := range now { // a copy
			next[k] = v
		}
		if now = next; ttl > 0 {
			now[w.Name.Key] = res.CommitTime.Add(ttl)
		} else {
			delete(now, w.Name.Key)
		}
		states[res.CommitTS] = now
	}
	set := func(key string, ttl time.Duration) {
		commit(engine.Write{Name: engine.RecordName{Key: key}, Value: []byte(`{"n":1}`), TTL: ttl}, ttl)
	}
	refresh := func(key string, ttl time.Duration) {
		t.Helper()
		got, err := r.e.RefreshExpiry(context.Background(), []engine.RecordName{{Agent: "a", Key: key}}, ttl, nil)
		if err != nil || got[0].ExpiresAt.IsZero() {
			t.Fatal(got, err)
		}
		now[key] = got[0].ExpiresAt // of the last commit, too
	}
	acquire := func(name string, ttl time.Duration) {
		commit(engine.Write{Name: engine.RecordName{Key: name}, Eval: engine.Acquire{Holder: "me", TTL: ttl}}, ttl)
	}
	saved := 0

	set("k", time.Hour)
	set("often", time.Hour)
	acquire("lease", time.Hour)
	refresh("often", 3*time.Hour)
	ends := []int{saved}
	save := func() { saved = r.save("/backup", saved); ends = append(ends, saved) }
	refresh("k", 4*time.Hour) // of a record that the segment before has
	set("stays", 0)
	set("often", time.Hour) // again: what was moved before does not count
	refresh("often", 5*time.Hour)
	commit(engine.Write{Name: engine.RecordName{Key: "k"}, Eval: engine.Increment{Pointer: "/n", Delta: "1"}}, 0)
	now["k"] = states[engine.CommitTS(len(states)-1)]["k"]
	save()
	set("k", 0)
	if _, err := r.e.RenewLeases(context.Background(), []engine.Renewal{{Agent: engine.AgentName{Agent: "a"}, Lease: "lease", Token: 1, TTL: 6 * time.Hour}}, nil); err != nil {
		t.Fatal(err)
	}
	now["lease"] = time.Time{} // not before what it was
	set("last", 10*time.Hour)
	save()
	r.ms.Add((2 * time.Hour).Milliseconds()) // "often" is overdue by what it was written with
	set("later", 0)
	set("often", time.Minute)
	save()

	for end := 1; end <= saved; end++ {
		dir := fmt.Sprintf("/restored/%d", end)
		if _, err := r.restore(backup.RestoreOptions{From: "/backup", Dir: dir, ToCommit: uint64(end)}); err != nil {
			t.Fatal(err)
		}
		if _, err := engine.Verify(r.env, dir, nil); err != nil {
			t.Fatalf("the store that ends at %d: %v", end, err)
		}
		r.compareHolds(dir, states[engine.CommitTS(end)], slices.Contains(ends, end))
	}
}

func (r *rig) compareHolds(dir string, want map[string]time.Time, exact bool) {
	r.t.Helper()
	e, err := engine.Open(r.env, engine.Options{Dir: dir, Tuning: tuning, MustExist: true})
	if err != nil {
		r.t.Fatal(err)
	}
	defer e.Close()
	snap, err := e.Snapshot(engine.At{})
	if err != nil {
		r.t.Fatal(err)
	}
	got, last := map[string]time.Time{}, e.Status().LastCommitTime
	for _, key := range []string{"k", "often", "stays", "last"} {
		rec, err := snap.Get(engine.RecordName{Agent: "a", Key: key})
		if err != nil {
			r.t.Fatal(err)
		}
		if !rec.ExpiresAt.IsZero() {
			got[key] = rec.ExpiresAt
		}
	}
	leases, _, err := e.Leases(context.Background(), engine.LeaseList{})
	if err != nil {
		r.t.Fatal(err)
	}
	for _, l := range leases {
		got[l.Name] = l.Deadline
	}
	for key, at := range want { // each on its own
		if got[key].Before(last) || exact && !at.IsZero() && !got[key].Equal(at) {
			r.t.Errorf("in %s %q lasts until %v, want %v", dir, key, got[key], at)
		}
	}
	if len(got) != len(want) {
		r.t.Errorf("in %s there are %v, want %v", dir, got, want)
	}
}
