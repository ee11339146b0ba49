package engine_test

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"statehouse.dev/statehouse/engine"
	"statehouse.dev/statehouse/sim/simdisk"
)

// How long outcomes are kept, and what an id answers that is older.

// idMadeAt makes a UUIDv7 as a client would at that time.
func idMadeAt(at time.Time, n int) engine.TxnID {
	var u [16]byte
	ms := uint64(at.UnixMilli())
	binary.BigEndian.PutUint64(u[:8], ms<<16|0x7000)
	binary.BigEndian.PutUint64(u[8:], 1<<63|uint64(n))
	h := hex.EncodeToString(u[:])
	return engine.TxnID(h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:])
}

const pruneCount, pruneAge = 3, 10 * time.Hour

// pruneWorld has n commits an hour apart, with ids made when they were sent, and
// the result of each.
func pruneWorld(t *testing.T, n int) (*world, []engine.TxnID, []engine.CommitResult) {
	t.Helper()
	w := newWorld(t, 1, engine.Limits{OutcomeCount: pruneCount, OutcomeAge: pruneAge})
	var ids []engine.TxnID
	var results []engine.CommitResult
	for i := range n {
		w.clock = w.clock.Add(time.Hour)
		ids = append(ids, idMadeAt(w.clock, i))
		r, err := sendAgain(w, ids[i])
		if err != nil {
			t.Fatalf("G6: a fresh id: %v", err)
		}
		results = append(results, r)
	}
	return w, ids, results
}

func sendAgain(w *world, id engine.TxnID) (engine.CommitResult, error) {
	return w.Transact(context.Background(), id, []engine.Write{{Name: engine.RecordName{Agent: "a", Key: "k"}, Value: []byte(`{}`)}}, engine.Conditions{})
}

// TestOutcomesAreKept: for the age and for the count, whichever keeps more; what
// is kept is answered as it was first, what is not is refused and not applied again.
func TestOutcomesAreKept(t *testing.T) {
	w, ids, results := pruneWorld(t, 30)
	defer w.close()
	for _, when := range []string{"at once", "after a restart", "after a crash"} {
		switch when {
		case "after a restart":
			w.restart()
		case "after a crash":
			w.crash(simdisk.CrashOptions{})
			w.start()
		}
		head := w.Published()
		kept := 0
		for i, id := range ids {
			r, err := sendAgain(w, id)
			o, oerr := w.Outcome(id)
			age := w.clock.Sub(results[i].CommitTime)
			switch {
			case err == nil && o.State == engine.TxnTooOld && when == "at once":
				// Dropped from the store, and the planner happens to remember it.
				if resultText(r) != resultText(results[i]) {
					t.Errorf("G6: %s commit %d answers %s, not %s", when, i+1, resultText(r), resultText(results[i]))
				}
			case err == nil:
				kept++
				if resultText(r) != resultText(results[i]) || o.State != engine.TxnCommitted || resultText(o.Result) != resultText(r) {
					t.Errorf("G6: %s commit %d answers %s and has outcome %s, not %s", when, i+1, resultText(r), outcomeText(o), resultText(results[i]))
				}
			case !errors.Is(err, engine.ErrTxnTooOld) || oerr != nil || o.State != engine.TxnTooOld:
				t.Errorf("G6: %s commit %d answers %v and has outcome %s, %v", when, i+1, err, o.State, oerr)
			case age < pruneAge || i >= len(ids)-pruneCount:
				t.Errorf("G6: %s commit %d of %d, %v old, is no longer answered", when, i+1, len(ids), age)
			}
		}
		if w.Published() != head {
			t.Fatalf("G6: %s %d retries were applied again", when, w.Published()-head)
		}
		if kept > int(pruneAge/time.Hour)+4 { // they are dropped with the commits that follow
			t.Errorf("G9: %s %d outcomes are kept", when, kept)
		}
	}
	w.close()
	if r := w.verify("after pruning"); r.Outcomes >= uint64(r.Commits) || r.Commits != 30 {
		t.Errorf("G9: %d outcomes are kept of %d commits", r.Outcomes, r.Commits)
	}
	w.start()
}

// TestDroppedOutcomeOnAFullDisk: whoever sends a commit again whose outcome was dropped is not
// told that nothing was applied, because no commit is taken now.
func TestDroppedOutcomeOnAFullDisk(t *testing.T) {
	w, ids, _ := pruneWorld(t, 30)
	defer w.close()
	fillByOthers(t, w.disk, 8<<10)
	w.Tick()
	var f *engine.Failure
	if _, err := sendAgain(w, ids[0]); !errors.As(err, &f) || !f.InDoubt && !errors.Is(err, engine.ErrTxnTooOld) {
		t.Errorf("G6: a commit of long ago, sent again on a full disk, answers %v, not in doubt", err)
	}
	if err := w.Refused(ids[0], engine.ErrLimit); !errors.As(err, &f) || !f.InDoubt {
		t.Errorf("G6: refused before it was looked at, it answers %v, not in doubt", err)
	}
	w.clock = w.clock.Add(time.Minute)
	if _, err := sendAgain(w, idMadeAt(w.clock, 99)); !errors.Is(err, engine.ErrDiskFull) || !errors.As(err, &f) || f.InDoubt {
		t.Errorf("a new commit on a full disk answers %v", err)
	}
}

// TestCountKeepsOldOutcomes: in a quiet store outcomes stay for years.
func TestCountKeepsOldOutcomes(t *testing.T) {
	w, ids, results := pruneWorld(t, pruneCount)
	defer w.close()
	w.clock = w.clock.AddDate(5, 0, 0)
	for i, id := range ids {
		if r, err := sendAgain(w, id); err != nil || resultText(r) != resultText(results[i]) {
			t.Errorf("G6: five years later commit %d of %d answers %s, %v", i+1, pruneCount, resultText(r), err)
		}
	}
}

// TestAgeKeepsManyOutcomes: and in a busy one they stay for the age.
func TestAgeKeepsManyOutcomes(t *testing.T) {
	w := newWorld(t, 1, engine.Limits{OutcomeCount: 1, OutcomeAge: pruneAge})
	defer w.close()
	var ids []engine.TxnID
	for i := range 40 {
		ids = append(ids, idMadeAt(w.clock, i))
		if _, err := sendAgain(w, ids[i]); err != nil {
			t.Fatal(err)
		}
		w.clock = w.clock.Add(pruneAge / 50)
	}
	for i, id := range ids {
		if r, err := sendAgain(w, id); err != nil || int(r.CommitTS) != i+1 {
			t.Errorf("G6: within the age commit %d answers %s, %v", i+1, resultText(r), err)
		}
	}
}

// TestKeptOutcomeIsAnsweredThoughItsIDIsOld: a client may have made its id long
// before the commit. As long as the outcome is there, that does not matter.
func TestKeptOutcomeIsAnsweredThoughItsIDIsOld(t *testing.T) {
	w, _, _ := pruneWorld(t, 20)
	defer w.close()
	id := idMadeAt(w.clock, 100)
	w.clock = w.clock.Add(5 * time.Hour)
	first, err := sendAgain(w, id)
	if err != nil {
		t.Fatalf("G6: an id that is five hours old: %v", err)
	}
	for i := range 9 {
		w.clock = w.clock.Add(time.Hour)
		if _, err := sendAgain(w, idMadeAt(w.clock, 200+i)); err != nil {
			t.Fatal(err)
		}
		if again, err := sendAgain(w, id); err != nil || resultText(again) != resultText(first) {
			t.Fatalf("G6: after %v, with %v to keep it, %s is answered by %s, %v", w.clock.Sub(first.CommitTime), pruneAge, resultText(first), resultText(again), err)
		}
	}
}

// TestShortAgeTakesFreshIDs: however short outcomes are kept, an id made now is not
// too old.
func TestShortAgeTakesFreshIDs(t *testing.T) {
	for _, age := range []time.Duration{time.Millisecond, time.Second, time.Minute, 30 * time.Minute, time.Hour, 2 * time.Hour} {
		w := newWorld(t, 1, engine.Limits{OutcomeCount: 1, OutcomeAge: age})
		for i := range 20 {
			w.clock = w.clock.Add(age)
			if _, err := sendAgain(w, idMadeAt(w.clock, i)); err != nil {
				t.Errorf("G6: kept for %v, a fresh id answers %v", age, err)
				break
			}
		}
		w.close()
	}
}

// TestIDAheadOfItsCommit: a client's clock runs ahead, or ours is set back. When
// its outcome is due, such an id looks like one that was made since.
func TestIDAheadOfItsCommit(t *testing.T) {
	w := newWorld(t, 1, engine.Limits{OutcomeCount: 1, OutcomeAge: time.Hour})
	defer w.close()
	id := idMadeAt(w.clock.Add(24*time.Hour), 0)
	first, err := sendAgain(w, id)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 10 {
		w.clock = w.clock.Add(2 * time.Hour)
		if _, err := sendAgain(w, idMadeAt(w.clock, 1+i)); err != nil {
			t.Fatalf("G6: a fresh id: %v", err)
		}
	}
	w.restart() // the planner has it in its cache no more
	if o, err := w.Outcome(id); err != nil || o.State != engine.TxnCommitted {
		t.Errorf("G6: a commit whose id is ahead of it is %s, %v", o.State, err)
	}
	if r, err := sendAgain(w, id); err != nil || resultText(r) != resultText(first) {
		t.Errorf("G6: sent again it answers %s, %v, not %s", resultText(r), err, resultText(first))
	}
	w.close()
	if r := w.verify("with an id ahead of its commit"); r.Outcomes >= uint64(r.Commits) {
		t.Errorf("G9: %d outcomes are kept of %d commits", r.Outcomes, r.Commits)
	}
	w.start()
}

// TestIDWithoutTime: of an id that tells no time nobody can say whether it is old.
// It is let through, and told to be so by its outcome before.
func TestIDWithoutTime(t *testing.T) {
	w := newWorld(t, 1, engine.Limits{OutcomeCount: 1, OutcomeAge: time.Hour})
	defer w.close()
	if o, err := w.Outcome("client-0"); err != nil || o.State != engine.TxnNeverSeen {
		t.Errorf("G6: before anything was dropped an unknown id is %s, %v", o.State, err)
	}
	for i := range 10 {
		if _, err := sendAgain(w, engine.TxnID(fmt.Sprint("client-", i))); err != nil {
			t.Fatal(err)
		}
		w.clock = w.clock.Add(2 * time.Hour)
	}
	w.restart() // the planner has them in its cache no more
	if o, err := w.Outcome("client-0"); err != nil || o.State != engine.TxnTooOld {
		t.Errorf("G6: an id whose outcome was dropped is %s, %v", o.State, err)
	}
	if r, err := sendAgain(w, "client-0"); err != nil || r.CommitTS != 11 {
		t.Errorf("G6: an id that tells no time is not let through: %s, %v", resultText(r), err)
	}
	if r, err := sendAgain(w, "client-0"); err != nil || r.CommitTS != 11 {
		t.Errorf("G6: nor answered: %s, %v", resultText(r), err)
	}
	w.close()
	w.verify("with an id that was used twice")
	w.start()
	for i := range 10 { // and the second use is dropped in its turn
		w.clock = w.clock.Add(2 * time.Hour)
		if _, err := sendAgain(w, engine.TxnID(fmt.Sprint("later-", i))); err != nil {
			t.Fatal(err)
		}
	}
	w.close()
	w.verify("with an id that was used and dropped twice")
	w.start()
}

// TestPruningSurvivesACrash: what was dropped and how far go together, whatever a
// crash keeps of the step that dropped it.
func TestPruningSurvivesACrash(t *testing.T) {
	for seed := range uint64(12) {
		w, ids, results := pruneWorld(t, 16)
		w.clock = w.clock.Add(pruneAge)
		_ = w.abandon(func() error { return transactOne(w, "last", "k") })
		w.Plan()
		w.crash(simdisk.CrashOptions{Mode: simdisk.CrashModes()[seed%6], Seed: seed})
		w.verify("after a crash in a step that drops outcomes")
		w.start()
		for i, id := range ids {
			head := w.Published()
			r, err := sendAgain(w, id)
			if err == nil && resultText(r) != resultText(results[i]) || err != nil && !errors.Is(err, engine.ErrTxnTooOld) || w.Published() != head {
				t.Errorf("G6: commit %d answers %s, %v", i+1, resultText(r), err)
			}
		}
		w.close()
	}
}

// TestDroppedIsDroppedFromMemory: an outcome that is dropped is answered one way by
// GetTransaction and by a copy of the commit, in the life that committed it, too.
func TestDroppedIsDroppedFromMemory(t *testing.T) {
	w, ids, results := pruneWorld(t, 30)
	defer w.close()
	dropped := 0
	for i, id := range ids {
		o, err := w.Outcome(id)
		if err != nil {
			t.Fatal(err)
		}
		r, again := sendAgain(w, id)
		switch o.State {
		case engine.TxnTooOld:
			dropped++
			if !errors.Is(again, engine.ErrTxnTooOld) {
				t.Errorf("G6: commit %d is too old to know, and a copy of it is answered %s, %v", i+1, resultText(r), again)
			}
		case engine.TxnCommitted:
			if again != nil || resultText(r) != resultText(results[i]) {
				t.Errorf("G6: commit %d is known, and a copy of it is answered %s, %v", i+1, resultText(r), again)
			}
		default:
			t.Errorf("G6: commit %d is %s", i+1, o.State)
		}
	}
	if dropped < 10 {
		t.Errorf("%d of 30 outcomes were dropped", dropped)
	}
}

// TestClockBehindIsNamed: an id that is new, made by a clock that is behind, is refused
// as one that could be a repeat. The refusal says what another id would not mend.
func TestClockBehindIsNamed(t *testing.T) {
	w, _, _ := pruneWorld(t, 30)
	defer w.close()
	const behind = 40*time.Hour + 1500*time.Millisecond
	_, err := sendAgain(w, idMadeAt(w.clock.Add(-behind), 99))
	var f *engine.Failure
	if !errors.As(err, &f) || f.Kind != engine.ErrTxnTooOld {
		t.Fatalf("G6: an id of 40 hours ago: %v", err)
	}
	made, now := w.clock.Add(-behind).Format("2006-01-02T15:04:05.000Z"), w.clock.Format("2006-01-02T15:04:05.000Z")
	for _, says := range []string{"40h0m1.5s", made, now, "set the clock"} {
		if !strings.Contains(f.Message, says) {
			t.Errorf("%q does not say %q", f.Message, says)
		}
	}
	want := map[string]string{"id_time": made, "daemon_time": now, "behind_ms": "144001500"}
	if !maps.Equal(f.Details, want) {
		t.Errorf("the details are %v, not %v", f.Details, want)
	}
}
