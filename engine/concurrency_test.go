package engine_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"statehouse.dev/statehouse/engine"
)

// The engine as production runs it: Run in a goroutine of its own, and clients in
// many. Everything else is tested by stepping; these are for the race detector and
// for what only real concurrency mixes.

// running opens an engine in memory with its loop on, for the length of a test. The
// context ends when the engine halts, or after half a minute: nobody hangs.
func running(t *testing.T, l engine.Limits) (*engine.Engine, context.Context) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	env := engine.MemoryEnv(func(err error) {
		t.Errorf("G7: halted: %v", err)
		cancel()
	}, nil)
	e, err := engine.Open(env, engine.Options{Dir: "data", Limits: l})
	if err != nil {
		t.Fatal(err)
	}
	loop, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { e.Run(loop) })
	t.Cleanup(func() {
		cancel()
		stop()
		running.Wait()
		if err := e.Close(); err != nil {
			t.Errorf("closing: %v", err)
		}
		if _, err := engine.Verify(env, "data", nil); err != nil {
			t.Errorf("G8: %v", err)
		}
	})
	return e, ctx
}

// together runs f in n goroutines that start at one moment.
func together(n int, f func(i int)) {
	var wg sync.WaitGroup
	start := make(chan struct{})
	for i := range n {
		wg.Go(func() {
			<-start
			f(i)
		})
	}
	close(start)
	wg.Wait()
}

var counterName = engine.RecordName{Agent: "shared", Key: "counter"}

func counterValue(rec engine.Record) (n int) {
	if rec.Exists {
		_, _ = fmt.Sscanf(string(rec.Value), `{"n":%d}`, &n)
	}
	return n
}

// addInteractive adds one by reading and writing in a transaction.
func addInteractive(ctx context.Context, e *engine.Engine) error {
	id, _, _, err := e.Begin(nil)
	if err != nil {
		return err
	}
	rec, _, err := e.TxnGet(id, counterName)
	if err == nil {
		err = e.Stage(id, engine.Write{Name: counterName, Value: fmt.Appendf(nil, `{"n":%d}`, counterValue(rec)+1)})
	}
	if err == nil {
		_, err = e.Commit(ctx, id, engine.Conditions{})
	}
	return err
}

// addExpecting adds one by a blind write that expects the version it read.
func addExpecting(ctx context.Context, e *engine.Engine, id engine.TxnID) error {
	s, err := e.Snapshot(engine.At{})
	if err != nil {
		return err
	}
	rec, err := s.Get(counterName)
	if err != nil {
		return err
	}
	w := engine.Write{Name: counterName, Value: fmt.Appendf(nil, `{"n":%d}`, counterValue(rec)+1), Expected: &rec.Version}
	_, err = e.Transact(ctx, id, []engine.Write{w}, engine.Conditions{})
	return err
}

// TestCounter: sixteen clients add to one record, half of them in transactions and
// half by expected versions, and others watch. It counts exactly what succeeded
// (G3), and every watcher sees every commit once and in order (G5).
func TestCounter(t *testing.T) {
	const clients, each, watchers = 16, 40, 3
	e, ctx := running(t, engine.Limits{})
	var won, lost atomic.Int64
	var watching sync.WaitGroup
	for range watchers {
		watching.Go(func() { watchCounter(ctx, t, e, clients*each) })
	}
	together(clients, func(c int) {
		for done, try := 0, 0; done < each && ctx.Err() == nil; try++ {
			var err error
			if c%2 == 0 {
				err = addInteractive(ctx, e)
			} else {
				err = addExpecting(ctx, e, engine.TxnID(fmt.Sprintf("c%d-%d", c, try)))
			}
			switch {
			case err == nil:
				done++
				won.Add(1)
			case errors.Is(err, engine.ErrConflict) || errors.Is(err, engine.ErrPrecondition):
				lost.Add(1)
			default:
				t.Errorf("G3: adding: %v", err)
				return
			}
		}
	})
	watching.Wait()
	s, err := e.Snapshot(engine.At{})
	if err != nil {
		t.Fatal(err)
	}
	rec, err := s.Get(counterName)
	if err != nil || int64(counterValue(rec)) != won.Load() || int64(rec.Version) != won.Load() || int64(e.Published()) != won.Load() {
		t.Errorf("G3: %d additions succeeded; the counter is %s at version %d after %d commits (%v)", won.Load(), rec.Value, rec.Version, e.Published(), err)
	}
	if n := e.Status().OpenTxns; n != 0 {
		t.Errorf("G9: %d transactions are left open", n)
	}
	t.Logf("%d won, %d lost", won.Load(), lost.Load())
}

// watchCounter follows the log until it has seen n commits.
func watchCounter(ctx context.Context, t *testing.T, e *engine.Engine, n int) {
	w, err := e.Watch(engine.Filter{Agent: counterName.Agent})
	if err != nil {
		t.Error(err)
		return
	}
	defer w.Close()
	for cursor := engine.Cursor(0); int(cursor) < n; {
		last := w.Published()
		if cursor == last {
			if err := w.Wait(ctx); err != nil {
				t.Errorf("G5: waiting behind %d: %v", cursor, err)
				return
			}
		}
		for cursor < last {
			events, next, err := e.Replay(engine.Filter{Agent: counterName.Agent}, cursor, last, 7)
			if err != nil {
				t.Errorf("G5: replay behind %d: %v", cursor, err)
				return
			}
			for _, ev := range events {
				cursor++
				if want := fmt.Sprintf(`{"n":%d}`, cursor); ev.CommitTS != cursor || len(ev.Ops) != 1 || string(ev.Ops[0].Value) != want {
					t.Errorf("G5: the watcher sees %s as commit %d", eventText(ev), cursor)
					return
				}
			}
			if next != cursor {
				t.Errorf("G5: the cursor is %d after commit %d", next, cursor)
				return
			}
		}
	}
}

// TestManyCommitsOfOneTransaction: a hundred Commits at once are one event and one
// answer (G6), and so are a hundred Transacts under one id.
func TestManyCommitsOfOneTransaction(t *testing.T) {
	e, ctx := running(t, engine.Limits{})
	for round := range 10 {
		id, _, _, err := e.Begin(nil)
		if err != nil {
			t.Fatal(err)
		}
		w := engine.Write{Name: engine.RecordName{Agent: "a", Key: "k"}, Value: fmt.Appendf(nil, `{"n":%d}`, round)}
		if err := e.Stage(id, w); err != nil {
			t.Fatal(err)
		}
		before := e.Published()
		oneAnswer(t, e, before+1, func() (engine.CommitResult, error) { return e.Commit(ctx, id, engine.Conditions{}) })
		oneAnswer(t, e, before+2, func() (engine.CommitResult, error) {
			return e.Transact(ctx, engine.TxnID(fmt.Sprint("round-", round)), []engine.Write{w}, engine.Conditions{})
		})
	}
}

func oneAnswer(t *testing.T, e *engine.Engine, want engine.CommitTS, send func() (engine.CommitResult, error)) {
	t.Helper()
	answers := make([]string, 100)
	together(len(answers), func(i int) {
		r, err := send()
		answers[i] = fmt.Sprint(resultText(r), err)
		if err != nil || r.CommitTS != want {
			t.Errorf("G6: one of a hundred was answered %s, %v; want commit %d", resultText(r), err, want)
		}
	})
	if slices.Sort(answers); len(slices.Compact(answers)) != 1 || e.Published() != want {
		t.Errorf("G6: a hundred copies left commit %d and the answers %q, want commit %d and one", e.Published(), slices.Compact(answers), want)
	}
}

// TestCommitRacesAbort: whoever wins, all three say the same (G6).
func TestCommitRacesAbort(t *testing.T) {
	e, ctx := running(t, engine.Limits{})
	ends := map[string]int{}
	for round := range 200 {
		id, _, _, err := e.Begin(nil)
		if err == nil {
			err = e.Stage(id, engine.Write{Name: engine.RecordName{Agent: "a", Key: "k"}, Value: []byte(`{}`)})
		}
		if err != nil {
			t.Fatal(err)
		}
		var commit, abort error
		together(2, func(i int) {
			if i == round%2 { // the last one started mostly runs first
				_, commit = e.Commit(ctx, id, engine.Conditions{})
			} else {
				abort = e.Abort(ctx, id)
			}
		})
		o, err := e.Outcome(id)
		all := fmt.Sprintf("%v / %v / %s", kindOf(commit), kindOf(abort), o.State)
		ends[all]++
		committed := commit == nil && errors.Is(abort, engine.ErrTxnCommitted) && o.State == engine.TxnCommitted
		aborted := errors.Is(commit, engine.ErrTxnAborted) && abort == nil && o.State == engine.TxnAborted
		if err != nil || !committed && !aborted {
			t.Fatalf("G6: commit, abort and outcome say %s, %v", all, err)
		}
	}
	t.Log(ends)
}

// TestReadersSeeWholeCommits: a writer keeps two agents' records equal, and no
// reader, in whatever way it reads, ever sees them differ (G2).
func TestReadersSeeWholeCommits(t *testing.T) {
	e, ctx := running(t, engine.Limits{})
	left, right := engine.RecordName{Agent: "left", Key: "k"}, engine.RecordName{Namespace: "other", Agent: "right", Key: "k"}
	var done atomic.Bool
	var readers sync.WaitGroup
	for range 4 {
		readers.Go(func() {
			for !done.Load() {
				s, err := e.Snapshot(engine.At{})
				if err != nil {
					t.Errorf("G2: %v", err)
					return
				}
				a, errA := s.Get(left)
				page, _, errB := s.Scan(engine.ScanOptions{Agent: right.AgentName()})
				if err := errors.Join(errA, errB); err != nil || (len(page) > 0) != a.Exists || a.Exists && string(page[0].Value) != string(a.Value) {
					t.Errorf("G2: at %d left is %s and right %s, %v", s.TS(), a.Value, listText(page, recordText), err)
					return
				}
			}
		})
	}
	for i := range 300 {
		v := fmt.Appendf(nil, `{"n":%d}`, i)
		_, err := e.Transact(ctx, engine.TxnID(fmt.Sprint("t", i)), []engine.Write{{Name: left, Value: v}, {Name: right, Value: v}}, engine.Conditions{})
		if err != nil {
			t.Errorf("G2: %v", err)
			break
		}
	}
	done.Store(true)
	readers.Wait()
}

// TestGivenUpCommitsAreApplied: requests that end before their answer comes, and
// are sent again while the first may still wait: each takes effect once (G6).
func TestGivenUpCommitsAreApplied(t *testing.T) {
	e, ctx := running(t, engine.Limits{})
	var unknown atomic.Int64
	together(16, func(c int) {
		for i := range 20 {
			short, cancel := context.WithCancel(ctx)
			if i%2 == 0 {
				cancel() // before it is sent
			}
			id := engine.TxnID(fmt.Sprintf("c%d-%d", c, i))
			w := engine.Write{Name: engine.RecordName{Agent: fmt.Sprint("agent-", c), Key: "k"}, Value: []byte(`{}`)}
			_, err := e.Transact(short, id, []engine.Write{w}, engine.Conditions{})
			cancel()
			if errors.Is(err, engine.ErrOutcomeUnknown) {
				unknown.Add(1)
				_, err = e.Transact(ctx, id, []engine.Write{w}, engine.Conditions{})
			}
			if err != nil {
				t.Errorf("G6: %s: %v", id, err)
			}
		}
	})
	if n := e.Published(); n != 16*20 {
		t.Errorf("G6: 320 transactions, %d of them sent again, left %d commits", unknown.Load(), n)
	}
	t.Logf("%d of 320 gave up and sent again", unknown.Load())
}
