package engine_test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"statehouse.dev/statehouse/engine"
	"statehouse.dev/statehouse/sim/simdisk"
	"statehouse.dev/statehouse/sim/simtest"
	"statehouse.dev/statehouse/sim/tamper"
)

// oldDisk is a disk with the kept store of format 1 on it, all of it durable.
func oldDisk(t *testing.T) *simdisk.Disk {
	t.Helper()
	d := simdisk.NewDisk(simdisk.DiskOptions{Seed: 1})
	copyTree(t, vfs.Default, goldenDir1, d, rigDir)
	return d.Crash(simdisk.CrashOptions{Mode: simdisk.KeepAll, Seed: 1})
}

func migrateOn(d *simdisk.Disk) (engine.Migration, error) {
	env := newProcess(d, &rigClock{}, nil).env
	env.Halt = func(err error) { panic(err) }
	return engine.Migrate(env, rigDir, engine.MigrateOptions{Tuning: rigTuning})
}

// goldenOn compares the store on d, which must open, with the kept one of format 1.
func goldenOn(t *testing.T, d *simdisk.Disk, want goldenStore) error {
	t.Helper()
	report, err := verifyOn(d)
	if err != nil {
		return err
	}
	p := newProcess(d, &rigClock{}, nil)
	if err := p.open(); err != nil {
		return err
	}
	defer p.Close()
	got := describe(t, p)
	got.Report = report
	if a, b := got.text(t), migrated(want, report).text(t); a != b {
		return errors.New(firstDifference(a, b))
	}
	return nil
}

// TestMigrateAnywhere crashes a migration at every file operation. Afterwards the store is the
// old one, byte for byte, or the new one; the daemon does not start on what is between; and
// another migration ends with everything that there was.
func TestMigrateAnywhere(t *testing.T) {
	simtest.Serial(t)
	d := oldDisk(t)
	want := wantGolden(t, goldenDir1)
	old := contents(t, d)
	var mu sync.Mutex
	var images []*simdisk.Disk
	var ops []simdisk.Op
	d.OnOp(func(op simdisk.Op) {
		if changes(op) {
			mu.Lock()
			defer mu.Unlock()
			images, ops = append(images, d.Clone()), append(ops, op)
		}
	})
	if m, err := migrateOn(d); err != nil || m.Finished {
		t.Fatalf("%+v, %v", m, err)
	}
	d.OnOp(nil)
	images, ops = append(images, d.Clone()), append(ops, simdisk.Op{Kind: "end of the run"})
	finished, begun := 0, 0
	for i := 0; i < len(images); i += stride(3) {
		for j, mode := range crashModes {
			if stride(3) > 1 && (i/stride(3)+j)%2 != 0 {
				continue
			}
			at := fmt.Sprintf("operation %d of %d, %v, %s", i+1, len(images), ops[i], mode)
			c := crashed(images[i], mode, uint64(i))
			_, verr := verifyOn(c)
			if verr != nil && !errors.Is(verr, engine.ErrFormat) {
				t.Fatalf("%s: verify answered %v", at, verr)
			}
			if interrupted := verr != nil && strings.Contains(verr.Error(), "was interrupted"); verr != nil && !interrupted {
				for path, b := range old { // each for itself: any order
					if now, err := c.ReadFile(path); err != nil || !bytes.Equal(now, b) {
						t.Fatalf("%s: %s of the old store was changed: %v", at, path, err)
					}
				}
			}
			m, err := migrateOn(c)
			if err != nil {
				t.Fatalf("%s: another migration: %v", at, err)
			}
			switch {
			case m.Finished:
				finished++
			case m.From == 1:
				begun++
			}
			if err := goldenOn(t, c, want); err != nil {
				t.Fatalf("%s: %v", at, err)
			}
			for _, f := range c.Files() {
				if strings.Contains(f.Path, ".new") {
					t.Fatalf("%s: %s is left", at, f.Path)
				}
			}
		}
	}
	t.Logf("%d images: %d migrations were begun again, %d finished", len(images), begun, finished)
	if begun == 0 || finished == 0 {
		t.Error("no crash was on one side of the switch")
	}
}

// TestMigrateScript: a store of format 1 that has been through everything that stores go through
// holds the same after a migration, for every client, whether it ran with syncs or without.
func TestMigrateScript(t *testing.T) {
	for _, noSync := range []bool{false, true} {
		d, s := simdisk.NewDisk(simdisk.DiskOptions{Seed: 1}), &script{}
		p := newProcess(d, &rigClock{}, func(err error) { t.Errorf("halted: %v", err) })
		p.noSync = noSync
		ok(t, s.script(p))
		d = d.Kill()
		n := len(s.attempts)
		p = newProcess(d, p.clock, nil)
		p.noSync = noSync
		ok(t, p.open()) // so that all of it is in tables
		head := p.Status()
		d = d.Kill()
		ok(t, tamper.Downgrade(d, rigDir))
		m, err := migrateOn(d)
		ok(t, err)
		if m.Store.Commits != engine.CommitTS(n) || m.StoreID != head.StoreID || m.Store.BaseHash == "" {
			t.Errorf("the migration reports %+v", m)
		}
		p = openOn(t, d, p.clock)
		s.mustCheck(t, p, n, n)
		ok(t, s.commits(p, 3))
		s.mustCheck(t, p, n+3, n+3)
		ok(t, p.Close())
		_, err = verifyOn(d)
		ok(t, err)
	}
}

// TestMigrateRefuses: what is wrong with the old store is told, and nothing is changed.
func TestMigrateRefuses(t *testing.T) {
	for _, c := range []struct {
		what string
		do   func(t *testing.T, d *simdisk.Disk)
		kind error
		says string
	}{
		{"no store", func(t *testing.T, d *simdisk.Disk) { ok(t, d.RemoveFile(rigDir+"/STATEHOUSE")) }, engine.ErrNoStore, "there is no store to migrate"},
		{"no witness", func(t *testing.T, d *simdisk.Disk) { ok(t, d.RemoveFile(rigDir+"/witness")) }, engine.ErrDataLoss, "is missing or spoilt"},
		{"a newer format", func(t *testing.T, d *simdisk.Disk) { identityOf(t, d, futureStore) }, engine.ErrFormat, "use a newer statehoused"},
		{"the log's end", func(t *testing.T, d *simdisk.Disk) {
			for _, f := range d.Files() {
				if strings.HasSuffix(f.Path, ".log") {
					ok(t, d.RemoveFile(f.Path))
				}
			}
		}, engine.ErrDataLoss, "acknowledged commits are lost"},
		{"a byte of a table", func(t *testing.T, d *simdisk.Disk) { ok(t, d.FlipBit(rigDir+"/store/000012.sst", 700, 3)) }, engine.ErrDataLoss, "damaged"},
	} {
		d := oldDisk(t)
		c.do(t, d)
		_, err := migrateOn(d)
		if !errors.Is(err, c.kind) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want %q", c.what, err, c.says)
		}
	}
}
