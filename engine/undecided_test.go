package engine_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"statehouse.dev/statehouse/engine"
	"statehouse.dev/statehouse/sim/simdisk"
)

// A refusal speaks of one try (G6): while another try of the same id is undecided, or
// once it was committed, nobody is told that nothing was applied.

// inDoubt reports whether err leaves open that the commit was applied.
func inDoubt(err error) bool {
	var f *engine.Failure
	return errors.Is(err, engine.ErrOutcomeUnknown) || errors.As(err, &f) && f.InDoubt
}

// refusers are ways to have the writer, or what stands before it, refuse a commit that
// it would have taken. Each answers what a second try of the id is refused with.
var refusers = []struct {
	name string
	kind error
	set  func(w *world) (writes []engine.Write, c engine.Conditions)
}{
	{"a full disk", engine.ErrDiskFull, func(w *world) ([]engine.Write, engine.Conditions) {
		w.disk.SetCapacity(1 << 20)
		w.Tick()
		return transfer(), engine.Conditions{}
	}},
	{"a queue without room", engine.ErrLimit, func(w *world) ([]engine.Write, engine.Conditions) {
		w.fillQueue()
		return transfer(), engine.Conditions{}
	}},
	{"a limit of operations", engine.ErrLimit, func(*world) ([]engine.Write, engine.Conditions) {
		return many(5, 100), engine.Conditions{}
	}},
	{"a limit of metadata", engine.ErrInvalid, func(*world) ([]engine.Write, engine.Conditions) {
		return transfer(), engine.Conditions{Metadata: map[string]string{"k": string(make([]byte, 200))}}
	}},
	{"a halt", engine.ErrStorage, func(w *world) ([]engine.Write, engine.Conditions) {
		// Of the step in flight, or of another.
		_ = w.disk.Arm(mustFault("sync-error file=wal"))
		_ = w.abandon(func() error { return transactOne(w, "halts", "k") })
		for w.Step() {
		}
		return transfer(), engine.Conditions{}
	}},
}

func mustFault(text string) simdisk.Fault {
	f, err := simdisk.ParseFault(text)
	if err != nil {
		panic(err)
	}
	return f
}

// fillQueue leaves no room for one more.
func (w *world) fillQueue() {
	for i := 0; ; i++ {
		err := w.abandon(func() error { return transactOne(w, engine.TxnID(fmt.Sprint("filler-", i)), "filler") })
		if errors.Is(err, engine.ErrLimit) {
			return
		}
	}
}

// TestNoRefusalInPlaceOfAnOutcome sends an id again, in every state of the first try
// and past everything that refuses.
func TestNoRefusalInPlaceOfAnOutcome(t *testing.T) {
	states := []struct {
		name string
		pass func(w *world)
	}{
		{"queued", func(*world) {}},
		{"planned", func(w *world) { w.Plan() }},
		{"committed", func(w *world) { w.Step() }},
		{"committed before a restart", func(w *world) { w.Step(); w.restart() }},
	}
	for _, r := range refusers {
		for _, state := range states {
			t.Run(r.name+"/"+state.name, func(t *testing.T) {
				w := newWorld(t, 1, engine.Limits{QueuedCommits: 3, TxnOps: 4, MetadataBytes: 100})
				defer func() { _ = w.Close() }()
				send := func(id engine.TxnID, writes []engine.Write, c engine.Conditions) error {
					return w.abandon(func() error { _, err := w.Transact(context.Background(), id, writes, c); return err })
				}
				if err := send("mine", transfer(), engine.Conditions{}); !errors.Is(err, engine.ErrOutcomeUnknown) {
					t.Fatal(err)
				}
				state.pass(w)
				if r.name == "a halt" && state.name == "planned" {
					_ = w.disk.Arm(mustFault("sync-error file=wal"))
					w.Settle()
				}
				writes, c := r.set(w)
				if err := send("another", writes, c); !errors.Is(err, r.kind) || inDoubt(err) {
					t.Errorf("G6: an id that nobody sent before is refused with %v, in doubt %v, want %v", err, inDoubt(err), r.kind)
				}
				if err := send("mine", writes, c); err != nil && !inDoubt(err) {
					t.Errorf("G6: the second try is told definitely: %v", err)
				}
			})
		}
	}
}

// TestRefusedWhileACopyWaits: the first try meets a full disk, a copy of it waits in
// the queue and finds room. What the first is told must leave that open.
func TestRefusedWhileACopyWaits(t *testing.T) {
	p := newProcess(simdisk.NewDisk(simdisk.DiskOptions{Seed: 1}), &rigClock{}, nil)
	ok(t, p.open())
	sent := p.sendTogether("mine", put("ann", "k", 1))
	first := sent()
	p.disk.SetCapacity(1 << 20)
	p.Tick()
	p.Plan()
	p.disk.SetCapacity(0)
	p.Tick()
	second := sent()
	p.Settle()
	if err := <-first; !errors.Is(err, engine.ErrDiskFull) || !inDoubt(err) {
		t.Errorf("G6: the first of two is told %v, in doubt %v", err, inDoubt(err))
	}
	p.Step()
	if err := <-second; err != nil {
		t.Errorf("G6: the second of two is told %v", err)
	}
	ok(t, p.Close())
}

// TestRefusedBesideACopy: of two copies in one step the first meets a read that fails,
// which refuses it definitely where it is alone, and the second does not. What the first
// is told must leave open that the id was committed.
func TestRefusedBesideACopy(t *testing.T) {
	send := func(copies, nth int) (told []error, struck bool) {
		p := newProcess(simdisk.NewDisk(simdisk.DiskOptions{Seed: 1}), &rigClock{}, nil)
		ok(t, p.open())
		var s script
		ok(t, s.commits(p, 3))
		ok(t, p.Compact())
		ok(t, p.Close())
		var err error
		uncached := engine.Tuning{MemTableBytes: 256 << 10, CacheBytes: 1, ManualCompaction: true}
		p.Engine, err = engine.Open(p.env, engine.Options{Dir: rigDir, Tuning: uncached})
		ok(t, err)
		arm(t, p.disk, fmt.Sprintf("read-error file=sstable nth=%d", nth))
		sent := p.sendTogether("mine", put("ann", "k", 1))
		var ends []<-chan error
		for range copies {
			ends = append(ends, sent())
		}
		p.Step()
		for _, end := range ends {
			told = append(told, <-end)
		}
		struck = len(p.disk.Injected()) > 0
		ok(t, p.Close())
		return told, struck
	}
	definite := 0
	for nth := 1; ; nth++ {
		alone, struck := send(1, nth)
		if !struck {
			break
		}
		if alone[0] == nil || inDoubt(alone[0]) {
			continue
		}
		definite++
		if told, _ := send(2, nth); !errors.Is(told[0], engine.ErrStorage) || !inDoubt(told[0]) || told[1] != nil {
			t.Errorf("G6: read %d fails: the first of two is told %v, in doubt %v, the second %v", nth, told[0], inDoubt(told[0]), told[1])
		}
	}
	if definite == 0 {
		t.Error("no read that fails refuses a commit definitely")
	}
}

// TestStoppedWhileACopyFailed: the first try was in a step that could not be witnessed, a copy of
// it is in the queue that nobody takes any more. It is told that it may be on disk, and
// what is in no step that it is not.
func TestStoppedWhileACopyFailed(t *testing.T) {
	p := newProcess(simdisk.NewDisk(simdisk.DiskOptions{Seed: 1}), &rigClock{}, nil)
	ok(t, p.open())
	sent := p.sendTogether("mine", put("ann", "k", 1))
	first := sent()
	p.Plan()
	second := sent()
	other := p.sendTogether("other", put("ann", "k", 2))()
	arm(t, p.disk, "write-error file=witness")
	p.Settle()
	wantKind(t, "the first", <-first, engine.ErrOutcomeUnknown)
	_ = p.Close()
	if err := <-second; !inDoubt(err) {
		t.Errorf("G6: the copy of what may be on disk is told definitely: %v", err)
	}
	if err := <-other; !errors.Is(err, engine.ErrStopped) || inDoubt(err) {
		t.Errorf("G7: what was in no step is told %v, in doubt %v", err, inDoubt(err))
	}
}

// sendTogether answers a function that queues one more Transact of the same request,
// to be stepped by the test, and answers where its end is told.
func (p *process) sendTogether(id engine.TxnID, w engine.Write) func() <-chan error {
	return func() <-chan error {
		p.grouping.Store(true)
		end := make(chan error, 1)
		go func() {
			_, err := p.Transact(context.Background(), id, []engine.Write{w}, engine.Conditions{})
			end <- err
		}()
		<-p.waiting
		return end
	}
}

// TestAbortOutlivesARefusedCommit: a commit that is refused without ending its
// transaction does not answer the abort that waited for it (G6).
func TestAbortOutlivesARefusedCommit(t *testing.T) {
	w := newWorld(t, 1, engine.Limits{})
	defer w.close()
	id := beginIn(t, w, time.Hour)
	stageIn(t, w, id, "k", `{"n":1}`)
	commit := func() error { _, err := w.Commit(context.Background(), id, engine.Conditions{}); return err }
	_ = w.abandon(commit)
	w.disk.SetCapacity(1 << 20)
	w.Tick()
	if err := w.Abort(context.Background(), id); err != nil {
		t.Fatalf("G6: an abort while a full disk refuses the commit: %v", err)
	}
	w.disk.SetCapacity(0)
	w.Tick()
	if o, err := w.Outcome(id); err != nil || o.State != engine.TxnAborted {
		t.Errorf("G6: aborted, and its outcome is %s, %v", o.State, err)
	}
	if err := commit(); !errors.Is(err, engine.ErrTxnAborted) || w.Published() != 0 {
		t.Errorf("G6: aborted, and its commit is told %v; %d commits are there", err, w.Published())
	}
}

// TestOneIDOfTwoKinds: an id that Transact has under way is no other to Commit and
// Abort, nor one that Commit has under way to Transact.
func TestOneIDOfTwoKinds(t *testing.T) {
	ctx := context.Background()
	w := newWorld(t, 1, engine.Limits{})
	defer w.close()
	const id, second = "01a206db-a9ff-7ce8-9a58-257adfc272ef", "01a206db-a9ff-7ce8-9a58-257adfc272f0"
	send := func(id engine.TxnID, writes []engine.Write) (engine.CommitResult, error) {
		return w.Transact(ctx, id, writes, engine.Conditions{})
	}
	_ = w.abandon(func() error { _, err := send(id, transfer()); return err })
	if err := w.Abort(ctx, id); !errors.Is(err, engine.ErrTxnCommitted) {
		t.Errorf("G6: an abort of what a Transact is committing: %v", err)
	}
	_ = w.abandon(func() error { _, err := send(second, transfer()); return err })
	if r, err := w.Commit(ctx, second, engine.Conditions{}); err != nil || r.CommitTS != 2 {
		t.Errorf("G6: a Commit of what a Transact is committing: %s, %v", resultText(r), err)
	}
	begun := beginIn(t, w, time.Hour)
	for _, x := range transfer() {
		if err := w.Stage(begun, x); err != nil {
			t.Fatal(err)
		}
	}
	_ = w.abandon(func() error { _, err := w.Commit(ctx, begun, engine.Conditions{}); return err })
	if r, err := send(begun, transfer()); err != nil || r.CommitTS != 3 {
		t.Errorf("G6: a Transact of what a Commit has under way: %s, %v", resultText(r), err)
	}
	if _, err := send(begun, transfer()[:1]); !errors.Is(err, engine.ErrTxnIDReused) {
		t.Errorf("G6: other operations under it: %v", err)
	}
	// A Commit sent again answers what it did, whatever else is under way under its id.
	w.restart()
	_ = w.abandon(func() error { _, err := send(begun, transfer()[:1]); return err })
	if r, err := w.Commit(ctx, begun, engine.Conditions{}); err != nil || r.CommitTS != 3 {
		t.Errorf("G6: the Commit again, behind other operations under its id: %s, %v", resultText(r), err)
	}
}

// TestRefusedOfOneThatEnded: a commit whose request ended before the engine had it is answered with
// that, not with a failure of the storage.
func TestRefusedOfOneThatEnded(t *testing.T) {
	w := newWorld(t, 1, engine.Limits{})
	if err := transactOne(w, "t", "k"); err != nil {
		t.Fatal(err)
	}
	for _, ended := range []error{context.Canceled, context.DeadlineExceeded} {
		if err := w.Refused("t", ended); err != ended {
			t.Errorf("%v: %v", ended, err)
		}
	}
}
