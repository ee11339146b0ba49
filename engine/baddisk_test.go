package engine_test

import (
	"io/fs"
	"strings"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"statehouse.dev/statehouse/engine"
)

// A failingFS fails what simulated faults do not reach: looking at paths.
type failingFS struct {
	vfs.FS
	op, path string
}

func (f failingFS) fails(op, path string) error {
	if op == f.op && path == f.path {
		return &fs.PathError{Op: op, Path: path, Err: syscall.EIO}
	}
	return nil
}

func (f failingFS) Stat(name string) (vfs.FileInfo, error) {
	if err := f.fails("stat", name); err != nil {
		return nil, err
	}
	return f.FS.Stat(name)
}

func (f failingFS) List(dir string) ([]string, error) {
	if err := f.fails("list", dir); err != nil {
		return nil, err
	}
	return f.FS.List(dir)
}

// TestOpenMeetsBadDisk: an error of the disk, at whatever file and operation, is one of
// the disk: not damage, not a directory that will not do, and not a new store.
func TestOpenMeetsBadDisk(t *testing.T) {
	base, _ := tabledStore(t, &rigClock{})
	check := func(what string, env engine.Env, halts func() bool, verifyToo bool) {
		t.Helper()
		e, err := engine.Open(env, engine.Options{Dir: rigDir, Tuning: rigTuning})
		if err == nil {
			t.Errorf("%s: it opens", what)
			_ = e.Close()
		} else if !halts() {
			wantKind(t, "open, "+what, err, engine.ErrStorage)
		}
		if verifyToo {
			_, err := engine.Verify(env, rigDir, nil)
			wantKind(t, "verify, "+what, err, engine.ErrStorage)
		}
	}
	for _, fault := range []string{
		"open-error file=identity", "read-error file=identity", "open-error file=witness", "read-error file=witness",
		"open-error file=manifest", "read-error file=manifest", "open-error file=wal", "read-error file=wal",
		"open-error file=options", "read-error file=options", "read-error file=sstable", "open-error file=sstable", "lock-error file=lock",
	} {
		d := base.Clone()
		p := newProcess(d, &rigClock{}, nil)
		arm(t, d, fault+" count=forever")
		check(fault, p.env, func() bool { return p.halts.Load() > 0 }, true)
	}
	for _, fault := range []string{"create-error file=lock", "open-error file=dir"} {
		d := base.Clone()
		p := newProcess(d, &rigClock{}, nil)
		if strings.Contains(fault, "lock") {
			ok(t, d.RemoveFile(rigDir+"/LOCK"))
		}
		arm(t, d, fault+" count=forever")
		check(fault, p.env, func() bool { return p.halts.Load() > 0 }, false)
	}
	for _, op := range []string{"stat", "list"} {
		for _, path := range []string{rigDir, rigDir + "/store"} {
			d := base.Clone()
			p := newProcess(d, &rigClock{}, nil)
			p.env.FS = failingFS{d, op, path}
			check(op+" of "+path, p.env, func() bool { return false }, op == "stat" || path != rigDir)
		}
	}
}
