package backup_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"statehouse.dev/statehouse/engine"
	"statehouse.dev/statehouse/history/segment"
	"statehouse.dev/statehouse/server/backup"
)

// chores has the writer drop, prune and erase all that is due.
func (r *rig) chores() {
	r.e.Tick()
	for r.e.Step() {
	}
}

func (r *rig) retain(o engine.Retention) engine.Retention {
	r.t.Helper()
	o, err := r.e.SetRetention(context.Background(), o)
	if err != nil {
		r.t.Fatal(err)
	}
	r.chores()
	return o
}

// erase erases an agent, and returns the last commit of that.
func (r *rig) erase(namespace, agent string) int {
	r.t.Helper()
	x := engine.Erasure{Namespace: namespace, Agent: agent, Principal: "operator", Reason: "asked for"}
	if err := r.e.Erase(context.Background(), x, func(engine.ErasureProgress) error { return nil }); err != nil {
		r.t.Fatal(err)
	}
	for len(r.model) <= int(r.e.Published()) {
		next := maps.Clone(r.model[len(r.model)-1])
		for n := range next { // each on its own
			if n.Namespace == namespace && n.Agent == agent {
				next[n] = ""
			}
		}
		events, _, err := r.e.Replay(engine.Filter{Whole: true}, engine.CommitTS(len(r.model)-1), engine.CommitTS(len(r.model)), 0)
		if err != nil {
			r.t.Fatal(err)
		}
		r.model, r.times, r.txns = append(r.model, next), append(r.times, events[0].CommitTime), append(r.txns, events[0].TxnID)
	}
	return int(r.e.Published())
}

// same compares a restored store with the one that was backed up, at its last commit.
func (r *rig) same(dir string) {
	r.t.Helper()
	e, err := engine.Open(r.env, engine.Options{Dir: dir, Tuning: tuning, MustExist: true})
	if err != nil {
		r.t.Fatal(err)
	}
	was := r.e
	r.e = e
	r.compareAt(e, int(e.Published()))
	r.e = was
	defer e.Close()
	for name := range r.model[len(r.model)-1] { // each on its own
		for v := engine.Version(1); v < 60; v++ {
			a, errA := r.version(was, name, v)
			b, errB := r.version(e, name, v)
			if a != b || fmt.Sprint(errA) != fmt.Sprint(errB) {
				r.t.Fatalf("version %d of %v is %q (%v) in the restored store, and %q (%v) in the other", v, name, b, errB, a, errA)
			}
		}
	}
}

// version is what a version reads as.
func (r *rig) version(e *engine.Engine, n engine.RecordName, v engine.Version) (string, error) {
	rec, err := e.GetVersion(n, v)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%v %d %s %v %v", rec.Exists, rec.CommitTS, rec.Value, rec.Erased, rec.Pruned), nil
}

// TestBackupOfAShrunkPast backs up a store of which retention and an erasure have taken something: it is
// whole, and the restored store reads like the one it is of.
func TestBackupOfAShrunkPast(t *testing.T) {
	for _, seed := range []uint64{21, 22, 23, 24} {
		r := newRig(t, seed)
		r.commit(60)
		r.ms.Add(time.Hour.Milliseconds())
		r.commit(10)
		r.retain(engine.Retention{Namespace: "default", MaxAge: time.Minute})
		r.retain(engine.Retention{Namespace: "other", MaxVersions: 2})
		r.erase("other", "agent-1")
		r.commit(10)
		r.chores()
		end := r.save("/backup", 0)
		report, err := backup.Verify(context.Background(), r.env, "/backup", nil)
		if err != nil || int(report.To) != end {
			t.Fatalf("seed %d: %+v, %v", seed, report, err)
		}
		if _, err := r.restore(backup.RestoreOptions{From: "/backup", Dir: "/a"}); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		r.same("/a")
		for _, to := range []uint64{1, 30, uint64(end) - 15} {
			_, err := r.restore(backup.RestoreOptions{From: "/backup", Dir: fmt.Sprint("/to/", to), ToCommit: to})
			if !errors.Is(err, engine.ErrInvalid) || !strings.Contains(err.Error(), "restore to") {
				t.Errorf("seed %d: restored to commit %d, whose state is gone: %v", seed, to, err)
			}
			if _, err := r.disk.Stat(fmt.Sprint("/to/", to)); err == nil {
				t.Errorf("seed %d: a restore that is refused has begun", seed)
			}
		}
	}
}

// TestIncrementalOverWhatWent goes on with a backup after values were erased, versions pruned and dropped:
// the first segments still have them, and the restored store has not.
func TestIncrementalOverWhatWent(t *testing.T) {
	for _, seed := range []uint64{31, 32, 33} {
		r := newRig(t, seed)
		r.commit(40)
		first := r.save("/backup", 0)
		r.ms.Add(time.Hour.Milliseconds())
		r.retain(engine.Retention{Namespace: "other", MaxVersions: 1})
		r.retain(engine.Retention{Namespace: "default", MaxAge: 30 * time.Minute})
		r.commit(1)
		r.chores()
		second := r.save("/backup", first)
		erased := r.erase("other", "agent-2")
		r.commit(5)
		r.chores()
		end := r.save("/backup", second)
		r.compareRefusal("/backup", 20, "which erased values")
		if _, err := r.restore(backup.RestoreOptions{From: "/backup", Dir: "/a"}); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		r.same("/a")
		if err := r.disk.Remove("/backup/" + segment.Name(uint64(second)+1)); err != nil {
			t.Fatal(err)
		}
		if done, err := r.restore(backup.RestoreOptions{From: "/backup", Dir: "/b", ToCommit: 20}); err != nil || int(done.CommitTS) != 20 {
			t.Fatalf("seed %d: before the erasure, by segments that do not know it: %+v, %v", seed, done, err)
		}
		r.compare("/b", 20)
		_, _ = erased, end
	}
}

func (r *rig) compareRefusal(from string, to uint64, want string) {
	r.t.Helper()
	_, err := r.restore(backup.RestoreOptions{From: from, Dir: "/refused", ToCommit: to})
	if !errors.Is(err, engine.ErrInvalid) || !strings.Contains(err.Error(), want) {
		r.t.Fatalf("to commit %d: %v, want %q", to, err, want)
	}
}

// TestIncrementalOverDropped refuses to go on with a backup when what follows it has been dropped.
func TestIncrementalOverDropped(t *testing.T) {
	r := newRig(t, 41)
	r.commit(10)
	r.save("/backup", 0)
	archiver := r.archiver()
	archiver.Finish(context.Background())
	r.commit(20)
	r.ms.Add(time.Hour.Milliseconds())
	r.commit(5)
	r.retain(engine.Retention{MaxAge: time.Minute})
	if x, err := r.e.Export(10); !errors.Is(err, engine.ErrOutOfRange) || !strings.Contains(err.Error(), "begin a new backup") {
		t.Fatalf("%v, %v", x, err)
	}
	archiver.Finish(context.Background())
	if st := archiver.Status(); st.Problem == nil || !strings.Contains(st.Problem.Error(), "archive") || st.Archived != 10 {
		t.Fatalf("the archive: %+v", st)
	}
	r.commit(5)
	var b bytes.Buffer
	r.write(&b, 0)
	put(t, r.disk, "/new.segment", b.Bytes())
	if _, err := r.restore(backup.RestoreOptions{From: "/new.segment", Dir: "/a"}); err != nil {
		t.Fatal(err)
	}
	r.same("/a")
}

// TestRestoreForgetsLaterRetention restores to a moment before retention was asked for: it takes nothing.
func TestRestoreForgetsLaterRetention(t *testing.T) {
	r := newRig(t, 51)
	r.commit(20)
	r.retain(engine.Retention{Namespace: "other", MaxAge: time.Minute})
	r.save("/backup", 0)
	done, err := r.restore(backup.RestoreOptions{From: "/backup", Dir: "/a", ToCommit: 10})
	if err != nil || fmt.Sprint(done.WithoutRetention) != "[other]" {
		t.Fatalf("%+v, %v", done, err)
	}
	r.compare("/a", 10)
	if done, err = r.restore(backup.RestoreOptions{From: "/backup", Dir: "/b"}); err != nil || done.WithoutRetention != nil {
		t.Fatalf("%+v, %v", done, err)
	}
	rows := 0
	if err := engine.ReadSystem(r.env, "/b", func(s engine.SystemReader) error {
		list, err := s.SystemRows("retention", "", 0)
		rows = len(list)
		return err
	}); err != nil || rows != 1 {
		t.Fatalf("%d rows of retention, %v", rows, err)
	}
}
