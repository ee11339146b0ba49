package engine_test

import (
	"fmt"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"statehouse.dev/statehouse/engine"
	"statehouse.dev/statehouse/sim/simdisk"
)

// A disk of this many bytes gets a reserve of a quarter and a ballast of an
// eighth of that.
const smallDisk = 8 << 20

func onSmallDisk(t *testing.T) (*process, *script) {
	t.Helper()
	p := openOn(t, simdisk.NewDisk(simdisk.DiskOptions{Seed: 1, Capacity: smallDisk}), &rigClock{})
	s := &script{}
	ok(t, s.commits(p, 3))
	return p, s
}

func free(t *testing.T, d *simdisk.Disk) uint64 {
	t.Helper()
	u, err := d.GetDiskUsage("/")
	ok(t, err)
	return u.AvailBytes
}

func exists(d *simdisk.Disk, path string) bool {
	_, err := d.Stat(path)
	return err == nil
}

// fillByOthers leaves so many bytes free, or fewer by a sector.
func fillByOthers(t *testing.T, d *simdisk.Disk, leave uint64) {
	t.Helper()
	f, err := d.Create("/of-others", vfs.WriteCategoryUnspecified)
	ok(t, err)
	ok(t, f.Preallocate(0, int64(free(t, d)-leave)&^511))
	ok(t, f.Close())
}

// TestDiskFillsUp writes until the disk is nearly full: writes are refused before
// it is, reads go on, an open transaction keeps what it has, and all of it works
// again when there is space.
func TestDiskFillsUp(t *testing.T) {
	p, s := onSmallDisk(t)
	if !exists(p.disk, rigDir+"/ballast") {
		t.Error("there is no ballast")
	}
	txn, _, _, err := p.Begin(nil)
	ok(t, err)
	ok(t, p.Stage(txn, put("ann", "staged", 1)))
	within(t, "filling the disk", func() {
		for i := 0; err == nil && i < 1000; i++ {
			before := s.fork(len(s.attempts))
			if err = s.commit(p, putBig("bob", fmt.Sprint("big-", i%5), 50<<10+i)); err != nil {
				s = before
			}
		}
	})
	wantKind(t, "a commit on a nearly full disk", err, engine.ErrDiskFull)
	if !p.said("the disk fills up") {
		t.Error("nobody was told before")
	}
	if left := free(t, p.disk); left < smallDisk/8 {
		t.Errorf("%d bytes were free when writes were refused: too few for what is under way", left)
	}
	_, err = p.Commit(t.Context(), txn, engine.Conditions{})
	wantKind(t, "an open transaction", err, engine.ErrDiskFull)
	ok(t, p.Healthy())
	wantKind(t, "the status", p.Status().Refused, engine.ErrDiskFull)
	s.mustCheck(t, p, len(s.attempts), len(s.attempts))
	p.Tick()
	wantKind(t, "a commit after a look at the disk", s.fork(len(s.attempts)).commit(p, put("ann", "a", 1)), engine.ErrDiskFull)

	p.disk.SetCapacity(4 * smallDisk)
	p.Tick()
	if !p.said("there is space on the disk again") {
		t.Error("nobody was told that there is space")
	}
	if r, err := p.Commit(t.Context(), txn, engine.Conditions{}); err != nil || int(r.CommitTS) != len(s.attempts)+1 {
		t.Errorf("the open transaction: %v, %v", r, err)
	}
	ok(t, p.Close())
	_, err = verifyOn(p.disk)
	ok(t, err)
}

// TestDiskFilledByOthers takes the last byte away between two looks at the disk.
// A commit that meets that halts the process; what only has to write tables gets
// the ballast, goes on, and writes are refused.
func TestDiskFilledByOthers(t *testing.T) {
	t.Run("commit", func(t *testing.T) {
		p, s := onSmallDisk(t)
		q := newProcess(p.disk, p.clock, nil)
		ok(t, p.Close())
		ok(t, q.open())
		fillByOthers(t, q.disk, 0)
		err := s.commit(q, putBig("ann", "big", 60<<10))
		wantKind(t, "the commit", err, engine.ErrOutcomeUnknown)
		if q.halts.Load() != 1 {
			t.Errorf("Halt was called %d times", q.halts.Load())
		}
		image := q.disk.Clone()
		ok(t, image.RemoveFile("/of-others"))
		ok(t, s.survives(image, q.clock, 3, 4))
	})
	for _, refusedBefore := range []bool{false, true} {
		t.Run(fmt.Sprintf("flush, writes refused before is %v", refusedBefore), func(t *testing.T) {
			p, s := onSmallDisk(t)
			ok(t, s.commit(p, putBig("ann", "big", 60<<10)))
			// A few sectors are left, so that the log can be closed and the next begun.
			fillByOthers(t, p.disk, 8<<10)
			if refusedBefore {
				p.Tick()
				wantKind(t, "a commit", s.fork(4).commit(p, put("ann", "a", 1)), engine.ErrDiskFull)
			}
			within(t, "a flush on a full disk", func() { ok(t, p.Flush()) })
			if exists(p.disk, rigDir+"/ballast") {
				t.Error("the ballast is still there")
			}
			wantKind(t, "a commit", s.fork(4).commit(p, put("ann", "a", 1)), engine.ErrDiskFull)
			s.mustCheck(t, p, 4, 4)
			ok(t, p.disk.RemoveFile("/of-others"))
			p.Tick()
			ok(t, s.commit(p, put("ann", "a", 1)))
			if !exists(p.disk, rigDir+"/ballast") {
				t.Error("the ballast was not laid again")
			}
			ok(t, p.Close())
			ok(t, s.survives(p.disk, p.clock, 5, 5))
		})
	}
}

// TestTablesFindNoSpace: while no table can be written reads go on and writes are
// refused, for however long that lasts; then everything goes on.
func TestTablesFindNoSpace(t *testing.T) {
	d := simdisk.NewDisk(simdisk.DiskOptions{Seed: 1})
	p := openOn(t, d, &rigClock{})
	var s script
	ok(t, s.commits(p, 3))
	struck := make(chan struct{}, 1000)
	d.OnOp(func(op simdisk.Op) {
		if op.Kind == simdisk.OpWrite && op.Class == simdisk.ClassSSTable {
			select {
			case struck <- struct{}{}:
			default:
			}
		}
	})
	arm(t, d, "enospc file=sstable count=forever")
	flushed := make(chan error, 1)
	go func() { flushed <- p.Flush() }()
	for range 3 * 100 { // three times as long as any other error is put up with
		<-struck
	}
	wantKind(t, "a commit", s.fork(3).commit(p, put("ann", "a", 1)), engine.ErrDiskFull)
	ok(t, p.Healthy())
	s.mustCheck(t, p, 3, 3)
	d.OnOp(nil)
	d.Heal()
	within(t, "the flush", func() { ok(t, <-flushed) })
	p.Tick()
	ok(t, s.commit(p, put("ann", "a", 1)))
	ok(t, p.Close())
	ok(t, s.survives(d, p.clock, 4, 4))
}

// TestOpenOnFullDisk: a daemon that starts again on a full disk gives up the
// ballast for it, serves reads, and refuses writes from the first one on.
func TestOpenOnFullDisk(t *testing.T) {
	for _, flushed := range []bool{false, true} {
		for _, left := range []uint64{0, 2 << 10, 64 << 10} {
			t.Run(fmt.Sprintf("%d bytes free, flushed is %v", left, flushed), func(t *testing.T) {
				p, s := onSmallDisk(t)
				ok(t, s.commit(p, putBig("ann", "big", 60<<10)))
				if flushed {
					ok(t, p.Flush())
				}
				d := p.disk.Clone() // killed
				fillByOthers(t, d, left)
				q := newProcess(d, p.clock, func(err error) { t.Errorf("halted: %v", err) })
				within(t, "open", func() { ok(t, q.open()) })
				s.mustCheck(t, q, 4, 4)
				wantKind(t, "a commit", s.fork(4).commit(q, put("ann", "a", 1)), engine.ErrDiskFull)
				d = d.Clone()
				ok(t, d.RemoveFile("/of-others"))
				ok(t, s.survives(d, q.clock, 4, 4))
			})
		}
	}
}
