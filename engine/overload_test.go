package engine_test

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"statehouse.dev/statehouse/engine"
)

// slowWorld is one whose writer takes few commits in a step.
func slowWorld(t *testing.T, lookups int) *world {
	w := newWorld(t, 1, engine.Limits{QueuedTime: time.Second})
	w.opts.Tuning.StepLookups = lookups
	w.restart()
	return w
}

// queued sends commits that wait for the writer, each of another key.
func (w *world) queued(share string, n int) {
	for i := range n {
		_ = w.abandon(func() error { return w.shared(share, engine.TxnID(fmt.Sprint(share, i)), fmt.Sprint(share, i)) })
	}
}

func (w *world) shared(share string, id engine.TxnID, key string) error {
	ws := []engine.Write{{Name: engine.RecordName{Agent: "a", Key: key}, Value: []byte(`{}`)}}
	_, err := w.Transact(context.Background(), id, ws, engine.Conditions{Share: share})
	return err
}

func (w *world) stateOf(id engine.TxnID) engine.TxnState {
	o, err := w.Outcome(id)
	if err != nil {
		w.t.Fatalf("outcome: %v", err)
	}
	return o.State
}

// retryAfter is what a refusal for load says.
func retryAfter(err error) time.Duration {
	var f *engine.Failure
	if !errors.As(err, &f) {
		return 0
	}
	ms, _ := strconv.Atoi(f.Details["retry_after_ms"])
	return time.Duration(ms) * time.Millisecond
}

// TestLateCommitsAreRefused: while the writer is behind, what has waited for long is refused,
// with a hint and for certain, and what comes now is committed in time.
func TestLateCommitsAreRefused(t *testing.T) {
	w := slowWorld(t, 1)
	defer w.close()
	w.queued("early", 3)
	w.Step() // leaves two: the writer is behind from now on
	w.clock = w.clock.Add(900 * time.Millisecond)
	w.queued("fresh", 1)
	w.passes = 300 * time.Millisecond
	err := transactOne(w, "mine", "mine") // late when its turn comes
	if d := retryAfter(err); !errors.Is(err, engine.ErrOverloaded) || inDoubt(err) || d < 250*time.Millisecond || d > 5*time.Second {
		t.Errorf("G9: after its turn: %v, in doubt %v, again in %v", err, inDoubt(err), d)
	}
	for w.Step() {
	}
	for id, want := range map[engine.TxnID]engine.TxnState{
		"early0": engine.TxnCommitted, "early1": engine.TxnNeverSeen, "early2": engine.TxnNeverSeen, "mine": engine.TxnNeverSeen,
	} {
		if got := w.stateOf(id); got != want {
			t.Errorf("G6: %s is %v, want %v", id, got, want)
		}
	}
	w.passes = 0
	if err := transactOne(w, "mine", "mine"); err != nil || w.stateOf("mine") != engine.TxnCommitted {
		t.Errorf("G6: sent again: %v", err)
	}
	if n := w.Reached()["QueuedTime"]; n < 3 {
		t.Errorf("%d were refused", n)
	}
}

// TestNothingIsLateWhileTheWriterKeepsUp: a burst that the writer digests harms nobody, however
// slow its disk.
func TestNothingIsLateWhileTheWriterKeepsUp(t *testing.T) {
	w := slowWorld(t, 1000)
	defer w.close()
	w.passes = time.Minute
	w.queued("burst", 50)
	if err := transactOne(w, "mine", "k"); err != nil {
		t.Error(err)
	}
	if got := w.stateOf("burst49"); got != engine.TxnCommitted {
		t.Errorf("the last of the burst is %v", got)
	}
}

// TestLateRetryOfACommitIsAnswered (G6): what was committed is not called refused, however long
// its retry has waited.
func TestLateRetryOfACommitIsAnswered(t *testing.T) {
	w := slowWorld(t, 1)
	defer w.close()
	if err := w.shared("x", "mine", "k"); err != nil {
		t.Fatal(err)
	}
	w.queued("early", 3)
	w.Step()
	w.clock = w.clock.Add(time.Second)
	w.passes = time.Second
	if err := w.shared("x", "mine", "k"); err != nil {
		t.Errorf("G6: a retry that is late: %v", err)
	}
}

// TestLateCopyIsInDoubt (G6): of two copies one is late, the other is committed in the same step.
func TestLateCopyIsInDoubt(t *testing.T) {
	w := slowWorld(t, 4)
	defer w.close()
	send := func() error { return w.shared("x", "mine", "k") }
	w.queued("early", 4)
	w.Step()
	w.clock = w.clock.Add(time.Second)
	_ = w.abandon(send)
	if err := send(); err != nil {
		t.Fatalf("G6: in time: %v", err)
	}
}

// TestCommitOfAClientThatHasGone (G6, G9): nothing is done for it, and its id is as if it had
// never come.
func TestCommitOfAClientThatHasGone(t *testing.T) {
	w := newWorld(t, 1, engine.Limits{})
	defer w.close()
	ctx, cancel := context.WithCancel(context.Background())
	id := beginIn(t, w, time.Hour)
	stageIn(t, w, id, "held", `{}`)
	ws := []engine.Write{{Name: engine.RecordName{Agent: "a", Key: "k"}, Value: []byte(`{}`)}}
	if err := w.abandon(func() error { _, err := w.Transact(ctx, "mine", ws, engine.Conditions{}); return err }); !errors.Is(err, engine.ErrOutcomeUnknown) {
		t.Fatal(err)
	}
	if err := w.abandon(func() error { _, err := w.Commit(ctx, id, engine.Conditions{}); return err }); !errors.Is(err, engine.ErrOutcomeUnknown) {
		t.Fatal(err)
	}
	cancel()
	for w.Step() {
	}
	if a, b := w.stateOf("mine"), w.stateOf(id); a != engine.TxnNeverSeen || b != engine.TxnOpen || w.Published() != 0 {
		t.Errorf("G6: the one-shot is %v, the other %v, published %d", a, b, w.Published())
	}
	if _, err := w.Commit(context.Background(), id, engine.Conditions{}); err != nil {
		t.Errorf("G6: sent again: %v", err)
	}
	if _, err := w.Transact(context.Background(), "mine", ws, engine.Conditions{}); err != nil {
		t.Errorf("G6: sent again: %v", err)
	}
	w.impatientWaiterLooksAgain(t)
}

// impatientWaiterLooksAgain: of two who commit a transaction the first gives up in the queue.
func (w *world) impatientWaiterLooksAgain(t *testing.T) {
	id := beginIn(t, w, time.Hour)
	stageIn(t, w, id, "both", `{}`)
	ctx, cancel := context.WithCancel(context.Background())
	_ = w.abandon(func() error { _, err := w.Commit(ctx, id, engine.Conditions{}); return err })
	cancel()
	if _, err := w.Commit(context.Background(), id, engine.Conditions{}); err != nil {
		t.Errorf("G6: the second, who waited for the first: %v", err)
	}
}

// TestSharesAreServedInTurn (G9): one who floods the queue waits for itself; another is served as
// if it were alone. Within a share the order stays.
func TestSharesAreServedInTurn(t *testing.T) {
	w := slowWorld(t, 6)
	defer w.close()
	w.queued("flood", 100)
	steps := 0
	for i := range 5 {
		id := engine.TxnID(fmt.Sprint("light-", i))
		_ = w.abandon(func() error { return w.shared("light", id, fmt.Sprint("light", i)) })
		for w.stateOf(id) != engine.TxnCommitted {
			w.Step()
			steps++
		}
	}
	if steps > 2*5 {
		t.Errorf("five commits of the light one took %d steps beside a flood", steps)
	}
	for w.Step() {
	}
	events, _, err := w.Replay(engine.Filter{AllAgents: true}, 0, w.Published(), 0)
	if err != nil {
		t.Fatal(err)
	}
	next := 0
	for _, ev := range events {
		number, ours := strings.CutPrefix(string(ev.TxnID), "flood")
		if ours && number != strconv.Itoa(next) {
			t.Fatalf("of one share %s is committed where %d is next", number, next)
		} else if ours {
			next++
		}
	}
	if next != 100 {
		t.Errorf("%d of 100 were committed", next)
	}
}
