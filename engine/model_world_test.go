package engine_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"statehouse.dev/statehouse/engine"
	"statehouse.dev/statehouse/sim/simdisk"
)

// What the tests that step the engine by hand share: one goroutine, a simulated
// disk, a clock that stands still until it is told, and seeded randomness.

// tester is what *testing.T and *rapid.T have in common.
type tester interface {
	Helper()
	Fatalf(format string, args ...any)
}

const worldDir = "/data"

// A world is an engine and everything it may ask of the outside. Whoever waits
// in it steps the engine, so that no test needs a second goroutine.
type world struct {
	*engine.Engine
	t     tester
	disk  *simdisk.Disk
	clock time.Time
	rand  *rand.ChaCha8
	opts  engine.Options
	// impatient requests give up instead of waiting. What they asked for stays
	// queued: their outcome is unknown until somebody steps.
	impatient bool
	passes    time.Duration // of the clock, before each step that a request waits for
	ids       int           // of transactions that tests made
	halts     atomic.Int32  // Pebble's goroutines may find the failure first
	steps     func() bool   // does a step; nil: as the engine does
}

// Step does a step.
func (w *world) Step() bool {
	if w.steps != nil {
		return w.steps()
	}
	return w.Engine.Step()
}

// Plan plans a step and applies it.
func (w *world) Plan() bool { return planAndApply(w.Engine) }

var errGaveUp = errors.New("gave up waiting")

// newWorld makes a new store on an empty disk. A zero Limits means the defaults.
func newWorld(t tester, seed uint64, l engine.Limits) *world {
	t.Helper()
	var key [32]byte
	key[0], key[1] = byte(seed), byte(seed>>8)
	if l.DiskReserve == 0 {
		l.DiskReserve = 1 << 20 // its eighth is laid as ballast
	}
	w := &world{
		t: t, disk: simdisk.NewDisk(simdisk.DiskOptions{Seed: seed}), rand: rand.NewChaCha8(key),
		clock: time.Unix(1_800_000_000, 0).UTC(),
		opts: engine.Options{
			Dir: worldDir, Limits: l,
			Tuning: engine.Tuning{MemTableBytes: 1 << 20, CacheBytes: 1 << 20, ManualCompaction: true, LookedRows: []int{1, 3, 20, 0}[seed%4]},
		},
	}
	w.start()
	return w
}

func (w *world) env() engine.Env {
	return engine.Env{
		FS:    w.disk,
		Now:   func() time.Time { return w.clock },
		Rand:  func(p []byte) { _, _ = w.rand.Read(p) }, // never fails
		Await: w.await,
		Halt:  func(error) { w.halts.Add(1) },
	}
}

func (w *world) await(_ context.Context, ready <-chan struct{}) error {
	for {
		select {
		case <-ready:
			return nil
		default:
		}
		if w.impatient {
			return errGaveUp
		}
		w.clock = w.clock.Add(w.passes)
		if !w.Step() {
			w.t.Fatalf("G9: a request waits, nothing is queued, and nobody will ever answer it")
		}
	}
}

// start opens the store.
func (w *world) start() {
	w.t.Helper()
	if err := w.tryStart(); err != nil {
		w.t.Fatalf("G1: the store does not open: %v; %+v", err, w.disk.Aftermath())
	}
}

func (w *world) tryStart() (err error) {
	w.halts.Store(0)
	w.Engine, err = engine.Open(w.env(), w.opts)
	return err
}

// restart closes the store cleanly and opens it again.
func (w *world) restart() {
	w.t.Helper()
	w.close()
	w.start()
}

func (w *world) close() {
	w.t.Helper()
	if err := w.Close(); err != nil {
		w.t.Fatalf("closing: %v", err)
	}
}

// crash cuts the power; next is what the next process will find. The old engine is
// closed on its dead disk, where nothing that it still does can reach next.
func (w *world) crash(o simdisk.CrashOptions) {
	next := w.disk.Crash(o)
	_ = w.Close() // it may complain about whatever it likes
	w.disk = next
}

// verify holds the store, which nobody has open, to Verify.
func (w *world) verify(when string) engine.Report {
	w.t.Helper()
	r, err := engine.Verify(w.env(), w.opts.Dir, nil)
	if err != nil {
		w.t.Fatalf("G8: verify %s: %v; %+v", when, err, w.disk.Aftermath())
	}
	return r
}

// abandon runs a request that gives up at once.
func (w *world) abandon(request func() error) error {
	w.impatient = true
	defer func() { w.impatient = false }()
	return request()
}

// now is the state as of the last published commit.
func (w *world) now() engine.Snapshot {
	w.t.Helper()
	return w.at(engine.At{})
}

func (w *world) at(at engine.At) engine.Snapshot {
	w.t.Helper()
	s, err := w.Snapshot(at)
	if err != nil {
		w.t.Fatalf("G3: snapshot: %v", err)
	}
	return s
}
