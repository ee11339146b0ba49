package backup_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"statehouse.dev/statehouse/engine"
	"statehouse.dev/statehouse/history/segment"
	"statehouse.dev/statehouse/server/backup"
	"statehouse.dev/statehouse/sim/simdisk"
)

// images keeps the disk at each operation that changes it, as do goes on.
func (r *rig) images(do func()) []*simdisk.Disk {
	var out []*simdisk.Disk
	take := func(op simdisk.Op) {
		if op.Kind != simdisk.OpRead && op.Kind != simdisk.OpOpen {
			out = append(out, r.disk.Clone())
		}
	}
	r.disk.OnOp(take)
	do()
	r.disk.OnOp(nil)
	return append(out, r.disk.Clone())
}

// sample takes every nth of a number of cases, and the last, unless all are asked for.
func sample(n, every int) (out []int) {
	if fullSweep() {
		every = 1
	}
	for i := 0; i < n-1; i += every {
		out = append(out, i)
	}
	return append(out, n-1)
}

// TestCrashInRestore cuts the power at every operation of a restore: what is left is the whole store, or
// none that anything takes for one.
func TestCrashInRestore(t *testing.T) {
	r := newRig(t, 6)
	r.commit(12)
	r.save("/backup", 0)
	images := r.images(func() {
		if _, err := r.restore(backup.RestoreOptions{From: "/backup", Dir: "/new/store", Unverified: true}); err != nil {
			t.Fatal(err)
		}
	})
	whole, none := 0, 0
	for _, i := range sample(len(images), 5) {
		for _, mode := range simdisk.CrashModes() {
			after := images[i].Clone().Crash(simdisk.CrashOptions{Mode: mode, Seed: uint64(i)})
			was := *r
			r.disk, r.env = after, r.envOn(after)
			r.env.Halt = func(err error) { t.Fatalf("image %d, %s: halted: %v", i, mode, err) }
			e, err := engine.Open(r.env, engine.Options{Dir: "/new/store", Tuning: tuning})
			switch {
			case err == nil && e.Published() == 12:
				whole++
				r.compareAt(e, 12)
				err = e.Close()
			case err == nil && e.Published() == 0: // nothing of the restore was on disk
				if _, missing := after.Stat("/new/store/RESTORING"); missing == nil {
					t.Fatalf("image %d, %s: a store was made where one was being restored", i, mode)
				}
				none++
				err = e.Close()
			case errors.Is(err, engine.ErrUnusable):
				none++
				err = nil
				if _, err := r.restore(backup.RestoreOptions{From: "/backup", Dir: "/new/store"}); !errors.Is(err, engine.ErrUnusable) {
					t.Fatalf("image %d, %s: restored over what was left: %v", i, mode, err)
				}
				if err := after.RemoveAll("/new/store"); err != nil {
					t.Fatal(err)
				}
				if _, err := r.restore(backup.RestoreOptions{From: "/backup", Dir: "/new/store"}); err != nil {
					t.Fatalf("image %d, %s: restored again: %v", i, mode, err)
				}
			}
			if err != nil {
				t.Fatalf("image %d of %d, %s: %v", i, len(images), mode, err)
			}
			r.disk, r.env, r.e = was.disk, was.env, was.e
		}
	}
	if whole == 0 || none == 0 {
		t.Errorf("%d crashes left a store, %d none", whole, none)
	}
	t.Logf("%d operations: %d crashes left a store, %d none", len(images), whole, none)
}

func (r *rig) archiver() *backup.Archiver {
	return backup.NewArchiver(r.e, &r.env, backup.Directory(r.env, "/archive"), backup.ArchiveOptions{Every: time.Second, Commits: 5})
}

// TestCrashInArchive cuts the power at every operation of the store and its archive: what is in the
// archive is whole, and after a restart it goes on.
func TestCrashInArchive(t *testing.T) {
	r := newRig(t, 7)
	images := r.images(func() {
		a := r.archiver()
		for range 5 {
			r.commit(4)
			a.Step(context.Background())
		}
	})
	shipped := 0
	for _, i := range sample(len(images), 9) {
		for _, mode := range simdisk.CrashModes() {
			after := images[i].Clone().Crash(simdisk.CrashOptions{Mode: mode, Seed: uint64(i)})
			was := *r
			r.disk, r.env = after, r.envOn(after)
			at := fmt.Sprintf("image %d of %d, %s", i, len(images), mode)
			before, err := backup.Verify(context.Background(), r.env, "/archive", nil)
			if err != nil && !errors.Is(err, engine.ErrNoStore) {
				t.Fatalf("%s: %v", at, err)
			}
			if r.e, err = engine.Open(r.env, engine.Options{Dir: home, Tuning: tuning}); err != nil {
				t.Fatalf("%s: %v", at, err)
			}
			published := int(r.e.Published())
			a := r.archiver()
			if err := a.Open(); err != nil && published > 0 {
				t.Fatalf("%s: %v", at, err)
			}
			a.Finish(context.Background())
			if st := a.Status(); st.Problem != nil || int(st.Archived) != published || st.Behind != 0 {
				t.Fatalf("%s: %+v", at, st)
			}
			if published > 0 {
				report, err := backup.Verify(context.Background(), r.env, "/archive", nil)
				if err != nil || int(report.To) != published || report.To < before.To {
					t.Fatalf("%s: %+v, %v", at, report, err)
				}
				shipped++
			}
			if i%4 == 0 && published > 0 {
				if _, err := r.restore(backup.RestoreOptions{From: "/archive", Dir: "/restored"}); err != nil {
					t.Fatalf("%s: %v", at, err)
				}
				r.compare("/restored", published)
			}
			if err := r.e.Close(); err != nil {
				t.Fatal(err)
			}
			r.disk, r.env, r.e = was.disk, was.env, was.e
		}
	}
	t.Logf("%d operations, %d crashes with commits", len(images), shipped)
}

// TestArchiveIsOfOneStore refuses an archive of another store, of another past and of another epoch, and ends the
// archiving of a copy.
func TestArchiveIsOfOneStore(t *testing.T) {
	ctx := context.Background()
	r := newRig(t, 8)
	r.commit(6)
	a := r.archiver()
	a.Step(ctx)
	if st := a.Status(); st.Archived != 6 || st.Problem != nil {
		t.Fatalf("%+v", st)
	}
	refused := func(what string, e *engine.Engine) {
		t.Helper()
		b := backup.NewArchiver(e, &r.env, backup.Directory(r.env, "/archive"), backup.ArchiveOptions{Every: time.Second, Commits: 5})
		err := b.Open()
		if !errors.Is(err, engine.ErrUnusable) {
			t.Errorf("%s: %v", what, err)
		}
		t.Log(err)
		b.Finish(ctx)
		if report, err := backup.Verify(ctx, r.env, "/archive", nil); err != nil || report.To != 6 {
			t.Fatalf("%s: %+v, %v", what, report, err)
		}
	}
	other := newRig(t, 9)
	other.commit(8)
	refused("another store", other.e)

	// A store that was restored.
	if _, err := r.restore(backup.RestoreOptions{From: "/archive", Dir: "/restored"}); err != nil {
		t.Fatal(err)
	}
	restored, err := engine.Open(r.env, engine.Options{Dir: "/restored", Tuning: tuning})
	if err != nil {
		t.Fatal(err)
	}
	refused("another epoch", restored)

	// A copy that was made earlier, and one that has gone another way.
	early := newRig(t, 8)
	early.commit(3)
	copied := early.disk.Clone()
	early.commit(3)
	b := early.archiver()
	b.Step(ctx)
	behind := &rig{t: t, seed: 80, ms: early.ms, disk: copied, rng: early.rng, model: early.model[:4], times: early.times[:4], txns: early.txns[:4], ids: 50}
	behind.env = behind.envOn(copied)
	behind.open()
	r.disk, r.env = early.disk, early.env
	refused("an earlier copy", behind.e)
	behind.commit(5)
	refused("another past", behind.e)

	// Two that have the same so far: the second to put a segment ends.
	twin := &rig{t: t, seed: 81, ms: early.ms, disk: early.disk.Clone(), rng: early.rng, model: early.model, times: early.times, txns: early.txns, ids: 90}
	twin.env = twin.envOn(twin.disk)
	twin.open()
	c := backup.NewArchiver(twin.e, &twin.env, backup.Directory(early.env, "/archive"), backup.ArchiveOptions{Every: time.Second, Commits: 5})
	if err := c.Open(); err != nil {
		t.Fatal(err)
	}
	early.commit(5)
	twin.commit(6)
	b.Step(ctx)
	for range 3 {
		c.Step(ctx)
	}
	if st := c.Status(); !errors.Is(st.Problem, engine.ErrUnusable) {
		t.Errorf("a twin: %+v", st)
	}
	b.Finish(ctx)
	if report, err := backup.Verify(ctx, early.env, "/archive", nil); err != nil || report.To != 11 || b.Status().Problem != nil {
		t.Errorf("the archive after it: %+v, %v, %+v", report, err, b.Status())
	}
}

// TestArchiveWaitsForItsDisk goes on when what failed has passed.
func TestArchiveWaitsForItsDisk(t *testing.T) {
	r := newRig(t, 10)
	r.commit(6)
	files := simdisk.NewDisk(simdisk.DiskOptions{})
	env := r.env
	env.FS = files
	a := backup.NewArchiver(r.e, &r.env, backup.Directory(env, "/archive"), backup.ArchiveOptions{Every: time.Second, Commits: 5})
	for _, fault := range []simdisk.Fault{
		{Kind: simdisk.SyncError, Nth: 1, Count: 1}, {Kind: simdisk.LinkError, Nth: 1, Count: 1}, {Kind: simdisk.DirSyncError, Nth: 1, Count: 1}, {Kind: simdisk.WriteError, Nth: 1, Count: 1},
	} {
		if err := files.Arm(fault); err != nil {
			t.Fatal(err)
		}
		r.commit(5)
		a.Finish(context.Background())
		if st := a.Status(); st.Problem == nil {
			t.Errorf("%v went unnoticed: %+v", fault, st)
		}
		files.Heal()
		r.commit(5)
		a.Finish(context.Background())
		if st := a.Status(); st.Problem != nil || st.Behind != 0 {
			t.Errorf("%v: %+v", fault, st)
		}
	}
	names, err := files.List("/archive")
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range names {
		if !segment.IsName(n) {
			t.Errorf("%s was left", n)
		}
	}
	if report, err := backup.Verify(context.Background(), env, "/archive", nil); err != nil || int(report.To) != len(r.model)-1 {
		t.Errorf("%+v, %v", report, err)
	}
}
