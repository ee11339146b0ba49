package simdisk_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2"

	"statehouse.dev/statehouse/sim/simdisk"
)

// quiet is a Pebble logger that notes a fatal error and lets Pebble go on.
type quiet struct {
	mu    sync.Mutex
	fatal []string
}

func (q *quiet) Infof(string, ...any)  {}
func (q *quiet) Errorf(string, ...any) {}
func (q *quiet) Fatalf(format string, args ...any) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.fatal = append(q.fatal, fmt.Sprintf(format, args...))
}

func openPebble(d *simdisk.Disk) (*pebble.DB, *quiet, error) {
	log := &quiet{}
	db, err := pebble.Open("/data/store", &pebble.Options{
		FS:                          d,
		Logger:                      log,
		FormatMajorVersion:          pebble.FormatValueSeparation,
		DisableAutomaticCompactions: true,
		MemTableSize:                1 << 20,
		CacheSize:                   1 << 20,
	})
	return db, log, err
}

// commit writes key n, synced, with a value that says it is key n's.
func commit(db *pebble.DB, rng *rand.Rand, n uint64) error {
	b := db.NewBatch()
	size := 8 + rng.IntN(1500)
	if rng.IntN(16) == 0 {
		size += rng.IntN(50_000) // several blocks of the log
	}
	if err := b.Set(key(n), bytes.Repeat(key(n), size/8), nil); err != nil {
		return err
	}
	if err := db.ApplyNoSyncWait(b, pebble.Sync); err != nil {
		return err
	}
	return errors.Join(b.SyncWait(), b.Close())
}

func key(n uint64) []byte { return binary.BigEndian.AppendUint64(nil, n) }

// survivors counts the keys from 0 up that are there, and fails on a wrong value
// or a key after a gap.
func survivors(t *testing.T, db *pebble.DB) uint64 {
	t.Helper()
	iter, err := db.NewIter(nil)
	must(t, err)
	var n uint64
	for iter.First(); iter.Valid(); iter.Next() {
		v := iter.Value()
		if !bytes.Equal(iter.Key(), key(n)) || !bytes.Equal(v, bytes.Repeat(key(n), len(v)/8)) {
			t.Fatalf("entry %d has key %x and %d bytes", n, iter.Key(), len(v))
		}
		n++
	}
	must(t, errors.Join(iter.Error(), iter.Close()))
	return n
}

// TestPebbleKeepsAcknowledgedCommits runs a real store through 200 synced commits
// in every mode, with crashes before and after operations on its log drawn at
// random. Acknowledged is what was committed before the crash.
func TestPebbleKeepsAcknowledgedCommits(t *testing.T) {
	for _, mode := range simdisk.CrashModes() {
		t.Run(string(mode), func(t *testing.T) {
			t.Parallel()
			rng := rand.New(rand.NewPCG(1, 2))
			d := simdisk.NewDisk(simdisk.DiskOptions{Seed: 3})
			var acked, crashes, extra uint64
			for acked < 200 {
				next, now := runUntilCrash(t, d, mode, rng, acked)
				crashes++
				db, _, err := openPebble(next)
				if err != nil {
					t.Fatalf("reopening after crash %d, %+v: %v", crashes, next.Aftermath(), err)
				}
				n := survivors(t, db)
				if n < now {
					t.Fatalf("%d commits were acknowledged, %d are there; %+v", now, n, next.Aftermath())
				}
				extra += n - now
				acked = n
				// Close it politely only sometimes: recovery must cope with both.
				if rng.IntN(2) == 0 {
					must(t, db.Close())
					d = next
				} else {
					d = next.Crash(simdisk.CrashOptions{Mode: mode, Seed: rng.Uint64()})
					must(t, db.Close())
				}
			}
			t.Logf("%d crashes, %d commits survived unacknowledged", crashes, extra)
		})
	}
}

// runUntilCrash commits keys from n on until the disk dies, and returns what the
// crash left and the number of keys that were acknowledged.
func runUntilCrash(
	t *testing.T, d *simdisk.Disk, mode simdisk.CrashMode, rng *rand.Rand, n uint64,
) (*simdisk.Disk, uint64) {
	t.Helper()
	var next *simdisk.Disk
	seed := rng.Uint64()
	d.OnCrash(func() { next = d.Crash(simdisk.CrashOptions{Mode: mode, Seed: seed}) })
	must(t, d.Arm(simdisk.Fault{
		Kind: simdisk.PowerCut, File: string(simdisk.ClassWAL), Nth: 1 + rng.IntN(20), Count: 1,
		Op:   []simdisk.OpKind{simdisk.OpWrite, simdisk.OpSync}[rng.IntN(2)],
		When: []simdisk.When{simdisk.Before, simdisk.After}[rng.IntN(2)],
	}))
	db, log, err := openPebble(d)
	if err != nil && !d.Dead() {
		t.Fatalf("opening: %v", err)
	}
	for !d.Dead() {
		must(t, commit(db, rng, n))
		if !d.Dead() {
			n++
		}
		if rng.IntN(40) == 0 {
			must(t, db.Flush())
		}
	}
	must(t, db.Close())
	if len(log.fatal) > 0 {
		t.Fatalf("fatal: %v", log.fatal)
	}
	return next, n
}

// TestPebbleSurvivesACrashAtAnyOperation also crashes inside recovery, flush and
// compaction, at the n-th of all operations: which one that is may differ from run
// to run, since some happen in the background, so this shakes the disk and Pebble
// rather than repeating anything.
func TestPebbleSurvivesACrashAtAnyOperation(t *testing.T) {
	for seed := range uint64(10) {
		rng := rand.New(rand.NewPCG(seed, 0))
		d := simdisk.NewDisk(simdisk.DiskOptions{})
		var acked uint64
		for range 6 {
			opts := simdisk.CrashOptions{
				Mode: simdisk.CrashModes()[rng.IntN(len(simdisk.CrashModes()))], Seed: rng.Uint64(),
			}
			var next atomic.Pointer[simdisk.Disk]
			var left atomic.Int64
			left.Store(1 + rng.Int64N(120))
			d.OnOp(func(simdisk.Op) {
				if left.Add(-1) == 0 {
					next.Store(d.Crash(opts))
				}
			})
			db, _, err := openPebble(d)
			if err == nil {
				acked = useUntilDead(t, d, db, rng, acked)
				err = db.Close()
			}
			if err != nil {
				t.Fatalf("seed %d: %v", seed, err)
			}
			d = next.Load()
		}
	}
}

// useUntilDead checks that what was acknowledged is there, then commits, flushes and
// compacts until the disk dies. It returns what is acknowledged by then.
func useUntilDead(
	t *testing.T, d *simdisk.Disk, db *pebble.DB, rng *rand.Rand, acked uint64,
) uint64 {
	t.Helper()
	n := survivors(t, db)
	if n < acked {
		t.Fatalf("%d commits were acknowledged, %d are there", acked, n)
	}
	for !d.Dead() {
		must(t, commit(db, rng, n))
		if !d.Dead() {
			acked = n + 1
		}
		n++
		if rng.IntN(8) == 0 {
			must(t, db.Flush())
		}
		if rng.IntN(20) == 0 {
			must(t, db.Compact(context.Background(), key(0), key(1<<60), false))
		}
	}
	return acked
}

// TestPebbleLosesWhatTheDiskLiedAbout is the canary of the test above: with a disk
// that lies it must see commits go missing.
func TestPebbleLosesWhatTheDiskLiedAbout(t *testing.T) {
	d := simdisk.NewDisk(simdisk.DiskOptions{})
	must(t, d.Arm(parse(t, "sync-lie file=wal nth=4 count=forever")))
	db, _, err := openPebble(d)
	must(t, err)
	rng := rand.New(rand.NewPCG(1, 2))
	for n := range uint64(20) {
		must(t, commit(db, rng, n))
	}
	next := d.Crash(simdisk.CrashOptions{Mode: simdisk.DropAll})
	must(t, db.Close())
	db, _, err = openPebble(next)
	must(t, err)
	if n := survivors(t, db); n >= 20 {
		t.Errorf("%d commits survived", n)
	}
	must(t, db.Close())
}

// commitOrPanic is commit, with a panic as its error: Pebble panics when the goroutine that
// writes the log has failed by the time that a record is added. The database cannot be used,
// nor closed, after that.
func commitOrPanic(db *pebble.DB, rng *rand.Rand, n uint64) (panicked bool, err error) {
	defer func() {
		if p := recover(); p != nil {
			panicked, err = true, p.(error)
		}
	}()
	return false, commit(db, rng, n)
}

// TestPebbleReportsWALSyncError holds what the engine rests on: through
// ApplyNoSyncWait and SyncWait a failed sync is an error, and later ones are too.
func TestPebbleReportsWALSyncError(t *testing.T) {
	for _, fault := range []string{
		"sync-error file=wal nth=5", "sync-error-after file=wal nth=5",
		"write-error file=wal nth=5", "enospc file=wal nth=5",
	} {
		d := simdisk.NewDisk(simdisk.DiskOptions{})
		db, _, err := openPebble(d)
		must(t, err)
		must(t, d.Arm(parse(t, fault)))
		rng := rand.New(rand.NewPCG(1, 2))
		var n uint64
		panicked := false
		for err = error(nil); err == nil && n < 20; n++ {
			panicked, err = commitOrPanic(db, rng, n)
		}
		if !errors.Is(err, syscall.EIO) && !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("%s: commit %d: %v", fault, n, err)
		}
		if !panicked {
			if panicked, err = commitOrPanic(db, rng, n+1); err == nil {
				t.Errorf("%s: the commit after it succeeded", fault)
			}
		}
		next := d.Crash(simdisk.CrashOptions{Mode: simdisk.DropAll})
		if !panicked {
			_ = db.Close()
		}
		db, _, err = openPebble(next)
		must(t, err)
		if got := survivors(t, db); got < n-1 {
			t.Errorf("%s: %d commits acknowledged, %d there", fault, n-1, got)
		}
		must(t, db.Close())
	}
}

// TestPebbleSurvivesSSTableErrors: a burst of errors in a flush is retried.
func TestPebbleSurvivesSSTableErrors(t *testing.T) {
	for _, fault := range []string{
		"write-error file=sstable count=3", "sync-error file=sstable count=3",
		"create-error file=sstable count=3", "enospc file=sstable count=3",
	} {
		d := simdisk.NewDisk(simdisk.DiskOptions{})
		db, _, err := openPebble(d)
		must(t, err)
		must(t, d.Arm(parse(t, fault)))
		rng := rand.New(rand.NewPCG(1, 2))
		for n := range uint64(10) {
			must(t, commit(db, rng, n))
		}
		must(t, db.Flush())
		if got := len(d.Injected()); got != 3 {
			t.Errorf("%s: struck %d times", fault, got)
		}
		if got := survivors(t, db); got != 10 {
			t.Errorf("%s: %d commits there", fault, got)
		}
		must(t, db.Close())
	}
}
