package engine

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"statehouse.dev/statehouse/engine/layout"
)

// openSmall opens a store in memory whose chores are done a few rows at a time, and returns its clock.
func openSmall(t *testing.T, fs vfs.FS, rows int) (env Env, e *Engine, ms *int64) {
	t.Helper()
	env, e = tamperEnv(t, fs)
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	ms = new(int64)
	*ms = 1_800_000_100_000
	env.Now = func() time.Time { *ms++; return time.UnixMilli(*ms) }
	env.Await = func(_ context.Context, ready <-chan struct{}) error {
		for {
			select {
			case <-ready:
				return nil
			default:
				if !e.Step() {
					return errors.New("nobody answers")
				}
			}
		}
	}
	e, err := Open(env, Options{Dir: tamperDir, Limits: Limits{TxnOps: 4}, Tuning: Tuning{MemTableBytes: 256 << 10, CacheBytes: 1 << 20, ManualCompaction: true, PieceRows: rows}})
	if err != nil {
		t.Fatal(err)
	}
	return env, e, ms
}

// do commits under an id of its own.
func do(t *testing.T, e *Engine, ws ...Write) CommitResult {
	t.Helper()
	r, err := e.Transact(t.Context(), TxnID(fmt.Sprint("do-", e.Published())), ws, Conditions{})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func evalOf(agent, key string, eval Evaluation) Write {
	return Write{Name: RecordName{Namespace: "default", Agent: agent, Key: key}, Eval: eval}
}

func putOf(agent, key string, ttl time.Duration) Write {
	return Write{Name: RecordName{Namespace: "default", Agent: agent, Key: key}, Value: fmt.Appendf(nil, `{"of":"%s/%s"}`, agent, key), TTL: ttl}
}

// TestForksInARow: from a depth on a fork is refused while what it would inherit is being copied, which ends.
func TestForksInARow(t *testing.T) {
	_, e, _ := openSmall(t, vfs.NewMem(), 1)
	const keys = 30
	for i := range keys {
		do(t, e, putOf("f0", fmt.Sprintf("k%02d", i), 0))
	}
	fork := func(i int) error {
		_, err := e.Transact(t.Context(), TxnID(fmt.Sprintf("fork-%d-%d", i, e.Published())), []Write{evalOf(fmt.Sprint("f", i), "", Fork{Parent: fmt.Sprint("f", i-1)})}, Conditions{})
		return err
	}
	made := 0
	var err error
	for err == nil && made < 3*deepestFork {
		made++
		err = fork(made)
	}
	var f *Failure
	if made != deepestFork+1 || !errors.Is(err, ErrLimit) || !errors.As(err, &f) || f.Details["what"] != "forks of forks" {
		t.Fatalf("fork %d of a fork: %v", made, err)
	}
	for n := 0; e.hasChores(); n++ {
		if e.Tick(); !e.Step() || n > 100*keys {
			t.Fatalf("it is not copied after %d steps", n)
		}
	}
	if deep := e.db.forks.depth(AgentName{Namespace: "default", Agent: fmt.Sprint("f", made-1)}); deep > deepFork {
		t.Errorf("the last fork is %d deep", deep)
	}
	if err := fork(made); err != nil {
		t.Error(err)
	}
	s, err := e.Snapshot(At{})
	if err != nil {
		t.Fatal(err)
	}
	recs, _, err := s.Scan(ScanOptions{Agent: AgentName{Namespace: "default", Agent: fmt.Sprint("f", made)}})
	if err != nil || len(recs) != keys {
		t.Errorf("it inherited %d records, %v", len(recs), err)
	}
	// What an erasure reaches is all of them, by their depths.
	if list := e.db.forks.under(AgentName{Namespace: "default", Agent: "f0"}); len(list) != made {
		t.Errorf("%d forks are under the first agent, of %d", len(list), made)
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestInheritedVersionsAreVerified: a version of a fork's own that it inherited, too, is found. The engine makes none,
// unless it forgets that the agent is a fork.
func TestInheritedVersionsAreVerified(t *testing.T) {
	for _, forgets := range []bool{false, true} {
		env, e, _ := openSmall(t, vfs.NewMem(), 100)
		do(t, e, putOf("p", "k", 0))
		do(t, e, evalOf("f", "", Fork{Parent: "p"}))
		if forgets {
			clear(e.db.forks.of)
		}
		do(t, e, putOf("f", "k", 0), putOf("f", "own", 0))
		if err := e.Close(); err != nil {
			t.Fatal(err)
		}
		_, err := Verify(env, tamperDir, nil)
		if forgets != (err != nil && strings.Contains(err.Error(), `agent "f" inherited version 1 of key "k"`)) {
			t.Errorf("forgets: %t; %v", forgets, err)
		}
	}
}

// TestPagesCountWhatTheyRead: a page ends when it has looked at so many rows, not sooner.
func TestPagesCountWhatTheyRead(t *testing.T) {
	_, e, _ := openSmall(t, vfs.NewMem(), 100)
	const keys, rows = 200, 20
	for i := range keys {
		do(t, e, putOf("a", fmt.Sprintf("k%03d", i), 0))
	}
	s, err := e.Snapshot(At{})
	if err != nil {
		t.Fatal(err)
	}
	e.opts.Tuning.LookedRows = rows
	seen := 0
	for o := (FindOptions{Agent: "a"}); ; {
		found, err := s.Find(o)
		if err != nil {
			t.Fatal(err)
		}
		if seen += len(found.Records); found.Next == "" {
			break
		}
		if n := len(found.Records); n < rows-1 || n > rows {
			t.Fatalf("a page has %d records, after %d rows", n, rows)
		}
		o.After = found.Next
	}
	if seen != keys {
		t.Errorf("%d records of %d", seen, keys)
	}
	// The bound itself is enough, of rows as of bytes.
	for l, want := range map[looked]bool{{rows - 1, 0}: false, {rows, 0}: true, {0, e.opts.Tuning.LookedBytes - 1}: false, {0, e.opts.Tuning.LookedBytes}: true} {
		if l.enough(e) != want {
			t.Errorf("%+v is enough: %t", l, !want)
		}
	}
	if n, m := e.reached.LookedRows.Load(), e.reached.LookedBytes.Load(); n != keys/rows+1 || m != 1 {
		t.Errorf("the bound of rows was reached %d times, that of bytes %d times", n, m)
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestRestoresToTimesDiffer: a request that is sent again restores to the same moment, or is another one.
func TestRestoresToTimesDiffer(t *testing.T) {
	at := func(at At) string { return string(RestoreTo{At: at}.fingerprint(nil)) }
	one, two, ts := time.UnixMilli(1000), time.UnixMilli(2000), CommitTS(1000)
	all := map[string]bool{}
	for _, p := range []At{{}, {Time: &one}, {Time: &two}, {CommitTS: &ts}} {
		all[at(p)] = true
	}
	if len(all) != 4 {
		t.Errorf("four requests have %d fingerprints", len(all))
	}
}

// TestHoldKeys: a key of a hold or a timer is read as it was made, and no beginning of one is taken for it.
func TestHoldKeys(t *testing.T) {
	n := RecordName{Namespace: "default", Agent: "a", Key: "k"}
	prefix, deadline := string(layout.RecordPrefix(n)), time.Unix(5, 7).UTC()
	holdKey, timerKey := layout.AppendHoldKey(nil, prefix), layout.AppendTimerKey(nil, deadline, prefix)
	if got, ok := layout.SplitHoldKey(holdKey); !ok || got != prefix {
		t.Errorf("a hold of %q, %t", got, ok)
	}
	if at, got, ok := layout.SplitTimerKey(timerKey); !ok || got != prefix || !at.Equal(deadline) {
		t.Errorf("a timer of %q at %v, %t", got, at, ok)
	}
	for i := range timerKey {
		if _, _, ok := layout.SplitTimerKey(timerKey[:i:i]); ok {
			t.Errorf("%q is a timer's", timerKey[:i])
		}
	}
	for i := range holdKey {
		if _, ok := layout.SplitHoldKey(holdKey[:i:i]); ok {
			t.Errorf("%q is a hold's", holdKey[:i])
		}
	}
	for c := range Cause(len(layout.Causes) + 2) {
		if want := c > 0 && int(c) < len(layout.Causes); c.Known() != want {
			t.Errorf("cause %d is known: %t", c, !want)
		}
	}
	for _, c := range []struct{ at, ttl, want int64 }{{5, 7, 12}, {-5, 1, 0}, {1<<63 - 2, 5, 1<<63 - 1}, {1<<63 - 3, 2, 1<<63 - 1}} {
		if got := layout.DeadlineAfter(time.Unix(0, c.at), time.Duration(c.ttl)).UnixNano(); got != c.want {
			t.Errorf("%d after %d is %d, not %d", c.ttl, c.at, got, c.want)
		}
	}
}

// TestNoErasureIsNone: a row that should say how far erasures came, and says nothing, is corrupt.
func TestNoErasureIsNone(t *testing.T) {
	for body, good := range map[string]bool{"": false, "\x00": true, "\x05": true, "\x05\x00": false, "\x85": false} {
		if err := new(went).add(erasedKind, "", []byte(body)); (err == nil) != good {
			t.Errorf("%q: %v", body, err)
		}
	}
}

// TestForksInACircle: of a store that says that a fork is its own parent, or that of one before it, it is said, and
// nobody walks for ever.
func TestForksInACircle(t *testing.T) {
	for _, parent := range []string{"f1", "f2"} {
		fs := vfs.NewMem()
		env, e, _ := openSmall(t, fs, 100)
		do(t, e, putOf("f0", "k", 0))
		do(t, e, evalOf("f1", "", Fork{Parent: "f0"}))
		do(t, e, evalOf("f2", "", Fork{Parent: "f1"}))
		f := *e.db.forks.get(AgentName{Namespace: "default", Agent: "f1"})
		if err := e.Close(); err != nil {
			t.Fatal(err)
		}
		f.parent.Agent = parent
		rewrite(t, fs, set(f.key(), f.append(nil)))
		if _, err := Verify(env, tamperDir, nil); !errors.Is(err, ErrDataLoss) {
			t.Errorf("%s: verify answers %v", parent, err)
		}
		if _, err := Open(env, Options{Dir: tamperDir}); !errors.Is(err, ErrDataLoss) {
			t.Errorf("%s: open answers %v", parent, err)
		}
	}
}
