package engine_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"statehouse.dev/statehouse/engine"
	"statehouse.dev/statehouse/sim/simdisk"
)

// endingContext ends when it was asked so often whether it has: a deadline that passes
// in the middle of whatever asks.
type endingContext struct {
	context.Context
	asks int
	err  error
}

func (c *endingContext) Err() error {
	if c.asks--; c.asks < 0 {
		return c.err
	}
	return nil
}

// TestListsEndWithTheirRequest (G9): a list may pass over any number of rows that it
// does not show. When its deadline passes it ends, and says that it was the deadline;
// when its client is gone it ends, too.
func TestListsEndWithTheirRequest(t *testing.T) {
	w := newWorld(t, 1, engine.Limits{})
	defer w.close()
	a := engine.AgentName{Agent: "a"}
	for i := range 8 { // of which nothing is left to list
		var ws, gone []engine.Write
		for j := range 500 {
			n := engine.RecordName{Agent: "a", Key: fmt.Sprint(i, "-", j)}
			ws, gone = append(ws, engine.Write{Name: n, Value: []byte(`{}`)}), append(gone, engine.Write{Name: n, Tombstone: true})
		}
		for k, writes := range [][]engine.Write{ws, gone} {
			if _, err := w.Transact(context.Background(), engine.TxnID(fmt.Sprint("commit-", i, "-", k)), writes, engine.Conditions{}); err != nil {
				t.Fatal(err)
			}
		}
	}
	for i := range 20 {
		if err := transactOne(w, engine.TxnID(fmt.Sprint("version-", i)), "k"); err != nil {
			t.Fatal(err)
		}
	}
	id := beginIn(t, w, time.Hour)
	lists := map[string]func(ctx context.Context) error{
		"scan": func(ctx context.Context) error {
			_, _, err := w.now().Within(ctx).Scan(engine.ScanOptions{Agent: a})
			return err
		},
		"keys, backwards": func(ctx context.Context) error {
			_, _, err := w.now().Within(ctx).Scan(engine.ScanOptions{Agent: a, KeysOnly: true, Reverse: true})
			return err
		},
		"scan in a transaction": func(ctx context.Context) error {
			_, _, _, err := w.TxnScan(ctx, id, engine.ScanOptions{Agent: a})
			return err
		},
		"history": func(ctx context.Context) error {
			_, _, err := w.now().Within(ctx).History(engine.RecordName{Agent: "a", Key: "k"}, 0, false, engine.Page{})
			return err
		},
	}
	for name, list := range lists { // independent of each other: any order
		for _, end := range []error{context.DeadlineExceeded, context.Canceled} {
			if err := list(&endingContext{context.Background(), 3, end}); !errors.Is(err, end) {
				t.Errorf("G9: %s: its context ended with %v, it with %v", name, end, err)
			}
		}
		if err := list(context.Background()); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := w.Healthy(); err != nil {
		t.Errorf("G8: requests that ended left %v", err)
	}
}

// endedBy is a context that ends when it is asked for the first time, after do.
type endedBy struct {
	context.Context
	do   func()
	once sync.Once
}

func (c *endedBy) Err() error {
	c.once.Do(c.do)
	return context.Canceled
}

// TestWaitersOutliveTheRequestThatCommits: a Commit whose request ends before the writer
// has it leaves the transaction open. That ends nobody else's request: who waited for
// it commits or aborts the transaction, or is refused, as if that Commit had not been
// (G6).
func TestWaitersOutliveTheRequestThatCommits(t *testing.T) {
	ctx := context.Background()
	cases := []struct {
		name string
		call func(p *process, id engine.TxnID) error
		want error
		ends engine.TxnState
	}{
		{"commit", func(p *process, id engine.TxnID) error { _, err := p.Commit(ctx, id, engine.Conditions{}); return err }, nil, engine.TxnCommitted},
		{"abort", func(p *process, id engine.TxnID) error { return p.Abort(ctx, id) }, nil, engine.TxnAborted},
		{"transact", func(p *process, id engine.TxnID) error {
			_, err := p.Transact(ctx, id, transfer(), engine.Conditions{})
			return err
		}, engine.ErrTxnIDReused, engine.TxnOpen},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			p := openOn(t, simdisk.NewDisk(simdisk.DiskOptions{Seed: 1}), &rigClock{})
			hour := time.Hour
			id, _, _, err := p.Begin(&hour)
			ok(t, err)
			_, _, _, err = p.TxnScan(ctx, id, engine.ScanOptions{Agent: engine.AgentName{Agent: "ann"}})
			ok(t, err)
			ok(t, p.Stage(id, put("ann", "k", 1)))
			var s script
			for i := range 200 { // so many that what was listed is looked at before the writer has it
				ok(t, s.commit(p, put("bob", "k", i)))
			}
			p.grouping.Store(true)
			told := make(chan error, 1)
			_, err = p.Commit(&endedBy{Context: ctx, do: func() {
				go func() { told <- c.call(p, id) }()
				<-p.waiting
			}}, id, engine.Conditions{})
			wantKind(t, "the commit whose request ended", err, engine.ErrOutcomeUnknown)
			if c.ends == engine.TxnCommitted {
				select {
				case <-p.waiting: // for the writer, now that it commits
					p.Step()
				case err := <-told:
					told <- err
				}
			}
			if err := <-told; !errors.Is(err, c.want) {
				t.Errorf("G6: who waited for it is told %v, want %v", err, c.want)
			}
			if o, err := p.Outcome(id); err != nil || o.State != c.ends {
				t.Errorf("G6: the transaction is %s, %v, want %s", o.State, err, c.ends)
			}
			ok(t, p.Close())
		})
	}
}
