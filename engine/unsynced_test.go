package engine_test

import (
	"errors"
	"fmt"
	"testing"

	"statehouse.dev/statehouse/engine"
	"statehouse.dev/statehouse/sim/simdisk"
	"statehouse.dev/statehouse/sim/simtest"
)

func unsynced(p *process) { p.noSync = true }

// TestUnsyncedCrashAnywhere crashes a run without syncs at every file operation. The
// death of the process takes nothing: every acknowledged commit is there (G1, G4). A
// loss of power leaves a prefix of the commits, whatever the disk did with what was not
// synced, and the daemon and verify say of how many more the witness knew.
func TestUnsyncedCrashAnywhere(t *testing.T) {
	simtest.Serial(t)
	s, images, clock := recordAs(t, unsynced)
	ends := make(map[string]int)
	for i, img := range images {
		for m, mode := range crashModes {
			if (i+m)%stride(5) != 0 {
				continue
			}
			d := crashed(img.disk, mode, uint64(i))
			least := img.acked
			if mode != kill {
				least = 0
			}
			end, err := s.survivesUnsynced(d, clock, least, img.tried)
			if err != nil {
				t.Errorf("crash (%s) at operation %d, %v: %v", mode, i, img.op, err)
			}
			ends[fmt.Sprint(mode, " ", end)]++
		}
	}
	t.Log(ends)
	lost := 0
	for _, mode := range crashModes {
		n := ends[fmt.Sprint(mode, " lost")]
		if lost += n; mode == kill && n != 0 || fullSweep() && n == 0 && mode != kill && mode != simdisk.KeepAll {
			t.Errorf("%d of the crashes (%s) lost something", n, mode)
		}
	}
	if lost == 0 && !raceBuild() {
		t.Error("no crash lost anything")
	}
}

// survivesUnsynced opens what a crash left of a run without syncs.
func (s *script) survivesUnsynced(d *simdisk.Disk, clock *rigClock, least, most int) (end string, err error) {
	found, err := verifyOn(d.Clone())
	made := err == nil
	if err != nil && (least > 0 || !errors.Is(err, engine.ErrNoStore)) {
		return "", fmt.Errorf("verify before the reopening: %w", err)
	}
	p := newProcess(d, clock, nil)
	unsynced(p)
	if err := p.open(); err != nil {
		return "", fmt.Errorf("open: %w", err)
	}
	n, err := s.check(p, least, most)
	if err != nil {
		return "", err
	}
	end = "whole"
	if made && found.Lost > 0 {
		end = "lost"
	}
	switch {
	case made && int(found.Commits) != n:
		return "", fmt.Errorf("verify saw %d commits, open %d", found.Commits, n)
	case int(found.Commits+found.Lost) > most:
		return "", fmt.Errorf("verify says that %d commits are lost after %d, of %d that were tried", found.Lost, found.Commits, most)
	case p.said("acknowledged commits are lost", fmt.Sprintf("lost_commits %d ", found.Lost)) != (found.Lost > 0):
		return "", fmt.Errorf("%d commits are lost, and the log of the daemon is %q", found.Lost, p.logged)
	}
	f := s.fork(n)
	if err := f.commits(p, 2); err != nil {
		return "", fmt.Errorf("the next commits: %w", err)
	}
	killed := crashed(d, kill, 0)
	if err := p.Close(); err != nil {
		return "", fmt.Errorf("close: %w", err)
	}
	for what, left := range map[string]*simdisk.Disk{"killed": killed, "closed, then without power": crashed(d, simdisk.DropAll, 0)} { // order does not matter
		if err := f.wholeSynced(left, clock); err != nil {
			return "", fmt.Errorf("%s: %w", what, err)
		}
	}
	return end, nil
}

// wholeSynced opens a store that must have everything with syncs on, after which a loss
// of power loses nothing, and a log that is cut is damage again.
func (s *script) wholeSynced(d *simdisk.Disk, clock *rigClock) error {
	if r, err := verifyOn(d.Clone()); err != nil || r.Lost != 0 {
		return fmt.Errorf("verify says %d lost and %w", r.Lost, err)
	}
	p := newProcess(d, clock, nil)
	if err := p.open(); err != nil {
		return fmt.Errorf("open: %w", err)
	}
	if _, err := d.Stat(rigDir + "/unsynced"); err == nil {
		return errors.New("it is still marked as one that runs without syncs")
	}
	n := len(s.attempts)
	f := s.fork(n)
	if err := f.commits(p, 1); err != nil {
		return err
	}
	again := crashed(d, simdisk.DropAll, 0)
	if err := p.Close(); err != nil {
		return err
	}
	q := newProcess(again, clock, nil)
	if err := q.open(); err != nil {
		return err
	}
	if _, err := f.check(q, n+1, n+1); err != nil {
		return err
	}
	return q.Close()
}

// TestUnsyncedTornLog: a log that is not synced can lose a piece of its middle and keep
// what comes behind, more than Pebble takes for an end that is torn. It ends before the
// hole.
func TestUnsyncedTornLog(t *testing.T) {
	d, clock := simdisk.NewDisk(simdisk.DiskOptions{Seed: 1}), &rigClock{}
	p := newProcess(d, clock, nil)
	unsynced(p)
	ok(t, p.open())
	var s script
	ok(t, s.commits(p, 4))
	for i := range 8 {
		ok(t, s.commit(p, putBig("ann", fmt.Sprint("big-", i), 30<<10)))
	}
	left := crashed(d, kill, 0)
	log := newestLog(t, left)
	ok(t, left.FlipBit(log, 50<<10, 3))
	end, err := s.survivesUnsynced(left, clock, 0, len(s.attempts))
	ok(t, err)
	if end != "lost" {
		t.Errorf("a log with a hole is %s", end)
	}
	// What was synced before is not excused: the same hole in it is damage.
	q := newProcess(crashed(d, kill, 0), clock, nil)
	unsynced(q)
	ok(t, q.open())
	ok(t, q.Flush())
	q.disk = q.disk.Kill()
	for _, f := range q.disk.Files() {
		if f.Class == simdisk.ClassSSTable && f.Size > 100<<10 {
			ok(t, q.disk.FlipBit(f.Path, 50<<10, 3))
		}
	}
	_, err = verifyOn(q.disk)
	wantKind(t, "verify of a damaged table", err, engine.ErrDataLoss)
}

// TestUnsyncedExcusesNoMore: the mark says from which commit on syncs were off. A log
// that ends before that one has lost commits that were synced; so has one with a hole
// before commits that are there.
func TestUnsyncedExcusesNoMore(t *testing.T) {
	d, clock := simdisk.NewDisk(simdisk.DiskOptions{Seed: 1}), &rigClock{}
	p := openOn(t, d, clock)
	var s script
	ok(t, s.commits(p, 3))
	older := crashed(d, kill, 0)
	ok(t, s.commits(p, 3))
	ok(t, p.Close())
	q := newProcess(d, clock, nil)
	unsynced(q)
	ok(t, q.open())
	ok(t, s.commits(q, 3))
	mark, err := d.ReadFile(rigDir + "/unsynced")
	ok(t, err)
	ok(t, writeFile(older, rigDir+"/unsynced", mark))
	_, err = verifyOn(older.Clone())
	wantKind(t, "verify of a store without what was synced", err, engine.ErrDataLoss)
	wantKind(t, "open", newProcess(older, clock, nil).open(), engine.ErrDataLoss)

	spoilt := crashed(d, kill, 0)
	ok(t, spoilt.FlipBit(rigDir+"/unsynced", 40, 1))
	_, err = verifyOn(spoilt.Clone())
	wantKind(t, "verify with a spoilt mark", err, engine.ErrDataLoss)
	wantKind(t, "open with it", newProcess(spoilt, clock, nil).open(), engine.ErrDataLoss)
}

func newestLog(t *testing.T, d *simdisk.Disk) (path string) {
	t.Helper()
	for _, f := range d.Files() { // sorted
		if f.Class == simdisk.ClassWAL {
			path = f.Path
		}
	}
	return path
}

// TestSyncedAsBefore: with syncs on every commit is one write and one sync of the log
// and one write of the witness, and there is no mark.
func TestSyncedAsBefore(t *testing.T) {
	d := simdisk.NewDisk(simdisk.DiskOptions{Seed: 1})
	p := openOn(t, d, &rigClock{})
	var s script
	ok(t, s.commits(p, 1))
	var ops []string
	d.OnOp(func(op simdisk.Op) { ops = append(ops, fmt.Sprint(op.Kind, " ", op.Class)) })
	ok(t, s.commits(p, 1))
	d.OnOp(nil)
	if got, want := fmt.Sprint(ops), "[write wal sync wal write witness]"; got != want {
		t.Errorf("a commit does %s, want %s", got, want)
	}
	if _, err := d.Stat(rigDir + "/unsynced"); err == nil {
		t.Error("a store that syncs is marked as one that does not")
	}
	ok(t, p.Close())
}
