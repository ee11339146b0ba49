package backup_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"testing"

	"statehouse.dev/statehouse/engine"
	"statehouse.dev/statehouse/history/segment"
	"statehouse.dev/statehouse/server/backup"
)

// TestRestoreToAnyMoment restores a backup of several segments to many of its commits and times, and
// compares each store with the model.
func TestRestoreToAnyMoment(t *testing.T) {
	r := newRig(t, 1)
	end := 0
	for range 4 {
		r.commit(15 + r.rng.IntN(20))
		end = r.save("/backup", end)
	}
	report, err := backup.Verify(context.Background(), r.env, "/backup", nil)
	if err != nil || int(report.To) != end || report.Segments != 4 || report.From != 1 {
		t.Fatalf("verify: %+v, %v", report, err)
	}
	moments := []int{1, 2, end - 1, end}
	for range 20 {
		moments = append(moments, 1+r.rng.IntN(end))
	}
	for i, ts := range moments {
		o := backup.RestoreOptions{From: "/backup", Dir: fmt.Sprintf("/restored/%d", i), ToCommit: uint64(ts)}
		if i%3 == 1 { // by time: commits may share one
			o.ToCommit, o.ToTime = 0, r.times[ts]
			for ts < end && !r.times[ts+1].After(r.times[ts]) {
				ts++
			}
		}
		done, err := r.restore(o)
		if err != nil || int(done.CommitTS) != ts || !done.CommitTime.Equal(r.times[ts]) {
			t.Fatalf("commit %d: %+v, %v", ts, done, err)
		}
		r.compare(o.Dir, ts)
	}
	if done, err := r.restore(backup.RestoreOptions{From: "/backup", Dir: "/restored/all"}); err != nil || int(done.CommitTS) != end {
		t.Fatalf("the whole: %+v, %v", done, err)
	}
	r.compare("/restored/all", end)
}

// TestArchiveFile reads segments that stand one after the other in a file.
func TestArchiveFile(t *testing.T) {
	r := newRig(t, 2)
	var file bytes.Buffer
	r.commit(10)
	r.write(&file, 0)
	first := file.Len()
	r.commit(10)
	r.write(&file, 10)
	put(t, r.disk, "/all.backup", file.Bytes())
	if _, err := r.restore(backup.RestoreOptions{From: "/all.backup", Dir: "/a"}); err != nil {
		t.Fatal(err)
	}
	r.compare("/a", 20)
	put(t, r.disk, "/cut.backup", file.Bytes()[:file.Len()-1])
	if _, err := r.restore(backup.RestoreOptions{From: "/cut.backup", Dir: "/b"}); !errors.Is(err, engine.ErrDataLoss) {
		t.Fatalf("a cut file: %v", err)
	}
	if _, err := r.restore(backup.RestoreOptions{From: "/cut.backup", Dir: "/c", ToCommit: 10}); err != nil {
		t.Fatalf("what stands before the cut: %v", err)
	}
	r.compare("/c", 10)
	put(t, r.disk, "/second.backup", file.Bytes()[first:])
	if _, err := r.restore(backup.RestoreOptions{From: "/second.backup", Dir: "/d"}); !errors.Is(err, engine.ErrInvalid) {
		t.Fatalf("without its beginning: %v", err)
	}
}

// TestSegmentsMustFollow refuses a backup whose segments are not of one log, or not all there.
func TestSegmentsMustFollow(t *testing.T) {
	r, fork := newRig(t, 3), newRig(t, 3)
	r.commit(10)
	fork.commit(9)
	fork.ids += 100
	fork.commit(1)
	var first, second, forked, again bytes.Buffer
	r.write(&first, 0)
	r.commit(10)
	fork.commit(10)
	r.write(&second, 10)
	fork.write(&forked, 10)
	r.write(&again, 9)
	r.commit(5)
	var gap bytes.Buffer
	r.write(&gap, 22)
	name := func(n uint64) string { return "/backup/" + segment.Name(n) }
	for what, second := range map[string]struct { // each on its own: order cannot matter
		first uint64
		data  []byte
	}{
		"another log": {11, forked.Bytes()}, "a gap": {23, gap.Bytes()}, "an overlap": {10, again.Bytes()}, "another name": {12, second.Bytes()},
	} {
		if err := r.disk.RemoveAll("/backup"); err != nil {
			t.Fatal(err)
		}
		put(t, r.disk, name(1), first.Bytes())
		put(t, r.disk, name(second.first), second.data)
		if report, err := backup.Verify(context.Background(), r.env, "/backup", nil); !errors.Is(err, engine.ErrDataLoss) {
			t.Errorf("%s: %+v, %v", what, report, err)
		} else {
			t.Log(err)
		}
	}
}

// TestRestoreOverNothing refuses directories that hold anything.
func TestRestoreOverNothing(t *testing.T) {
	r := newRig(t, 4)
	r.commit(3)
	r.save("/backup", 0)
	put(t, r.disk, "/full/notes", []byte("mine"))
	for _, dir := range []string{home, "/full", "/backup"} {
		if _, err := r.restore(backup.RestoreOptions{From: "/backup", Dir: dir}); !errors.Is(err, engine.ErrUnusable) {
			t.Errorf("over %s: %v", dir, err)
		}
	}
	if _, err := r.restore(backup.RestoreOptions{From: "/backup", Dir: "/new", ToCommit: 4}); !errors.Is(err, engine.ErrInvalid) {
		t.Errorf("to a commit that is not there: %v", err)
	}
	if _, err := r.restore(backup.RestoreOptions{From: "/none", Dir: "/new"}); !errors.Is(err, engine.ErrNoStore) {
		t.Errorf("from nowhere: %v", err)
	}
}

// TestDamage changes bytes of a small backup, one at a time: each is detected, or what is restored is
// what was backed up.
func TestDamage(t *testing.T) {
	r := newRig(t, 5)
	r.commit(8)
	r.save("/backup", 0)
	path := "/backup/" + segment.Name(1)
	whole, err := r.disk.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	every := 37
	if fullSweep() {
		every = 1
	}
	changed := 0
	for i := r.rng.IntN(every); i < len(whole); i += every {
		for _, flip := range []byte{1, 0x80, 0xff} {
			bad := bytes.Clone(whole)
			bad[i] ^= flip
			put(t, r.disk, path, bad)
			changed++
			if report, err := backup.Verify(context.Background(), r.env, "/backup", nil); !errors.Is(err, engine.ErrDataLoss) && !errors.Is(err, engine.ErrFormat) {
				t.Fatalf("byte %d of %d ^ %#x: %+v, %v", i, len(whole), flip, report, err)
			}
		}
	}
	for _, cut := range []int{0, 1, len(whole) / 2, len(whole) - 1} {
		put(t, r.disk, path, whole[:cut])
		if _, err := backup.Verify(context.Background(), r.env, "/backup", nil); !errors.Is(err, engine.ErrDataLoss) {
			t.Errorf("cut to %d of %d bytes: %v", cut, len(whole), err)
		}
	}
	put(t, r.disk, path, append(bytes.Clone(whole), 0))
	if _, err := backup.Verify(context.Background(), r.env, "/backup", nil); !errors.Is(err, engine.ErrDataLoss) {
		t.Errorf("a byte more: %v", err)
	}
	t.Logf("%d changes of %d bytes, all detected", changed, len(whole))
}
