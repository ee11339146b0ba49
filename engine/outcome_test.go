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

// Exactly once (G6): the same request sent again, at every moment at which a client
// may send it again.

// moments are ways from the first attempt to the second. again sends a copy that
// nobody waits for.
var moments = []struct {
	name string
	pass func(w *world, again func())
}{
	{"at once, into the same step", func(_ *world, again func()) { again(); again() }},
	{"between Plan and Settle", func(w *world, again func()) { w.Plan(); again(); w.Settle() }},
	{"in a later step", func(w *world, _ func()) { w.Step() }},
	{"after others", func(w *world, _ func()) {
		w.Step()
		for i := range 3 {
			_ = transactOne(w, engine.TxnID(fmt.Sprint("other-", i)), "k")
		}
	}},
	{"after a clean close", func(w *world, _ func()) { w.Step(); w.restart() }},
	{"after a flush and a close", func(w *world, _ func()) { w.Step(); _ = w.Compact(); w.restart() }},
	{"after a crash that keeps only what was synced", func(w *world, _ func()) { w.Step(); w.crash(simdisk.CrashOptions{}); w.start() }},
	{"after a crash that keeps everything", func(w *world, _ func()) { w.Step(); w.crash(simdisk.CrashOptions{Mode: simdisk.KeepAll}); w.start() }},
	{"after a crash before the sync, that keeps what was written", func(w *world, _ func()) {
		w.Plan()
		w.crash(simdisk.CrashOptions{Mode: simdisk.KeepAll})
		w.start()
	}},
	{"after a crash that took the first", func(w *world, _ func()) { w.crash(simdisk.CrashOptions{}); w.start() }},
	{"years later", func(w *world, _ func()) { w.Step(); w.clock = w.clock.AddDate(9, 0, 0); w.Tick() }},
	{"years earlier", func(w *world, _ func()) { w.Step(); w.clock = w.clock.AddDate(-9, 0, 0); w.Tick() }},
}

func transfer() []engine.Write {
	return []engine.Write{
		{Name: engine.RecordName{Agent: "b", Key: "k"}, Value: []byte(`{"n":1}`)},
		{Name: engine.RecordName{Agent: "a", Key: "k"}, Value: []byte(`{"n":2}`)},
		{Name: engine.RecordName{Agent: "a", Key: "gone"}, Tombstone: true},
	}
}

// TestRetryOfTransact: the first attempt's client gives up, so nobody but the log
// knows what it came to. The second takes effect only where the first did not, and
// a third answers the same.
func TestRetryOfTransact(t *testing.T) {
	for _, m := range moments {
		for _, id := range []engine.TxnID{"client-1", "01a206db-a9ff-7ce8-9a58-257adfc272ef"} {
			t.Run(m.name+"/"+string(id[:6]), func(t *testing.T) {
				w := newWorld(t, 1, engine.Limits{})
				defer w.close()
				send := func(metadata string) (engine.CommitResult, error) {
					return w.Transact(context.Background(), id, transfer(), engine.Conditions{Metadata: map[string]string{"attempt": metadata}})
				}
				retrySame(t, w, m.pass, id, send)
				other := transfer()[:2]
				if _, err := w.Transact(context.Background(), id, other, engine.Conditions{}); !errors.Is(err, engine.ErrTxnIDReused) {
					t.Errorf("G6: other operations under a used id: %v", err)
				}
			})
		}
	}
}

// retrySame sends three times and holds the answers to be one, of one event.
func retrySame(t *testing.T, w *world, pass func(*world, func()), id engine.TxnID, send func(string) (engine.CommitResult, error)) {
	t.Helper()
	if err := w.abandon(func() error { _, err := send("1"); return err }); !errors.Is(err, engine.ErrOutcomeUnknown) {
		t.Fatalf("G6: the first gave up and was answered %v", err)
	}
	pass(w, func() { _ = w.abandon(func() error { _, err := send("copy"); return err }) })
	second, err := send("2")
	if err != nil || len(second.Versions) != 3 {
		t.Fatalf("G6: the second: %s, %v", resultText(second), err)
	}
	w.restart()
	third, err := send("3")
	if err != nil || resultText(third) != resultText(second) {
		t.Errorf("G6: the second was answered %s, the third %s, %v", resultText(second), resultText(third), err)
	}
	if o, err := w.Outcome(id); err != nil || o.State != engine.TxnCommitted || resultText(o.Result) != resultText(second) {
		t.Errorf("G6: answered %s, the outcome is %s, %v", resultText(second), outcomeText(o), err)
	}
	events, _, err := w.Replay(engine.Filter{AllAgents: true}, 0, w.Published(), 0)
	mine := slices.DeleteFunc(events, func(ev engine.Event) bool { return ev.TxnID != id })
	if err != nil || len(mine) != 1 || mine[0].CommitTS != second.CommitTS {
		t.Errorf("G6: sent three times it left%s, %v", listText(mine, eventText), err)
	}
}

// TestRetryOfCommit: the same for an interactive transaction.
func TestRetryOfCommit(t *testing.T) {
	for _, m := range moments {
		t.Run(m.name, func(t *testing.T) {
			w := newWorld(t, 1, engine.Limits{})
			defer w.close()
			id := beginIn(t, w, time.Hour)
			for _, x := range transfer() {
				if err := w.Stage(id, x); err != nil {
					t.Fatal(err)
				}
			}
			send := func(metadata string) (engine.CommitResult, error) {
				return w.Commit(context.Background(), id, engine.Conditions{Metadata: map[string]string{"attempt": metadata}})
			}
			if strings.HasPrefix(m.name, "after a crash before") || strings.HasPrefix(m.name, "after a crash that took") {
				_ = w.abandon(func() error { _, err := send("1"); return err })
				m.pass(w, nil)
				tookOrKept(t, w, id, send)
				return
			}
			retrySame(t, w, m.pass, id, send)
		})
	}
}

// tookOrKept: a crash took the transaction, with all that was staged, or its commit
// is there and answers. The log says which.
func tookOrKept(t *testing.T, w *world, id engine.TxnID, send func(string) (engine.CommitResult, error)) {
	t.Helper()
	var commit error
	state := engine.TxnCommitted
	if w.Published() == 0 {
		commit, state = engine.ErrTxnNotFound, engine.TxnNeverSeen
	}
	if r, err := send("2"); !errors.Is(err, commit) || int(r.CommitTS) != int(w.Published()) {
		t.Errorf("G6: %d commits are there after a crash, and the retry answered %s, %v", w.Published(), resultText(r), err)
	}
	if o, err := w.Outcome(id); err != nil || o.State != state {
		t.Errorf("G6: %d commits are there after a crash, and the outcome is %s, %v", w.Published(), o.State, err)
	}
}

// TestOtherOperationsUnderOneID: what counts as the same, and what does not.
func TestOtherOperationsUnderOneID(t *testing.T) {
	w := newWorld(t, 1, engine.Limits{})
	defer w.close()
	name := engine.RecordName{Agent: "a", Key: "k"}
	one := engine.Version(1)
	base := []engine.Write{{Name: name, Value: []byte(`{"n":1}`)}}
	with := func(change func(*engine.Write)) []engine.Write {
		x := slices.Clone(base)
		change(&x[0])
		return x
	}
	for i, c := range []struct {
		name   string
		writes []engine.Write
		cond   engine.Conditions
		kind   error
	}{
		{"the same", base, engine.Conditions{}, nil},
		{"other metadata", base, engine.Conditions{Metadata: map[string]string{"a": "b"}}, nil},
		{"the default namespace, named", with(func(x *engine.Write) { x.Name.Namespace = engine.DefaultNamespace }), engine.Conditions{}, nil},
		{"white space in the value", with(func(x *engine.Write) { x.Value = []byte(` { "n" : 1 } `) }), engine.Conditions{}, nil},
		{"an earlier write of the key", append(with(func(x *engine.Write) { x.Value = []byte(`{}`) }), base...), engine.Conditions{}, nil},
		{"another value", with(func(x *engine.Write) { x.Value = []byte(`{"n":2}`) }), engine.Conditions{}, engine.ErrTxnIDReused},
		{"another key", with(func(x *engine.Write) { x.Name.Key = "l" }), engine.Conditions{}, engine.ErrTxnIDReused},
		{"another agent", with(func(x *engine.Write) { x.Name.Agent = "b" }), engine.Conditions{}, engine.ErrTxnIDReused},
		{"another namespace", with(func(x *engine.Write) { x.Name.Namespace = "n" }), engine.Conditions{}, engine.ErrTxnIDReused},
		{"a delete", with(func(x *engine.Write) { x.Tombstone = true }), engine.Conditions{}, engine.ErrTxnIDReused},
		{"one write more", append(slices.Clone(base), engine.Write{Name: engine.RecordName{Agent: "a", Key: "l"}, Tombstone: true}), engine.Conditions{}, engine.ErrTxnIDReused},
		{"an expected version", with(func(x *engine.Write) { x.Expected = &one }), engine.Conditions{}, engine.ErrTxnIDReused},
		{"a key's precondition", base, engine.Conditions{Keys: []engine.KeyPrecondition{{Name: name}}}, engine.ErrTxnIDReused},
		{"a head's precondition", base, engine.Conditions{Heads: []engine.HeadPrecondition{{Agent: name.AgentName()}}}, engine.ErrTxnIDReused},
		{"only a precondition", nil, engine.Conditions{Keys: []engine.KeyPrecondition{{Name: name}}}, engine.ErrTxnIDReused},
	} {
		id := engine.TxnID(fmt.Sprint("t", i))
		first, err := w.Transact(context.Background(), id, base, engine.Conditions{})
		if err != nil {
			t.Fatal(err)
		}
		got, err := w.Transact(context.Background(), id, c.writes, c.cond)
		if !errors.Is(err, c.kind) || err == nil && resultText(got) != resultText(first) {
			t.Errorf("G6: %s under a used id: %s, %v, want %v", c.name, resultText(got), err, c.kind)
		}
	}
}

// TestWhatWaitsIsOpen: a client that gave up and asks what became of its commit must
// not hear "never seen" of what is about to be there, or it would do it again under
// another id. A copy of what has ended does not open it again.
func TestWhatWaitsIsOpen(t *testing.T) {
	w := newWorld(t, 1, engine.Limits{})
	defer w.close()
	is := func(when string, want engine.TxnState) {
		t.Helper()
		if o, err := w.Outcome("mine"); err != nil || o.State != want {
			t.Errorf("G6: %s the outcome is %s, %v, not %s", when, o.State, err, want)
		}
	}
	is("before it is sent", engine.TxnNeverSeen)
	send := func() { _ = w.abandon(func() error { return transactOne(w, "mine", "k") }) }
	send()
	is("in the queue", engine.TxnOpen)
	w.Plan()
	is("between Plan and Settle", engine.TxnOpen)
	w.Settle()
	is("after Settle", engine.TxnCommitted)
	send()
	is("with a copy in the queue", engine.TxnCommitted)
	w.Step()
	is("after the copy", engine.TxnCommitted)
	w.crash(simdisk.CrashOptions{})
	w.start()
	is("after a crash", engine.TxnCommitted)
}

// TestRefusalStays: a Transact that was refused is not applied when a copy of it
// comes late, even if it would pass by then: its client has been told that nothing
// was applied. The same for one that only had preconditions.
func TestRefusalStays(t *testing.T) {
	w := newWorld(t, 1, engine.Limits{})
	defer w.close()
	one := engine.Version(1)
	guarded := []engine.Write{{Name: engine.RecordName{Agent: "a", Key: "k"}, Value: []byte(`{"n":1}`), Expected: &one}}
	check := engine.Conditions{Keys: []engine.KeyPrecondition{{Name: engine.RecordName{Agent: "a", Key: "k"}}}}
	send := func() error {
		_, err := w.Transact(context.Background(), "late", guarded, engine.Conditions{})
		return err
	}
	if err := send(); !errors.Is(err, engine.ErrPrecondition) {
		t.Fatalf("G3: %v", err)
	}
	held, err := w.Transact(context.Background(), "held", nil, check)
	if err != nil || held.CommitTS != 0 {
		t.Fatalf("G3: a precondition that holds: %s, %v", resultText(held), err)
	}
	if err := transactOne(w, "other", "k"); err != nil {
		t.Fatal(err)
	}
	if err := send(); !errors.Is(err, engine.ErrPrecondition) {
		t.Errorf("G6: refused first and %v when it came again", err)
	}
	if again, err := w.Transact(context.Background(), "held", nil, check); err != nil || resultText(again) != resultText(held) {
		t.Errorf("G6: held at %s, and answered %s, %v when it came again", resultText(held), resultText(again), err)
	}
	if _, err := w.Transact(context.Background(), "late", guarded[:1:1], check); !errors.Is(err, engine.ErrTxnIDReused) {
		t.Errorf("G6: something else under a refused id: %v", err)
	}
	for id, want := range map[engine.TxnID]engine.TxnState{"late": engine.TxnAborted, "held": engine.TxnCommitted} { // in any order
		if o, err := w.Outcome(id); err != nil || o.State != want {
			t.Errorf("G6: the outcome of %s is %s, %v", id, outcomeText(o), err)
		}
	}
}

// TestRefusalStaysInOneStep: both copies and what would let the second pass, in one
// step.
func TestRefusalStaysInOneStep(t *testing.T) {
	w := newWorld(t, 1, engine.Limits{})
	defer w.close()
	one := engine.Version(1)
	guarded := []engine.Write{{Name: engine.RecordName{Agent: "a", Key: "k"}, Value: []byte(`{"n":1}`), Expected: &one}}
	send := func() error {
		_, err := w.Transact(context.Background(), "late", guarded, engine.Conditions{})
		return err
	}
	_ = w.abandon(send)
	_ = w.abandon(func() error { return transactOne(w, "other", "k") })
	if err := send(); !errors.Is(err, engine.ErrPrecondition) || w.Published() != 1 {
		t.Errorf("G6: refused first, and in the same step %v; %d commits", err, w.Published())
	}
}
