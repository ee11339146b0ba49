package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"statehouse.dev/statehouse/engine/layout"
	"statehouse.dev/statehouse/sim/simdisk"
	"statehouse.dev/statehouse/sim/simtest"
)

// What chores do when a read fails: nothing of it counts, and it is done when the disk reads again. So each
// read that a chore makes fails once, and then the store must be what it is when none does.

// choreRig is a store whose chores are done a few rows at a time. Nothing that is read stays in memory, and the
// clock stands still.
type choreRig struct {
	*Engine
	t        *testing.T
	disk     *simdisk.Disk
	now      time.Time
	ids      int
	outcomes Limits // how many are kept
	runs     byte   // how often it was opened
}

var choreStart = time.UnixMilli(1_800_000_000_000).UTC()

func (r *choreRig) open() {
	r.t.Helper()
	r.runs++ // other ids than any before
	drawn := rand.NewChaCha8([32]byte{r.runs})
	env := Env{
		FS:   r.disk,
		Now:  func() time.Time { return r.now },
		Rand: func(b []byte) { _, _ = drawn.Read(b) }, // never fails
		Halt: func(err error) { r.t.Errorf("halted: %v", err) },
		Await: func(_ context.Context, ready <-chan struct{}) error {
			for {
				select {
				case <-ready:
					return nil
				default:
					if !r.Step() {
						return errors.New("nobody answers")
					}
				}
			}
		},
	}
	var err error
	r.Engine, err = Open(env, Options{
		Dir:    "/srv/statehouse",
		Limits: Limits{TxnOps: cmp.Or(r.outcomes.TxnOps, 4), OutcomeCount: r.outcomes.OutcomeCount, OutcomeAge: r.outcomes.OutcomeAge},
		Tuning: Tuning{MemTableBytes: 256 << 10, CacheBytes: 1, RecordBytes: 1, ManualCompaction: true, PieceRows: 5, ErasedKeys: 2, FiredHolds: 3, StepLookups: 16, ImportCommits: 3},
	})
	if err != nil {
		r.t.Fatal(err)
	}
}

func (r *choreRig) close() {
	r.t.Helper()
	if err := r.Close(); err != nil {
		r.t.Fatal(err)
	}
}

// chores has the writer do all that is to be done, and reports whether it came to an end.
func (r *choreRig) chores() bool {
	r.Tick()
	for range 2000 {
		if !r.Step() {
			return true
		}
	}
	return false
}

func (r *choreRig) try(ws ...Write) error {
	r.ids++
	_, err := r.Transact(context.Background(), layout.NewTxnID(r.now, func(b []byte) { copy(b, fmt.Sprintf("%016d", r.ids)) }), ws, Conditions{Metadata: map[string]string{"n": fmt.Sprint(r.ids)}})
	return err
}

func (r *choreRig) do(ws ...Write) {
	r.t.Helper()
	if err := r.try(ws...); err != nil {
		r.t.Fatal(err)
	}
}

// write gives keys of an agent one more version each.
func (r *choreRig) write(agent string, keys int) {
	r.t.Helper()
	for i := range keys {
		r.do(Write{Name: RecordName{Namespace: "default", Agent: agent, Key: fmt.Sprintf("k%02d", i)}, Value: fmt.Appendf(nil, `{"n":%d,"text":"%s"}`, r.ids, strings.Repeat("x", 40))})
	}
}

func (r *choreRig) fork(name, parent string) {
	r.t.Helper()
	r.do(evalOf(name, "", Fork{Parent: parent}))
}

func (r *choreRig) keep(age time.Duration, versions uint64) {
	r.t.Helper()
	if _, err := r.SetRetention(context.Background(), Retention{MaxAge: age, MaxVersions: versions}); err != nil {
		r.t.Fatal(err)
	}
}

func (r *choreRig) begin(x Erasure) {
	r.t.Helper()
	x.Namespace, x.Forks = DefaultNamespace, true
	if _, err := r.beginErasure(context.Background(), x, r.Published()); err != nil {
		r.t.Fatal(err)
	}
}

func (r *choreRig) must(_ any, err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}

// rows are all rows that chores change, as text, without what is drawn anew for the daemon's own commits.
func (r *choreRig) rows() (lines []string) {
	r.t.Helper()
	it, err := newRowIter(r.db, nil, nil)
	if err != nil {
		r.t.Fatal(err)
	}
	for ok := it.first(); ok; ok = it.next() {
		switch key := it.key(); key[0] {
		case layout.RecordTag:
			n, v, _ := layout.SplitRecordKey(key)
			row, _ := layout.ParseRecordRow(it.body)
			lines = append(lines, fmt.Sprintf("%v v%d by %d: deleted %t, gone %d, held %v, %s", n, v, row.CommitTS, row.Tombstone, row.Gone, row.Hold, row.Value))
		case layout.EventTag:
			a, ts, _ := layout.SplitEventKey(key)
			row, _ := layout.ParseEventRow(it.body)
			line := fmt.Sprintf("event %d of %v: %d, %v:", ts, a, row.By.State, row.Own.Cause)
			for _, op := range row.Ops {
				line += fmt.Sprintf(" %q v%d %t %d", op.Key, op.Version, op.Tombstone, op.Gone)
			}
			lines = append(lines, line)
		case layout.OutcomeTag, layout.MetaTag: // see TestOutcomesAndReadFaults
		case layout.LogTag:
			ts, _ := layout.SplitLogKey(key)
			lines = append(lines, fmt.Sprintf("commit %d", ts))
		default:
			lines = append(lines, fmt.Sprintf("%q %x", key, it.body))
		}
	}
	if err := it.close(); err != nil {
		r.t.Fatal(err)
	}
	return append(lines, r.Derived()...)
}

// kept checks that no more versions of a key than the most have values.
func (r *choreRig) kept(most Version) {
	r.t.Helper()
	it, err := newRowIter(r.db, []byte{layout.RecordTag}, []byte{layout.RecordTag + 1})
	if err != nil {
		r.t.Fatal(err)
	}
	var of RecordName
	var newest Version
	for ok := it.first(); ok; ok = it.next() {
		n, v, _ := layout.SplitRecordKey(it.key())
		if n != of {
			of, newest = n, v
		}
		if row, _ := layout.ParseRecordRow(it.body); v+most <= newest && row.Gone == 0 && !row.Tombstone {
			r.t.Errorf("version %d of %v has its value, and the newest is %d", v, n, newest)
		}
	}
	if err := it.close(); err != nil {
		r.t.Fatal(err)
	}
}

// owing makes the store of a case, closed.
func (c *choreCase) owing(t *testing.T) *choreRig {
	r := &choreRig{t: t, disk: simdisk.NewDisk(simdisk.DiskOptions{Seed: 1}), now: choreStart}
	r.open()
	c.make(r)
	if err := r.Flush(); err != nil {
		t.Fatal(err)
	}
	r.close()
	return r
}

// again is the store in a process of its own, with what it owes.
func (c *choreCase) again(of *choreRig) *choreRig {
	r := &choreRig{t: of.t, disk: of.disk.Clone(), now: of.now, ids: of.ids, outcomes: of.outcomes, runs: of.runs}
	r.open()
	c.owe(r)
	return r
}

// TestChoresAndReadFaults: what a read that fails keeps a chore from is done when the disk reads again, in the
// same process or another one, and nothing else is.
func TestChoresAndReadFaults(t *testing.T) {
	simtest.Serial(t)
	for _, c := range choreCases {
		t.Run(c.name, func(t *testing.T) {
			owing := c.owing(t)
			r := c.again(owing)
			before := r.rows()
			if !r.chores() {
				t.Fatal("the chores have no end")
			}
			want := r.rows()
			if c.most > 0 {
				r.kept(c.most)
			}
			if r.close(); strings.Join(before, "\n") == strings.Join(want, "\n") {
				t.Fatal("nothing was to be done")
			}
			struck := 0
			for nth := 1; ; nth += faultStride {
				r := c.again(owing)
				f, err := simdisk.ParseFault(fmt.Sprintf("read-error file=sstable nth=%d count=1", nth))
				if err != nil {
					t.Fatal(err)
				}
				if err := r.disk.Arm(f); err != nil {
					t.Fatal(err)
				}
				if !r.chores() {
					t.Fatalf("fault %d: the chores have no end", nth)
				}
				if len(r.disk.Injected()) == 0 {
					r.close()
					break
				}
				struck++
				r.disk.Heal()
				c.recover(r, nth, struck)
				if got := r.rows(); strings.Join(got, "\n") != strings.Join(want, "\n") {
					t.Errorf("fault %d: %s", nth, firstOther(got, want))
				}
				r.close()
				if _, err := Verify(r.env, "/srv/statehouse", nil); err != nil {
					t.Errorf("fault %d: %v", nth, err)
				}
			}
			t.Logf("%d reads failed", struck)
			if struck < 10 {
				t.Errorf("only %d reads failed", struck)
			}
		})
	}
}

// recover lets the chores go on when the disk reads again.
func (c *choreCase) recover(r *choreRig, nth, how int) {
	r.t.Helper()
	if err := r.refusal(); err != nil {
		r.t.Errorf("fault %d: %v", nth, err)
	}
	switch how % 3 {
	case 1:
		r.close()
		r.open()
	case 2:
		next := r.disk.Crash(simdisk.CrashOptions{Mode: simdisk.DropAll})
		_ = r.Close()
		r.disk = next
		r.open()
	}
	if !r.chores() {
		r.t.Errorf("fault %d: the chores have no end", nth)
	}
}

func firstOther(got, want []string) string {
	for i, line := range want {
		if i >= len(got) || got[i] != line {
			return fmt.Sprintf("got %q, want %q", append(got, "nothing")[min(i, len(got))], line)
		}
	}
	return fmt.Sprintf("got %q besides", got[len(want)])
}
