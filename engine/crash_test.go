package engine_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"sync"
	"testing"
	"time"

	"statehouse.dev/statehouse/engine"
	"statehouse.dev/statehouse/sim/simdisk"
)

// script is the run that is crashed everywhere: two lives of a store with all
// kinds of commits, a flush, compactions and a clean close between them.
func (s *script) script(p *process) error {
	k := func(i int) string { return fmt.Sprintf("key-%02d", i) }
	life := []func() error{
		p.open,
		func() error { return s.commit(p, put("ann", k(1), 1)) },
		func() error {
			return s.commit(p, put("bob", k(1), 2), put("ann", k(2), 3), putIn("other", "ann", k(1), 4))
		},
		func() error { return s.commit(p, put("ann", k(1), 5)) },
		func() error { return s.commit(p, remove("ann", k(1)), put("ann", k(3), 6)) },
		func() error { return s.commit(p, remove("bob", "absent")) },
		func() error {
			return s.group(p, []engine.Write{put("ann", k(1), 7)}, []engine.Write{put("ann", k(1), 8), remove("bob", k(1))},
				[]engine.Write{putIn("third", "cy", k(1), 9)})
		},
		func() error { return s.interactive(p, name("ann", k(2)), put("ann", k(2), 10), remove("cy", k(9))) },
		func() error { return s.refused(p, name("ann", k(2)), put("ann", k(2), 11)) },
		func() error { return s.commit(p, putBig("bob", "big", 40<<10)) },
		func() error { return s.commits(p, 4) },
		func() error { return p.Flush() },
		func() error { return s.commit(p, put("ann", k(1), 12), remove("bob", "big")) },
		func() error {
			return s.group(p, []engine.Write{put("dee", k(1), 13)}, []engine.Write{put("dee", k(2), 14)})
		},
		func() error { return p.Compact() },
		func() error { return s.commits(p, 3) },
		func() error { return p.Close() },

		p.open,
		func() error { return s.commits(p, 3) },
		func() error { return s.interactive(p, name("bob", "big"), putBig("bob", "big", 33<<10)) },
		func() error { return p.Flush() },
		func() error { return s.commit(p, put("ann", k(1), 15), put("ann", k(1), 16)) },
		func() error { return p.Compact() },
		func() error { return s.commits(p, 3) },
	}
	for i, do := range life {
		if err := do(); err != nil {
			return fmt.Errorf("step %d of the script: %w", i, err)
		}
	}
	return nil
}

// commits makes n small ones.
func (s *script) commits(p *process, n int) error {
	for i := range n {
		if err := s.commit(p, put("eve", fmt.Sprint("turn-", i%2), len(s.attempts)), put("ann", "seen", len(s.attempts))); err != nil {
			return err
		}
	}
	return nil
}

// An image is the disk at the start of one operation of a run.
type image struct {
	disk         *simdisk.Disk
	op           simdisk.Op
	acked, tried int
}

// changes tells whether an operation changes the disk: between two that do, a
// crash finds the same.
func changes(op simdisk.Op) bool {
	return op.Kind != simdisk.OpRead && op.Kind != simdisk.OpOpen
}

// record runs the script once and keeps an image of the disk at every operation
// that changes it.
func record(t *testing.T) (*script, []image, *rigClock) {
	t.Helper()
	return recordAs(t, func(*process) {})
}

// recordAs is record of a process that is set up in some way.
func recordAs(t *testing.T, set func(*process)) (*script, []image, *rigClock) {
	t.Helper()
	var mu sync.Mutex
	var images []image
	s, clock := &script{}, &rigClock{}
	d := simdisk.NewDisk(simdisk.DiskOptions{Seed: 1})
	take := func(op simdisk.Op) {
		if !changes(op) {
			return
		}
		mu.Lock()
		defer mu.Unlock()
		// In this order: what was acknowledged by now is on the disk that is copied,
		// and what is on it was asked for by then.
		acked := int(s.acked.Load())
		c := d.Clone()
		images = append(images, image{c, op, acked, int(s.tried.Load())})
	}
	d.OnOp(take)
	p := newProcess(d, clock, func(err error) { t.Errorf("halted: %v", err) })
	set(p)
	if err := s.script(p); err != nil {
		t.Fatal(err)
	}
	s.mustCheck(t, p, len(s.attempts), len(s.attempts))
	d.OnOp(nil)
	take(simdisk.Op{Kind: "end of the run"})
	return s, images, clock
}

// kill is not a crash of the disk but of the process: all that it wrote is
// there, and what is not synced may still go at the next crash.
const kill simdisk.CrashMode = "kill"

var crashModes = []simdisk.CrashMode{simdisk.DropAll, kill, simdisk.KeepAll, simdisk.Torn, simdisk.Garbage, simdisk.Reordered}

// crashed is what a crash leaves of a copy of d.
func crashed(d *simdisk.Disk, mode simdisk.CrashMode, seed uint64) *simdisk.Disk {
	if mode == kill {
		return d.Clone()
	}
	return d.Clone().Crash(simdisk.CrashOptions{Mode: mode, Seed: seed})
}

// TestCrashAnywhere crashes the scripted run at every file operation and holds
// what the next process finds to G1, G2, G4 and G6: every acknowledged commit
// with its versions, values, time and outcome, no part of any other.
func TestCrashAnywhere(t *testing.T) {
	s, images, clock := record(t)
	start, runs, step := time.Now(), 0, stride(5)
	for i, img := range images {
		for m, mode := range crashModes {
			// The sample takes every fifth image and, in turn, every mode.
			if !fullSweep() && (i%step != 0 || i/step%len(crashModes) != m) {
				continue
			}
			d := crashed(img.disk, mode, uint64(i))
			if err := s.survives(d, clock, img.acked, img.tried); err != nil {
				t.Errorf("crash (%s) at operation %d, %v: %v", mode, i, img.op, err)
			}
			runs++
		}
	}
	t.Logf("%d operations, %d crashes in %v", len(images), runs, time.Since(start).Round(time.Millisecond))
	if !fullSweep() {
		return
	}
	// The sweep is worth what it hits.
	hit := make(map[string]bool)
	for _, img := range images {
		hit[fmt.Sprint(img.op.Kind, " ", img.op.Class)] = true
	}
	for _, op := range []string{"write wal", "sync wal", "create wal", "rename wal", "write manifest", "sync manifest", "create manifest",
		"create marker", "remove marker", "create sstable", "write sstable", "sync sstable", "remove sstable", "dirsync dir", "mkdir dir",
		"write witness", "sync witness", "rename identity", "write other", "sync other"} {
		if !hit[op] {
			t.Errorf("the script has no operation %q", op)
		}
	}
}

// survives opens what a crash left and holds it to the script; then it goes on:
// the next commit works, survives the next crash, and the store verifies.
func (s *script) survives(d *simdisk.Disk, clock *rigClock, acked, tried int) error {
	found, err := verifyOn(d.Clone())
	made := err == nil
	if err != nil && (acked > 0 || !errors.Is(err, engine.ErrNoStore)) {
		return fmt.Errorf("verify before the reopening: %w", err)
	}
	p := newProcess(d, clock, nil)
	if err := p.open(); err != nil {
		return fmt.Errorf("open: %w", err)
	}
	n, err := s.check(p, acked, tried)
	if err != nil {
		return err
	}
	if made && int(found.Commits) != n {
		return fmt.Errorf("verify saw %d commits, open %d", found.Commits, n)
	}
	f := s.fork(n)
	if err := f.commit(p, put("ann", "after", n), remove("bob", "key-01")); err != nil {
		return fmt.Errorf("the next commit: %w", err)
	}
	if err := f.retry(p); err != nil {
		return err
	}
	again := crashed(d, simdisk.DropAll, 0)
	if err := p.Close(); err != nil {
		return fmt.Errorf("close: %w", err)
	}
	if p.halts.Load() != 0 {
		return errors.New("halted")
	}
	if _, err := verifyOn(d); err != nil {
		return fmt.Errorf("verify after the next commit: %w", err)
	}
	q := newProcess(again, clock, nil)
	if err := q.open(); err != nil {
		return fmt.Errorf("open after the next crash: %w", err)
	}
	if _, err := f.check(q, n+1, n+1); err != nil {
		return fmt.Errorf("after the next crash: %w", err)
	}
	return q.Close()
}

// retry sends the last commit again: the same answer, and nothing new.
func (s *script) retry(p *process) error {
	a := s.attempts[len(s.attempts)-1]
	r, err := p.Transact(context.Background(), a.id, a.writes, engine.Conditions{Metadata: a.metadata})
	if err != nil {
		return fmt.Errorf("a commit sent again: %w", err)
	}
	if !reflect.DeepEqual(r, a.result) || int(p.Published()) != len(s.attempts) {
		return fmt.Errorf("a commit sent again answered %v, the first time %v; %d commits", r, a.result, p.Published())
	}
	return nil
}

// TestCrashInRecovery crashes the run, then the recovery from it, then the
// recovery from that, and one more.
func TestCrashInRecovery(t *testing.T) {
	const depth = 3
	s, images, clock := record(t)
	start, runs, inside := time.Now(), 0, 0
	chains := 1
	if fullSweep() {
		chains = 8
	}
	for i, img := range images {
		if i%stride(13) != 0 {
			continue
		}
		for c := range chains {
			seed := uint64(i*chains + c)
			rng := rand.New(rand.NewPCG(seed, 3))
			pick := func() simdisk.CrashMode { return crashModes[rng.IntN(len(crashModes))] }
			trail := []string{fmt.Sprintf("at operation %d, %v", i, img.op)}
			d := crashed(img.disk, pick(), seed)
			for range depth {
				mode := pick()
				next, op, err := crashInOpen(d, clock, 1+rng.IntN(50))
				if err != nil {
					t.Errorf("open after crashes %v: %v", trail, err)
				}
				if op.Kind != "" {
					inside++
				}
				trail = append(trail, fmt.Sprintf("%s at %v", mode, op))
				d = crashed(next, mode, rng.Uint64())
			}
			if err := s.survives(d, clock, img.acked, img.tried); err != nil {
				t.Errorf("crashes %v: %v", trail, err)
			}
			runs++
		}
	}
	t.Logf("%d chains of %d crashes, %d inside the recovery, in %v", runs, depth+1, inside, time.Since(start).Round(time.Millisecond))
}

// crashInOpen opens d and answers the disk as it was at the nth operation of that
// which changed it, or at the end when there were fewer.
func crashInOpen(d *simdisk.Disk, clock *rigClock, nth int) (at *simdisk.Disk, op simdisk.Op, err error) {
	var mu sync.Mutex
	d.OnOp(func(o simdisk.Op) {
		mu.Lock()
		defer mu.Unlock()
		if changes(o) {
			if nth--; nth == 0 {
				at, op = d.Clone(), o
			}
		}
	})
	p := newProcess(d, clock, nil)
	if err := p.open(); err != nil {
		return d, op, err
	}
	d.OnOp(nil)
	mu.Lock() // what Pebble removes in its background may still be in the hook
	nth = -1  // and finds it over
	if at == nil {
		at = d.Clone()
	}
	mu.Unlock()
	return at, op, p.Close()
}

// TestReadDuringSync stops a commit inside the sync of the log: until that has
// ended nobody reads, lists, replays or is told anything of it (G4).
func TestReadDuringSync(t *testing.T) {
	d := simdisk.NewDisk(simdisk.DiskOptions{Seed: 1})
	p := openOn(t, d, &rigClock{})
	var s script
	ok(t, s.commits(p, 3))
	inSync, goOn := make(chan struct{}), make(chan struct{})
	var once sync.Once
	d.OnOp(func(op simdisk.Op) {
		if op.Kind == simdisk.OpSync && op.Class == simdisk.ClassWAL {
			once.Do(func() { close(inSync); <-goOn })
		}
	})
	committed := make(chan error, 1)
	go func() { committed <- s.commit(p, put("ann", "seen", 99), put("new", "key", 1)) }()
	select {
	case <-inSync:
	case err := <-committed:
		t.Fatalf("the commit was answered without a sync: %v", err)
	}
	before := &script{attempts: s.attempts[:3:3]}
	n, err := before.check(p, 3, 3)
	if err != nil || n != 3 {
		t.Errorf("during the sync of commit 4 the store is not as after commit 3: %v", err)
	}
	select {
	case err := <-committed:
		t.Errorf("the commit was answered before its sync ended: %v", err)
	default:
	}
	close(goOn)
	ok(t, <-committed)
	s.mustCheck(t, p, 4, 4)
	ok(t, p.Close())
}
