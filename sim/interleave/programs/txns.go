package programs

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"statehouse.dev/statehouse/engine"
	"statehouse.dev/statehouse/sim/interleave/turns"
)

// transactions: whatever is asked of one transaction at once, all are told the same end.
func transactions(w *world) {
	w.open(engine.Options{})
	w.while(func() {
		timeout := time.Second
		id, _, _, err := w.e.Begin(&timeout)
		w.must("begin", err)
		_, _, err = w.e.TxnGet(id, name(0, 0))
		w.must("read", err)
		t := &txn{w: w, id: id, staged: make(map[engine.RecordName]bool)}
		t.stage(name(1, 0))
		threads := []func(){t.commit(context.Background()), w.ticks()}
		for range w.few(3) {
			threads = append(threads, t.thread())
		}
		together(threads...)
		t.judge()
	})
	w.log()
	if n := w.e.Status().OpenTxns; n != 0 {
		turns.Fail("G9: %d transactions are left open", n)
	}
}

// txn is a transaction and what was told of it.
type txn struct {
	w      *world
	id     engine.TxnID
	staged map[engine.RecordName]bool
	at     engine.CommitTS // that a commit was acknowledged with
	ends   []string        // that say otherwise
}

func (t *txn) thread() func() {
	w := t.w
	switch w.rand.IntN(7) {
	case 0:
		return t.commit(context.Background())
	case 1:
		ctx, cancel := w.cancelled()
		commit := t.commit(ctx)
		return func() { together(commit, cancel) }
	case 2:
		return func() {
			switch err := w.e.Abort(context.Background(), t.id); {
			case err == nil:
				t.ends = append(t.ends, "an abort succeeded")
			case !errors.Is(err, engine.ErrTxnCommitted):
				turns.Fail("abort: %v", err)
			case t.state() != engine.TxnCommitted:
				turns.Fail("G6: an abort was told that %s has committed; its state is %v", t.id, t.state())
			}
		}
	case 3:
		return func() { t.stage(name(2, 0)) }
	case 4: // the transaction times out
		return func() {
			turns.Point()
			w.time.Add(2000)
			turns.Tick()
		}
	case 5: // somebody changes what it read
		return func() {
			_, err := w.e.Transact(context.Background(), "rival", []engine.Write{write(name(0, 0), 1)}, engine.Conditions{})
			w.must("commit of another", err)
		}
	}
	return func() {
		if t.state() == engine.TxnCommitted && t.state() != engine.TxnCommitted {
			turns.Fail("G6: %s was committed, and then it was not", t.id)
		}
	}
}

func (t *txn) state() engine.TxnState {
	o, err := t.w.e.Outcome(t.id)
	t.w.must("outcome", err)
	return o.State
}

func (t *txn) stage(n engine.RecordName) {
	if t.w.e.Stage(t.id, write(n, 7)) == nil {
		t.staged[n] = true
	}
}

func (t *txn) commit(ctx context.Context) func() {
	return func() {
		r, err := t.w.e.Commit(ctx, t.id, engine.Conditions{})
		switch {
		case err == nil && t.at != 0 && t.at != r.CommitTS:
			turns.Fail("G6: %s was acknowledged as commit %d and as commit %d", t.id, t.at, r.CommitTS)
		case err == nil:
			if p := t.w.e.Published(); p < r.CommitTS {
				turns.Fail("G4: %s was acknowledged as commit %d with %d published", t.id, r.CommitTS, p)
			}
			t.at = r.CommitTS
		case definite(err):
			t.ends = append(t.ends, fmt.Sprintf("a commit was refused with %v", err))
		case ctx.Err() == nil:
			turns.Fail("commit: %v", err)
		}
	}
}

// judge holds what was told against the log.
func (t *txn) judge() {
	committed := t.w.log()[t.id]
	if state := t.state(); (state == engine.TxnCommitted) != (committed != 0) || state == engine.TxnOpen || state == engine.TxnNeverSeen {
		turns.Fail("G6: %s is commit %d of the log, and its state is %v", t.id, committed, state)
	}
	if committed != 0 && len(t.ends) > 0 {
		turns.Fail("G6: %s is commit %d of the log; %s", t.id, committed, strings.Join(t.ends, ", "))
	}
	if t.at != committed && t.at != 0 {
		turns.Fail("G1: %s was acknowledged as commit %d; in the log it is %d", t.id, t.at, committed)
	}
	if committed == 0 {
		return
	}
	s, err := t.w.e.Snapshot(engine.At{CommitTS: &committed})
	t.w.must("read", err)
	for n := range t.staged { // each by itself: order cannot matter
		if rec, err := s.Get(n); err != nil || rec.CommitTS != committed {
			turns.Fail("G2: a write to %v was staged in %s; commit %d does not have it (%v)", n, t.id, committed, err)
		}
	}
}

// copies: a commit sent several times takes effect once, and who is refused for good is so
// truly.
func copies(w *world) {
	o := engine.Options{}
	if w.rand.IntN(2) == 0 {
		o.Limits.QueuedCommits = 1
	}
	w.open(o)
	const id = "copy"
	wr := write(name(0, 0), 1)
	at := engine.CommitTS(0)
	copied := func(ctx context.Context) {
		before := at
		r, err := w.e.Transact(ctx, id, []engine.Write{wr}, engine.Conditions{})
		switch {
		case err == nil && at != 0 && r.CommitTS != at:
			turns.Fail("G6: two copies were acknowledged as commits %d and %d", at, r.CommitTS)
		case err == nil:
			at = r.CommitTS
			w.acked(id, wr, r)
		case definite(err) && (before != 0 || !errors.Is(err, engine.ErrLimit)):
			turns.Fail("G6: a copy of commit %d was refused: %v", before, err)
		case definite(err) || errors.Is(err, engine.ErrLimit):
		case ctx.Err() == nil:
			turns.Fail("commit: %v", err)
		}
	}
	var threads []func()
	for range 1 + w.few(2) {
		threads = append(threads, func() { copied(context.Background()) })
	}
	gone := w.rand.IntN(2) == 0 // a client, whose copy is then not planned
	if gone {
		ctx, cancel := w.cancelled()
		threads = append(threads, func() { copied(ctx) }, cancel)
	}
	if w.rand.IntN(2) == 0 {
		threads = append(threads, func() {
			before := at
			switch err := w.e.Abort(context.Background(), id); {
			case err == nil && before != 0:
				turns.Fail("G6: %s is commit %d, and an abort of it succeeded", id, before)
			case err != nil && w.log()[id] == 0:
				turns.Fail("G6: an abort was told %v, and nothing is published", err)
			}
		}, func() {
			undecided := false
			for range 2 {
				before := at
				o, err := w.e.Outcome(id)
				if w.must("outcome", err); before != 0 && o.State != engine.TxnCommitted || undecided && !gone && o.State == engine.TxnNeverSeen {
					turns.Fail("G6: %s is commit %d (0: not answered), undecided before %v, and its state is %v", id, before, undecided, o.State)
				}
				undecided = o.State == engine.TxnOpen
			}
		})
	}
	threads = append(threads, w.client(9, 1))
	if o.Limits.QueuedCommits == 1 {
		threads = threads[:len(threads)-1] // which no limit may refuse
	}
	w.while(func() { together(threads...) })
	w.log()
}

// failing fails to write the witness after a number of times.
type failing struct {
	vfs.FS
	w    *world
	left int
}

func (f *failing) OpenReadWrite(path string, c vfs.DiskWriteCategory, o ...vfs.OpenOption) (vfs.File, error) {
	file, err := f.FS.OpenReadWrite(path, c, o...)
	if err != nil || f.PathBase(path) != "witness" {
		return file, err
	}
	return &failingFile{file, f}, nil
}

type failingFile struct {
	vfs.File
	fs *failing
}

func (f *failingFile) WriteAt(p []byte, at int64) (int, error) {
	if f.fs.left--; f.fs.left < 0 {
		return 0, errors.New("the disk fails")
	}
	return f.File.WriteAt(p, at)
}

// halts: the disk fails in the middle. Who was told of a success before has it, nobody is
// afterwards, and all are told something.
func halts(w *world) {
	w.mayHalt = true
	w.env.FS = &failing{w.env.FS, w, w.rand.IntN(4)}
	w.open(engine.Options{})
	acked := make(map[engine.TxnID]engine.CommitTS)
	var threads []func()
	for i := range 1 + w.few(3) {
		threads = append(threads, func() {
			for j := range 2 {
				id := engine.TxnID(fmt.Sprintf("t%d-%d", i, j))
				before := w.halted.Load()
				r, err := w.e.Transact(context.Background(), id, []engine.Write{write(name(i, j), j)}, engine.Conditions{})
				if err == nil {
					if p := w.e.Published(); before || p < r.CommitTS {
						turns.Fail("G7: %s was acknowledged as commit %d; published is %d, halted before the call %v", id, r.CommitTS, p, before)
					}
					acked[id] = r.CommitTS
				} else if !w.halted.Load() {
					turns.Fail("commit: %v", err)
				}
			}
		})
	}
	if w.rand.IntN(2) == 0 {
		threads = append(threads, func() {
			id, _, _, err := w.e.Begin(nil)
			if err == nil {
				err = w.e.Stage(id, write(name(0, 0), 9))
			}
			if err == nil {
				_, err = w.e.Commit(context.Background(), id, engine.Conditions{})
			}
			if err != nil && !w.halted.Load() {
				turns.Fail("commit: %v", err)
			}
		})
	}
	w.while(func() { together(threads...) })
	for id, ts := range acked { // each by itself: order cannot matter
		if o, err := w.e.Outcome(id); err != nil || o.State != engine.TxnCommitted || o.Result.CommitTS != ts {
			turns.Fail("G7: %s was acknowledged as commit %d; its outcome is %v at %d (%v)", id, ts, o.State, o.Result.CommitTS, err)
		}
	}
}
