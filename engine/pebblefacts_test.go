package engine_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2"

	"statehouse.dev/statehouse/engine"
	"statehouse.dev/statehouse/sim/simdisk"
)

// What the engine rests on and Pebble does not promise. Each fact is of this
// version of Pebble: when an upgrade breaks one of these tests, the measure that
// it names has to be thought through again.

const factDir = "/store"

// factLog notes fatal errors and lets Pebble go on, as a careless logger would.
type factLog struct {
	mu    sync.Mutex
	fatal []string
}

func (l *factLog) Infof(string, ...any)  {}
func (l *factLog) Errorf(string, ...any) {}
func (l *factLog) Fatalf(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.fatal = append(l.fatal, fmt.Sprintf(format, args...))
}

func (l *factLog) fatals() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.fatal)
}

func factOptions(d *simdisk.Disk) (*pebble.Options, *factLog) {
	log := &factLog{}
	return &pebble.Options{
		FS: d, Logger: log, FormatMajorVersion: engine.PebbleFormat, DisableAutomaticCompactions: true,
		MemTableSize: 1 << 20, CacheSize: 1 << 20,
	}, log
}

func openFact(t *testing.T, d *simdisk.Disk) (*pebble.DB, *factLog) {
	t.Helper()
	o, log := factOptions(d)
	db, err := pebble.Open(factDir, o)
	if err != nil {
		t.Fatal(err)
	}
	return db, log
}

// openLaterWAL makes a store and leaves its first WAL behind.
func openLaterWAL(t *testing.T, d *simdisk.Disk) (*pebble.DB, *factLog) {
	t.Helper()
	db, log := openFact(t, d)
	ok(t, db.Set([]byte("first"), nil, pebble.Sync))
	ok(t, db.Flush())
	return db, log
}

func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// sets commits count keys, synced, from number first on.
func sets(t *testing.T, db *pebble.DB, first, count, size int) {
	t.Helper()
	for i := range count {
		ok(t, db.Set(fmt.Appendf(nil, "key-%04d", first+i), make([]byte, size), pebble.Sync))
	}
}

// present counts the keys that sets made and that are there.
func present(t *testing.T, db *pebble.DB) (n int) {
	t.Helper()
	it, err := db.NewIter(&pebble.IterOptions{LowerBound: []byte("key-"), UpperBound: []byte("key.")})
	ok(t, err)
	for it.First(); it.Valid(); it.Next() {
		n++
	}
	ok(t, errors.Join(it.Error(), it.Close()))
	return n
}

// newest is the file of a class that Pebble wrote last.
func newest(t *testing.T, d *simdisk.Disk, class simdisk.Class) simdisk.FileStat {
	t.Helper()
	files := slices.DeleteFunc(d.Files(), func(f simdisk.FileStat) bool { return f.Class != class })
	if len(files) == 0 {
		t.Fatalf("there is no %s file", class)
	}
	return files[len(files)-1]
}

// Why readers see published only (G4): Pebble shows a write before it is synced.
func TestPebbleShowsWriteBeforeSync(t *testing.T) {
	d := simdisk.NewDisk(simdisk.DiskOptions{})
	db, _ := openFact(t, d)
	inSync, goOn := make(chan struct{}), make(chan struct{})
	var once sync.Once
	d.OnOp(func(op simdisk.Op) {
		if op.Kind == simdisk.OpSync && op.Class == simdisk.ClassWAL {
			once.Do(func() { close(inSync); <-goOn })
		}
	})
	b := db.NewBatch()
	ok(t, b.Set([]byte("key-1"), nil, nil))
	ok(t, db.ApplyNoSyncWait(b, pebble.Sync))
	<-inSync
	if present(t, db) != 1 {
		t.Error("the write is not readable while its sync goes on")
	}
	after, _ := openFact(t, crashed(d, simdisk.DropAll, 0))
	if present(t, after) != 0 {
		t.Error("the write has survived a crash during its sync")
	}
	close(goOn)
	ok(t, errors.Join(b.SyncWait(), db.Close(), after.Close()))
}

// Why commits go through ApplyNoSyncWait and SyncWait: that way a failure of the
// log is an error. Later commits fail, too.
func TestPebbleSyncWaitAnswersError(t *testing.T) {
	for _, fault := range []string{"sync-error", "sync-error-after", "write-error", "enospc"} {
		t.Run(fault, func(t *testing.T) {
			d := simdisk.NewDisk(simdisk.DiskOptions{})
			db, log := openLaterWAL(t, d)
			arm(t, d, fault+" file=wal")
			for range 2 {
				b := db.NewBatch()
				ok(t, b.Set([]byte("key-1"), nil, nil))
				err := db.ApplyNoSyncWait(b, pebble.Sync)
				if err == nil {
					err = b.SyncWait()
				}
				if !errors.Is(err, syscall.EIO) && !errors.Is(err, syscall.ENOSPC) {
					t.Errorf("the commit answered %v", err)
				}
			}
			if n := log.fatals(); n > 0 {
				t.Errorf("Fatalf was called: %v", log.fatal)
			}
			if len(d.Injected()) != 1 {
				t.Errorf("the fault struck %d times", len(d.Injected()))
			}
		})
	}
}

// Why nothing commits with pebble.Sync where an acknowledgement depends on it: it
// calls Fatalf, and when that returns, answers nil for a commit that is not there.
func TestPebbleCommitFalselyAcknowledges(t *testing.T) {
	d := simdisk.NewDisk(simdisk.DiskOptions{})
	db, log := openLaterWAL(t, d)
	arm(t, d, "sync-error file=wal")
	if err := db.Set([]byte("key-1"), nil, pebble.Sync); err != nil {
		t.Errorf("the commit answered %v: Pebble has become better", err)
	}
	if log.fatals() == 0 {
		t.Error("Fatalf was not called")
	}
	after, _ := openFact(t, crashed(d, simdisk.DropAll, 0))
	if present(t, after) != 0 {
		t.Error("the commit is there")
	}
	ok(t, after.Close())
}

// Why the witness exists: damage in the last 32 KiB block of the WAL ends the log
// there without a word. And why the format is pinned and the first WAL left
// behind at once: only so is damage before that an error.
func TestPebbleCorruptWAL(t *testing.T) {
	const block = 32 << 10
	old := func(o *pebble.Options) { o.FormatMajorVersion = 0 } // what Pebble takes by default
	for _, c := range []struct {
		name     string
		firstWAL bool
		change   func(*pebble.Options)
		after    int // bytes in the log after the damage
		silent   bool
	}{
		{"last block", false, nil, 1 << 10, true},
		{"a block before", false, nil, block + 8<<10, false},
		{"first WAL of a store", true, nil, 3 * block, true},
		{"format not pinned", false, old, 3 * block, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := simdisk.NewDisk(simdisk.DiskOptions{})
			o, _ := factOptions(d)
			if c.change != nil {
				c.change(o)
			}
			db, err := pebble.Open(factDir, o)
			ok(t, err)
			if !c.firstWAL {
				ok(t, db.Set([]byte("first"), nil, pebble.Sync))
				ok(t, db.Flush())
			}
			sets(t, db, 0, 10, 100)
			many := c.after / 1024
			sets(t, db, 10, many, 1000)
			ok(t, db.Close())
			wal := newest(t, d, simdisk.ClassWAL)
			ok(t, d.FlipBit(wal.Path, 500, 3))
			o, _ = factOptions(d)
			db, err = pebble.Open(factDir, o)
			if !c.silent {
				if !pebble.IsCorruptionError(err) {
					t.Fatalf("open answered %v, want corruption", err)
				}
				return
			}
			ok(t, err)
			if n := present(t, db); n >= 10 {
				t.Errorf("%d of %d keys are there: the damage was harmless", n, 10+many)
			}
			ok(t, db.Close())
		})
	}
}

// Why the witness exists, again: a WAL that is cut or gone is taken for the end.
func TestPebbleLostWAL(t *testing.T) {
	for what, lose := range map[string]func(d *simdisk.Disk, f simdisk.FileStat) error{ // the order of cases does not matter
		"cut":  func(d *simdisk.Disk, f simdisk.FileStat) error { return d.Truncate(f.Path, 500) },
		"gone": func(d *simdisk.Disk, f simdisk.FileStat) error { return d.RemoveFile(f.Path) },
	} {
		d := simdisk.NewDisk(simdisk.DiskOptions{})
		db, _ := openLaterWAL(t, d)
		sets(t, db, 0, 10, 100)
		ok(t, db.Close())
		ok(t, lose(d, newest(t, d, simdisk.ClassWAL)))
		db, _ = openFact(t, d)
		if n := present(t, db); n >= 10 {
			t.Errorf("%s: %d keys are there", what, n)
		}
		ok(t, db.Close())
	}
}

// tables makes a store with 40 keys in tables. It flushes more than once, since a
// WAL is kept for reuse, and would be replayed where the flush is forgotten.
func tables(t *testing.T) *simdisk.Disk {
	t.Helper()
	d := simdisk.NewDisk(simdisk.DiskOptions{})
	db, _ := openLaterWAL(t, d)
	for i := range 4 {
		sets(t, db, 10*i, 10, 100)
		ok(t, db.Flush())
	}
	ok(t, db.Close())
	return d
}

// Why an existing store is opened with ErrorIfNotExists: without its marker it is
// taken for a new one.
func TestPebbleLostMarker(t *testing.T) {
	d := tables(t)
	for _, f := range d.Files() {
		if strings.Contains(f.Path, "marker.manifest") {
			ok(t, d.RemoveFile(f.Path))
		}
	}
	o, _ := factOptions(d.Clone())
	o.ErrorIfNotExists = true
	if _, err := pebble.Open(factDir, o); !errors.Is(err, pebble.ErrDBDoesNotExist) {
		t.Errorf("with ErrorIfNotExists open answered %v", err)
	}
	db, _ := openFact(t, d)
	if n := present(t, db); n >= 40 {
		t.Errorf("%d of 40 keys are there", n)
	}
	ok(t, db.Close())
}

// Why Open may publish what it recovered: Pebble has made it durable by then,
// even what was in the WAL without being synced.
func TestPebbleRecoveryIsDurable(t *testing.T) {
	d := simdisk.NewDisk(simdisk.DiskOptions{})
	db, _ := openLaterWAL(t, d)
	arm(t, d, "sync-lie file=wal count=forever")
	sets(t, db, 0, 10, 100)
	killed := d.Clone() // the process is gone, what it wrote is in the page cache
	before, _ := openFact(t, crashed(killed, simdisk.DropAll, 0))
	if n := present(t, before); n != 0 {
		t.Fatalf("%d keys were durable before the recovery", n)
	}
	recovered, _ := openFact(t, killed)
	if n := present(t, recovered); n != 10 {
		t.Fatalf("%d keys were recovered", n)
	}
	after, _ := openFact(t, crashed(killed, simdisk.DropAll, 0))
	if n := present(t, after); n != 10 {
		t.Errorf("%d keys are left of 10 that were recovered", n)
	}
	ok(t, errors.Join(db.Close(), before.Close(), recovered.Close(), after.Close()))
}

// Why damage below the WAL needs no measure but the witness and a handler.
func TestPebbleDamagedTables(t *testing.T) {
	t.Run("missing table", func(t *testing.T) {
		d := tables(t)
		ok(t, d.RemoveFile(newest(t, d, simdisk.ClassSSTable).Path))
		o, _ := factOptions(d)
		_, err := pebble.Open(factDir, o)
		if err == nil || pebble.IsCorruptionError(err) {
			t.Errorf("open answered %v, want an error that is not marked as corruption", err)
		}
	})
	t.Run("manifest", func(t *testing.T) {
		// As in a WAL, damage in the last block is taken for the end, wherever in it:
		// Pebble opens with the version before, and removes what that does not name.
		d := tables(t)
		f := newest(t, d, simdisk.ClassManifest)
		ok(t, d.FlipBit(f.Path, f.Size/2, 0))
		db, _ := openFact(t, d)
		if n := present(t, db); n >= 40 {
			t.Errorf("%d of 40 keys are there", n)
		}
		ok(t, db.Close())
	})
	t.Run("bit rot in a table", func(t *testing.T) {
		d := tables(t)
		ok(t, d.FlipBit(newest(t, d, simdisk.ClassSSTable).Path, 20, 0))
		o, log := factOptions(d)
		met := 0
		o.EventListener = &pebble.EventListener{DataCorruption: func(pebble.DataCorruptionInfo) { met++ }}
		db, err := pebble.Open(factDir, o)
		ok(t, err)
		if _, _, err := db.Get([]byte("key-0033")); !pebble.IsCorruptionError(err) {
			t.Errorf("get answered %v, want corruption", err)
		}
		if met == 0 || log.fatals() > 0 {
			t.Errorf("the handler was called %d times, Fatalf %d times", met, log.fatals())
		}
		ok(t, db.Close())
	})
}

// The number is what the tests above were measured with; a store keeps it.
func TestPebbleFormatIsPinned(t *testing.T) {
	if engine.PebbleFormat != 24 {
		t.Fatalf("Pebble's format is %d: measure again what shared facts rest on 24", engine.PebbleFormat)
	}
	d := simdisk.NewDisk(simdisk.DiskOptions{})
	db, _ := openFact(t, d)
	if v := db.FormatMajorVersion(); v != 24 {
		t.Errorf("a store of format 24 says %d", v)
	}
	ok(t, db.Close())
	marked := slices.ContainsFunc(d.Files(), func(f simdisk.FileStat) bool {
		return strings.HasPrefix(f.Path, factDir+"/marker.format-version.") && strings.HasSuffix(f.Path, ".024")
	})
	if !marked {
		t.Errorf("no marker says format 24: %v", d.Files())
	}
}

// arm sets faults on a disk, given as text.
func arm(t *testing.T, d *simdisk.Disk, faults ...string) {
	t.Helper()
	for _, s := range faults {
		f, err := simdisk.ParseFault(s)
		ok(t, err)
		ok(t, d.Arm(f))
	}
}
