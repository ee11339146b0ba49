package engine_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"statehouse.dev/statehouse/engine"
)

// The transaction table: races with one outcome, limits (G9), and what it forgets.

func beginIn(t *testing.T, w *world, timeout time.Duration) engine.TxnID {
	t.Helper()
	id, _, _, err := w.Begin(&timeout)
	if err != nil {
		t.Fatalf("Begin: %v", err)
	}
	return id
}

func stageIn(t *testing.T, w *world, id engine.TxnID, key, value string) {
	t.Helper()
	if err := w.Stage(id, engine.Write{Name: engine.RecordName{Agent: "a", Key: key}, Value: []byte(value)}); err != nil {
		t.Fatalf("Stage: %v", err)
	}
}

// permutations calls f with every order of steps.
func permutations(steps []string, f func([]string)) {
	var walk func(done, left []string)
	walk = func(done, left []string) {
		if len(left) == 0 {
			f(done)
		}
		for i := range left {
			rest := append(slices.Clone(left[:i]), left[i+1:]...)
			walk(append(slices.Clone(done), left[i]), rest)
		}
	}
	walk(nil, steps)
}

// TestOneOutcome runs commit, a second commit, abort, expiry and the writer in
// every order, over every kind of transaction, and holds each answer, whenever it
// was given, against what the transaction came to in the end (G6).
func TestOneOutcome(t *testing.T) {
	w := newWorld(t, 1, engine.Limits{})
	defer w.close()
	kinds := []string{"writes", "only reads", "in conflict", "against its precondition"}
	n := 0
	for _, kind := range kinds {
		permutations([]string{"commit", "commit again", "abort", "expire", "step"}, func(order []string) {
			n++
			r := race{t: t, w: w, name: kind + ": " + strings.Join(order, ", "), key: fmt.Sprint("key-", n)}
			r.run(kind, order)
		})
	}
	w.restart()
	w.close()
	w.verify("after all races")
	w.start()
}

// A race is one transaction and every definite answer that somebody got.
type race struct {
	t       *testing.T
	w       *world
	name    string
	key     string
	id      engine.TxnID
	commits []error // nil: committed
	results []engine.CommitResult
	aborts  []error
}

func (r *race) run(kind string, order []string) {
	r.id = beginIn(r.t, r.w, time.Minute)
	before := r.w.Published()
	if kind == "only reads" {
		if _, _, err := r.w.TxnGet(r.id, engine.RecordName{Agent: "a", Key: r.key}); err != nil {
			r.t.Fatalf("%s: TxnGet: %v", r.name, err)
		}
	} else {
		stageIn(r.t, r.w, r.id, r.key, `{"n":1}`)
	}
	var c engine.Conditions
	switch kind {
	case "against its precondition":
		c.Keys = []engine.KeyPrecondition{{Name: engine.RecordName{Agent: "a", Key: r.key}, Expected: 7}}
	case "in conflict":
		if _, _, _, err := r.w.TxnScan(context.Background(), r.id, engine.ScanOptions{Agent: engine.AgentName{Agent: "a"}}); err != nil {
			r.t.Fatalf("%s: TxnScan: %v", r.name, err)
		}
		other := engine.Write{Name: engine.RecordName{Agent: "a", Key: r.key + "-other"}, Value: []byte(`{}`)}
		if _, err := r.w.Transact(context.Background(), engine.TxnID("other-"+r.key), []engine.Write{other}, engine.Conditions{}); err != nil {
			r.t.Fatalf("%s: the other: %v", r.name, err)
		}
		before++
	}
	for _, step := range order {
		switch step {
		case "commit", "commit again":
			_ = r.w.abandon(func() error { return r.commit(c) })
		case "abort":
			_ = r.w.abandon(r.abort)
		case "expire":
			r.w.clock = r.w.clock.Add(2 * time.Minute)
			r.w.Tick()
		case "step":
			r.w.Step()
		}
	}
	r.w.Step()
	_ = r.commit(c)
	_ = r.abort()
	r.judge(int(r.w.Published() - before))
}

func (r *race) commit(c engine.Conditions) error {
	got, err := r.w.Commit(context.Background(), r.id, c)
	if !errors.Is(err, engine.ErrOutcomeUnknown) {
		r.commits, r.results = append(r.commits, err), append(r.results, got)
	}
	return err
}

func (r *race) abort() error {
	err := r.w.Abort(context.Background(), r.id)
	if !errors.Is(err, engine.ErrOutcomeUnknown) {
		r.aborts = append(r.aborts, err)
	}
	return err
}

// judge asks for the outcome and compares everything that was ever answered.
func (r *race) judge(events int) {
	r.t.Helper()
	o, err := r.w.Outcome(r.id)
	if err != nil {
		r.t.Fatalf("%s: Outcome: %v", r.name, err)
	}
	var commit, abort, stage error
	switch o.State {
	case engine.TxnCommitted:
		abort, stage = engine.ErrTxnCommitted, engine.ErrTxnCommitted
	case engine.TxnAborted:
		commit = kindOf(r.commits[0])
		if !slices.Contains([]error{engine.ErrTxnAborted, engine.ErrConflict, engine.ErrPrecondition}, commit) {
			r.t.Fatalf("G6: %s: aborted, and Commit answered %v", r.name, commit)
		}
		stage = commit // says why, too
	case engine.TxnExpired:
		commit, stage = engine.ErrTxnExpired, engine.ErrTxnExpired
	default:
		r.t.Fatalf("G6: %s: in the end it is %s", r.name, o.State)
	}
	for i, err := range r.commits {
		if !errors.Is(err, commit) || resultText(r.results[i]) != resultText(o.Result) {
			r.t.Errorf("G6: %s: %s, and a Commit answered %s, %v", r.name, outcomeText(o), resultText(r.results[i]), err)
		}
	}
	for _, err := range r.aborts {
		if !errors.Is(err, abort) {
			r.t.Errorf("G6: %s: %s, and an Abort answered %v", r.name, o.State, err)
		}
	}
	w := engine.Write{Name: engine.RecordName{Agent: "a", Key: r.key}, Tombstone: true}
	if err := r.w.Stage(r.id, w); !errors.Is(err, stage) {
		r.t.Errorf("G6: %s: %s, and Stage answered %v", r.name, o.State, err)
	}
	want := 0
	if o.State == engine.TxnCommitted && len(o.Result.Versions) > 0 {
		want = 1
	}
	if events != want {
		r.t.Errorf("G6: %s: %s, and the log got %d events", r.name, o.State, events)
	}
	if n := r.w.Status().OpenTxns; n != 0 {
		r.t.Errorf("G9: %s: %d transactions are left open", r.name, n)
	}
}

// kindOf is which of the engine's closed set of errors err is.
func kindOf(err error) error {
	var f *engine.Failure
	if errors.As(err, &f) {
		return f.Kind
	}
	return err
}

// TestRefusedCommitStaysOpen: a commit for which the queue has no room decides
// nothing; the transaction can be committed when it has (G9).
func TestRefusedCommitStaysOpen(t *testing.T) {
	w := newWorld(t, 1, engine.Limits{QueuedCommits: 2})
	defer w.close()
	id := beginIn(t, w, time.Minute)
	stageIn(t, w, id, "mine", `{"n":1}`)
	for i := range 2 {
		if err := w.abandon(func() error { return transactOne(w, engine.TxnID(fmt.Sprint("q", i)), "other") }); !errors.Is(err, engine.ErrOutcomeUnknown) {
			t.Fatalf("queueing: %v", err)
		}
	}
	if err := transactOne(w, "q2", "other"); !errors.Is(err, engine.ErrLimit) {
		t.Errorf("G9: the third in a queue of two: %v", err)
	}
	if _, err := w.Commit(context.Background(), id, engine.Conditions{}); !errors.Is(err, engine.ErrLimit) {
		t.Errorf("G9: a commit for which there is no room: %v", err)
	}
	if o, _ := w.Outcome(id); o.State != engine.TxnOpen {
		t.Errorf("G6: a transaction whose commit was not taken is %s", o.State)
	}
	w.Step()
	if r, err := w.Commit(context.Background(), id, engine.Conditions{}); err != nil || r.CommitTS != 3 {
		t.Errorf("G9: the commit with room: %s, %v", resultText(r), err)
	}
	if o, _ := w.Outcome("q2"); o.State != engine.TxnNeverSeen {
		t.Errorf("G9: what was refused is %s", o.State)
	}
}

func transactOne(w *world, id engine.TxnID, key string) error {
	_, err := w.Transact(context.Background(), id, []engine.Write{{Name: engine.RecordName{Agent: "a", Key: key}, Value: []byte(`{}`)}}, engine.Conditions{})
	return err
}

// TestAbandonedTransactions: 100,000 clients die after begin and write; after the
// timeout there is nothing left of them (G9).
func TestAbandonedTransactions(t *testing.T) {
	const clients, atOnce, valueBytes = 100_000, 10_000, 1024
	perTxn := 512 + valueBytes // with what a write holds beside its value
	w := newWorld(t, 1, engine.Limits{OpenTxns: atOnce, StagedBytes: atOnce * perTxn, FinishedTxns: 100})
	defer w.close()
	pad := bytes.Repeat([]byte("x"), valueBytes-len(`{"v":""}`))
	round := func(n int) {
		for range n {
			id := beginIn(t, w, 30*time.Second)
			value := fmt.Appendf(make([]byte, 0, valueBytes), `{"v":"%s"}`, pad)
			if err := w.Stage(id, engine.Write{Name: engine.RecordName{Agent: "a", Key: "key"}, Value: value}); err != nil {
				t.Fatalf("G9: the staged bytes of those that expired still count: %v", err)
			}
		}
		w.clock = w.clock.Add(30 * time.Second)
		w.Tick()
		if n := w.Status().OpenTxns; n != 0 {
			t.Fatalf("G9: %d transactions are open after their timeout", n)
		}
	}
	round(10)
	before := heapInUse()
	for range clients / atOnce {
		round(atOnce)
	}
	if grown := int64(heapInUse()) - int64(before); grown > atOnce*valueBytes/4 {
		t.Errorf("G9: %d KiB of heap are still held for transactions that expired", grown>>10)
	}
}

func heapInUse() uint64 {
	runtime.GC()
	runtime.GC() // what finalizers of the first let go
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// TestFailuresNameTheirCause: a conflict and a failed precondition say what is
// there now, so that a client can act without reading again.
func TestFailuresNameTheirCause(t *testing.T) {
	w := newWorld(t, 1, engine.Limits{})
	defer w.close()
	read, scanned := beginIn(t, w, time.Minute), beginIn(t, w, time.Minute)
	n := engine.RecordName{Agent: "a", Key: "k"}
	if _, _, err := w.TxnGet(read, n); err != nil {
		t.Fatal(err)
	}
	if _, _, _, err := w.TxnScan(context.Background(), scanned, engine.ScanOptions{Agent: n.AgentName(), Prefix: "k"}); err != nil {
		t.Fatal(err)
	}
	for i := range 2 {
		if err := transactOne(w, engine.TxnID(fmt.Sprint("t", i)), "k"); err != nil {
			t.Fatal(err)
		}
	}
	stageIn(t, w, read, "x", `{}`)
	stageIn(t, w, scanned, "x", `{}`)
	commit := func(id engine.TxnID) error {
		_, err := w.Commit(context.Background(), id, engine.Conditions{})
		return err
	}
	transact := func(c engine.Conditions) error {
		_, err := w.Transact(context.Background(), "refused", nil, c)
		return err
	}
	for _, c := range []struct {
		name    string
		err     error
		kind    error
		details map[string]string
	}{
		{"a key that was read", commit(read), engine.ErrConflict, map[string]string{"key": "k", "agent_id": "a", "current_version": "2", "seen_version": "0"}},
		{"a range that was scanned", commit(scanned), engine.ErrConflict, map[string]string{"agent_id": "a", "key": "k", "range": "k"}},
		{"a version", transact(engine.Conditions{Keys: []engine.KeyPrecondition{{Name: n, Expected: 1}}}), engine.ErrPrecondition,
			map[string]string{"key": "k", "expected_version": "1", "current_version": "2"}},
		{"a head", transact(engine.Conditions{Heads: []engine.HeadPrecondition{{Agent: n.AgentName(), Expected: 1}}}), engine.ErrTxnIDReused, nil},
	} {
		var f *engine.Failure
		if !errors.Is(c.err, c.kind) || !errors.As(c.err, &f) {
			t.Errorf("G3: %s: %v, want %v", c.name, c.err, c.kind)
			continue
		}
		for k, v := range c.details {
			if f.Details[k] != v {
				t.Errorf("G3: %s: %s is %q, want %q", c.name, k, f.Details[k], v)
			}
		}
	}
}
