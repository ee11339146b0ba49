package engine_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"statehouse.dev/statehouse/engine"
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
