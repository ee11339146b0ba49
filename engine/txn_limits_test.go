package engine_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"statehouse.dev/statehouse/engine"
)

// Every limit of a transaction, at it and one past it (G9). What is refused has
// changed nothing: what was staged before commits as it was.

func key(i int) engine.RecordName {
	return engine.RecordName{Namespace: "n", Agent: "a", Key: fmt.Sprintf("k%03d", i)}
}

// sized makes a write that counts for exactly size bytes.
func sized(i, size int) engine.Write {
	n := key(i)
	pad := size - len(n.Namespace) - len(n.Agent) - len(n.Key) - len(`{"v":""}`)
	return engine.Write{Name: n, Value: fmt.Appendf(nil, `{"v":"%s"}`, bytes.Repeat([]byte("x"), pad))}
}

func many(n int, size int) (ws []engine.Write) {
	for i := range n {
		ws = append(ws, sized(i, size))
	}
	return ws
}

func versions(n int) (c engine.Conditions) {
	for i := range n {
		c.Keys = append(c.Keys, engine.KeyPrecondition{Name: key(i)})
	}
	return c
}

func TestTransactLimits(t *testing.T) {
	w := newWorld(t, 1, engine.Limits{TxnOps: 4, TxnBytes: 400, MetadataBytes: 20, ValueBytes: 300})
	defer w.close()
	expecting := many(2, 50)
	for i := range expecting {
		expecting[i].Expected = new(engine.Version)
	}
	for i, c := range []struct {
		name   string
		writes []engine.Write
		cond   engine.Conditions
		kind   error
	}{
		{"operations, at it", many(4, 50), engine.Conditions{}, nil},
		{"operations, past it", many(5, 50), engine.Conditions{}, engine.ErrLimit},
		{"bytes, at it", many(4, 100), engine.Conditions{}, nil},
		{"bytes, past it", append(many(3, 100), sized(3, 101)), engine.Conditions{}, engine.ErrLimit},
		{"bytes of a key's last write count", []engine.Write{sized(0, 250), sized(0, 200), sized(1, 200)}, engine.Conditions{}, nil},
		{"preconditions, at it", nil, versions(4), engine.ErrPrecondition}, // the keys exist by now
		{"preconditions, past it", nil, versions(5), engine.ErrLimit},
		{"metadata, at it", many(1, 50), engine.Conditions{Metadata: map[string]string{"key": "seventeen bytes.."}}, nil},
		{"metadata, past it", many(1, 50), engine.Conditions{Metadata: map[string]string{"key": "eighteen bytes...."}}, engine.ErrInvalid},
		{"a value, past it", many(1, 330), engine.Conditions{}, engine.ErrInvalid},
		{"nothing at all", nil, engine.Conditions{}, engine.ErrInvalid},
		{"a metadata key without a name", many(1, 50), engine.Conditions{Metadata: map[string]string{"": "x"}}, engine.ErrInvalid},
	} {
		before := w.Published()
		_, err := w.Transact(context.Background(), engine.TxnID(fmt.Sprint("t", i)), c.writes, c.cond)
		if !errors.Is(err, c.kind) {
			t.Errorf("G9: %s: %v, want %v", c.name, err, c.kind)
		}
		if took := w.Published() != before; took != (c.kind == nil) {
			t.Errorf("G9: %s: committed is %v", c.name, took)
		}
	}
}

func TestStageLimits(t *testing.T) {
	w := newWorld(t, 1, engine.Limits{TxnOps: 3, TxnBytes: 300, TxnReads: 3})
	defer w.close()
	id := beginIn(t, w, time.Minute)
	expect := func(what string, err, want error) {
		t.Helper()
		if !errors.Is(err, want) {
			t.Errorf("G9: %s: %v, want %v", what, err, want)
		}
	}
	stage := func(x engine.Write) error { return w.Stage(id, x) }
	for i := range 3 {
		expect("a write at the limits", stage(sized(i, 100)), nil)
	}
	expect("one operation more", stage(sized(3, 50)), engine.ErrLimit)
	expect("one byte more", stage(sized(1, 101)), engine.ErrLimit)
	expect("a smaller write of a key", stage(sized(1, 60)), nil)
	expect("bytes that it freed", stage(sized(2, 140)), nil)
	expect("one byte past that", stage(sized(0, 101)), engine.ErrLimit)
	for i := range 3 {
		x := sized(0, 100)
		v := engine.Version(0)
		x.Expected = &v
		expect(fmt.Sprint("precondition ", i), stage(x), nil)
	}
	x := sized(0, 100)
	x.Expected = new(engine.Version)
	expect("one precondition more", stage(x), engine.ErrLimit)

	read := func(i int) error { _, _, err := w.TxnGet(id, key(i)); return err }
	scan := func() error {
		_, _, _, err := w.TxnScan(context.Background(), id, engine.ScanOptions{Agent: key(0).AgentName()})
		return err
	}
	expect("a read", read(10), nil)
	expect("a read", read(11), nil)
	expect("a scan", scan(), nil)
	expect("one read more", read(12), engine.ErrLimit)
	expect("one scan more", scan(), engine.ErrLimit)
	expect("a read of its own write", read(0), nil)
	expect("a read of what it has read", read(10), nil)

	r, err := w.Commit(context.Background(), id, engine.Conditions{})
	if err != nil || len(r.Versions) != 3 {
		t.Fatalf("G9: what was within the limits: %s, %v", resultText(r), err)
	}
	for i, size := range []int{100, 60, 140} {
		if rec, err := w.now().Get(key(i)); err != nil || string(rec.Value) != string(sized(i, size).Value) {
			t.Errorf("G9: key %d is %s (%v) after refused writes", i, rec.Value, err)
		}
	}
}

// besideWrite is what a write of key(i) holds beside the bytes of its name and value:
// its name once more, as a record's prefix, and an entry.
const besideWrite = 10 + 192

// waysToEnd are all the ways in which a transaction ends.
var waysToEnd = map[string]func(w *world, id engine.TxnID){
	"commit": func(w *world, id engine.TxnID) { _, _ = w.Commit(context.Background(), id, engine.Conditions{}) },
	"refused commit": func(w *world, id engine.TxnID) {
		_, _ = w.Commit(context.Background(), id, engine.Conditions{Keys: []engine.KeyPrecondition{{Name: key(99), Expected: 5}}})
	},
	"abort":  func(w *world, id engine.TxnID) { _ = w.Abort(context.Background(), id) },
	"expiry": func(w *world, _ engine.TxnID) { w.clock = w.clock.Add(30 * time.Minute); w.Tick() },
	"expiry in the queue": func(w *world, id engine.TxnID) {
		_ = w.abandon(func() error { _, err := w.Commit(context.Background(), id, engine.Conditions{}); return err })
		w.clock = w.clock.Add(30 * time.Minute)
		w.Step()
	},
}

// TestSharedLimits: open transactions and staged bytes are counted over all, and
// given back however a transaction ends.
func TestSharedLimits(t *testing.T) {
	for how, end := range waysToEnd { // each with a world of its own: order cannot matter
		t.Run(how, func(t *testing.T) {
			w := newWorld(t, 1, engine.Limits{OpenTxns: 2, StagedBytes: 300 + 2*besideWrite})
			defer w.close()
			for range 3 {
				a := beginIn(t, w, time.Hour)
				b := beginIn(t, w, time.Minute)
				if _, _, _, err := w.Begin(nil); !errors.Is(err, engine.ErrLimit) {
					t.Fatalf("G9: a third transaction: %v", err)
				}
				if err := errors.Join(w.Stage(a, sized(0, 100)), w.Stage(b, sized(1, 200))); err != nil {
					t.Fatalf("G9: bytes at the limit: %v", err)
				}
				if err := w.Stage(a, sized(0, 101)); !errors.Is(err, engine.ErrLimit) {
					t.Fatalf("G9: a byte past the limit of all: %v", err)
				}
				end(w, b)
				if err := w.Stage(a, sized(0, 300)); err != nil {
					t.Fatalf("G9: bytes given back: %v", err)
				}
				_ = w.Abort(context.Background(), a)
			}
		})
	}
}

// TestReadSetsAreCounted: what open transactions have read is held in memory until
// they end, so it is bounded for all of them together, like what they staged.
func TestReadSetsAreCounted(t *testing.T) {
	reads := map[string]func(w *world, id engine.TxnID, i int) error{
		"keys": func(w *world, id engine.TxnID, i int) error {
			n := key(i)
			n.Key += strings.Repeat("x", 1000)
			_, _, err := w.TxnGet(id, n)
			return err
		},
		"ranges": func(w *world, id engine.TxnID, i int) error {
			_, _, _, err := w.TxnScan(t.Context(), id, engine.ScanOptions{Agent: key(i).AgentName(), Prefix: key(i).Key + strings.Repeat("x", 1000)})
			return err
		},
	}
	for what, read := range reads { // each with worlds of its own: order cannot matter
		for how, end := range waysToEnd {
			t.Run(what+"/"+how, func(t *testing.T) {
				const limit = 100_000
				w := newWorld(t, 1, engine.Limits{StagedBytes: limit})
				defer w.close()
				fill := func(id engine.TxnID) (n int) {
					for {
						err := read(w, id, n)
						if errors.Is(err, engine.ErrLimit) && strings.Contains(err.Error(), fmt.Sprint(limit)) && strings.Contains(err.Error(), "read") {
							return n
						}
						if err != nil || n == 1000 {
							t.Fatalf("G9: read %d: %v", n, err)
						}
						n++
					}
				}
				a, b := beginIn(t, w, time.Hour), beginIn(t, w, time.Minute)
				if err := w.Stage(b, sized(0, 100)); err != nil {
					t.Fatal(err)
				}
				first := fill(b)
				if first < limit/3000 {
					t.Errorf("only %d reads of 1 KB were taken", first)
				}
				if fill(a) > 0 {
					t.Errorf("G9: there was room left")
				}
				end(w, b)
				if again := fill(a); again < first {
					t.Errorf("G9: %d reads of the %d that were given back", again, first)
				}
				_ = w.Abort(context.Background(), a)
				if again := fill(beginIn(t, w, time.Hour)); again < first {
					t.Errorf("G9: %d reads of the %d after all transactions ended", again, first)
				}
			})
		}
	}
}

// TestQueueLimits: what waits for the writer is bounded in bytes, too, and a step
// takes no more than it can hold.
func TestQueueLimits(t *testing.T) {
	const each = 1 << 20
	w := newWorld(t, 1, engine.Limits{StagedBytes: 2 * 8 * each, TxnBytes: 2 * each, ValueBytes: 2 * each})
	defer w.close()
	queued := 0
	for ; queued < 20; queued++ {
		err := w.abandon(func() error {
			_, err := w.Transact(context.Background(), engine.TxnID(fmt.Sprint("t", queued)), []engine.Write{sized(queued, each)}, engine.Conditions{})
			return err
		})
		if errors.Is(err, engine.ErrLimit) {
			break
		}
	}
	if queued != 7 { // of eight, one falls to what a proposal costs besides its value
		t.Errorf("G9: %d MiB were queued, the limit is 8", queued)
	}
	if !w.Step() || int(w.Published()) >= queued {
		t.Errorf("G9: one step took %d MiB", w.Published())
	}
	for w.Step() {
	}
	if int(w.Published()) != queued {
		t.Errorf("G9: %d of %d queued commits came to be", w.Published(), queued)
	}
}
