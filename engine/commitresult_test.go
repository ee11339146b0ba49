package engine_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"statehouse.dev/statehouse/engine"
)

// TestVersionsInOneOrder: a commit answers its versions agent by agent, an agent's in
// the order first staged, the first time and whenever it is asked again.
func TestVersionsInOneOrder(t *testing.T) {
	w := newWorld(t, 1, engine.Limits{})
	id := beginIn(t, w, time.Hour)
	for _, n := range []engine.RecordName{
		{Agent: "b", Key: "z"}, {Namespace: "other", Agent: "a", Key: "k"}, {Agent: "a", Key: "y"}, {Agent: "b", Key: "a"}, {Agent: "a", Key: "x"}, {Agent: "b", Key: "z"},
	} {
		if err := w.Stage(id, engine.Write{Name: n, Value: []byte(`{}`)}); err != nil {
			t.Fatal(err)
		}
	}
	want := []string{"default/a/y", "default/a/x", "default/b/z", "default/b/a", "other/a/k"}
	commit := func() (engine.CommitResult, error) { return w.Commit(context.Background(), id, engine.Conditions{}) }
	outcome := func() (engine.CommitResult, error) { o, err := w.Outcome(id); return o.Result, err }
	check := func(when string, ask func() (engine.CommitResult, error)) {
		t.Helper()
		r, err := ask()
		var got []string
		for _, v := range r.Versions {
			got = append(got, fmt.Sprintf("%s/%s/%s", v.Name.Namespace, v.Name.Agent, v.Name.Key))
		}
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("G6: %s: %v, %v, not %v", when, got, err, want)
		}
	}
	check("the commit", commit)
	check("the commit again", commit)
	check("the outcome", outcome)
	w.restart()
	check("the commit after a restart", commit)
	check("the outcome after a restart", outcome)
	w.close()
}

// TestEmptyCommitNeedsItsTime: the commit of a transaction that only read tells when the
// commit it read at was made. When that cannot be read it says so, and not "never".
func TestEmptyCommitNeedsItsTime(t *testing.T) {
	w := newWorld(t, 1, engine.Limits{})
	if err := transactOne(w, "first", "k"); err != nil {
		t.Fatal(err)
	}
	if err := w.Compact(); err != nil {
		t.Fatal(err)
	}
	w.opts.Tuning.CacheBytes = 1 // nothing that is read stays in memory
	w.restart()
	id := beginIn(t, w, time.Hour)
	commit := func() (engine.CommitResult, error) { return w.Commit(context.Background(), id, engine.Conditions{}) }
	if err := w.disk.Arm(mustFault("read-error file=sstable count=forever")); err != nil {
		t.Fatal(err)
	}
	r, err := commit()
	if len(w.disk.Injected()) == 0 {
		t.Fatal("nothing was read")
	}
	if !errors.Is(err, engine.ErrStorage) || inDoubt(err) {
		t.Errorf("G8: an empty commit whose time cannot be read: %s, %v", resultText(r), err)
	}
	w.disk.Heal()
	if r, err := commit(); err != nil || r.CommitTS != 1 || r.CommitTime.IsZero() {
		t.Errorf("G6: the commit once it can be read: %s, %v", resultText(r), err)
	}
	w.close()
}
