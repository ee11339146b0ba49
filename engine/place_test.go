package engine_test

import (
	"errors"
	"io"
	"io/fs"
	"sync"
	"syscall"
	"testing"
	"time"

	"statehouse.dev/statehouse/engine"
	"statehouse.dev/statehouse/sim/simdisk"
)

// An atlas says what paths lead to: to themselves, unless told otherwise.
type atlas struct {
	mu   sync.Mutex
	ids  map[string]engine.FileID
	errs map[string]error
}

func newAtlas() *atlas {
	return &atlas{ids: make(map[string]engine.FileID), errs: make(map[string]error)}
}

func (a *atlas) fileID(path string) (engine.FileID, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if err := a.errs[path]; err != nil {
		return engine.FileID{}, &fs.PathError{Op: "stat", Path: path, Err: err}
	}
	if id, moved := a.ids[path]; moved {
		return id, nil
	}
	return engine.FileID{Device: 1, Inode: uint64(len(path))}, nil
}

func (a *atlas) moved(path string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.ids[path] = engine.FileID{Device: 1, Inode: 999}
}

func (a *atlas) fails(path string, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.errs[path] = err
}

// placed opens a store whose paths an atlas knows. Halting is noted in halts.
func placed(t *testing.T) (*process, *atlas, *[]error) {
	t.Helper()
	var halts []error
	p := newProcess(simdisk.NewDisk(simdisk.DiskOptions{Seed: 1}), &rigClock{}, func(err error) { halts = append(halts, err) })
	a := newAtlas()
	p.env.FileID = a.fileID
	ok(t, p.open())
	return p, a, &halts
}

// TestPlaceIsLost: when a path of the store leads elsewhere or nowhere, the next tick
// halts, and nothing more is acknowledged or read (G7).
func TestPlaceIsLost(t *testing.T) {
	names := []string{"", "/LOCK", "/store", "/witness"}
	for _, name := range names {
		for what, lose := range map[string]func(a *atlas, path string){ // order does not matter
			"replaced":      func(a *atlas, path string) { a.moved(path) },
			"gone":          func(a *atlas, path string) { a.fails(path, syscall.ENOENT) },
			"below a file":  func(a *atlas, path string) { a.fails(path, syscall.ENOTDIR) },
			"a stale mount": func(a *atlas, path string) { a.fails(path, syscall.ESTALE) },
			"unreadable":    func(a *atlas, path string) { a.fails(path, syscall.EIO) },
		} {
			p, a, halts := placed(t)
			var s script
			ok(t, s.commits(p, 2))
			p.Tick()
			lose(a, rigDir+name)
			p.Tick()
			if len(*halts) != 1 || !isOneOf((*halts)[0], engine.ErrDisplaced, engine.ErrStorage) {
				t.Errorf("%s is %s: halts: %v", rigDir+name, what, *halts)
			}
			if err := s.commits(p, 1); err == nil {
				t.Errorf("%s is %s, and a commit is acknowledged", rigDir+name, what)
			}
			if p.Healthy() == nil {
				t.Errorf("%s is %s, and the engine calls itself healthy", rigDir+name, what)
			}
			_ = p.Close()
		}
	}
}

// TestPlaceIsLookedAtBeforeAnswers: a step that is held up longer than ticks are apart
// looks for itself before it acknowledges anything.
func TestPlaceIsLookedAtBeforeAnswers(t *testing.T) {
	p, a, halts := placed(t)
	var s script
	ok(t, s.commits(p, 1))
	p.disk.OnOp(func(op simdisk.Op) {
		if op.Kind == simdisk.OpSync && op.Class == simdisk.ClassWAL {
			a.moved(rigDir)
			p.clock.ms.Add(time.Second.Milliseconds()) // the disk takes its time
		}
	})
	if err := s.commits(p, 1); !errors.Is(err, engine.ErrOutcomeUnknown) {
		t.Errorf("the commit was answered %v", err)
	}
	if len(*halts) != 1 {
		t.Errorf("halts: %v", *halts)
	}
	p.disk.OnOp(nil)
	_ = p.Close()
}

// TestPlaceBeforeFiles: Pebble makes and removes nothing by path in a directory that
// has taken the place of ours, even before the next tick.
func TestPlaceBeforeFiles(t *testing.T) {
	d := simdisk.NewDisk(simdisk.DiskOptions{Seed: 1})
	halted := make(chan struct{})
	p := newProcess(d, &rigClock{}, func(error) { close(halted); select {} }) // as in production it does not return
	a := newAtlas()
	p.env.FileID = a.fileID
	ok(t, p.open())
	var s script
	ok(t, s.commits(p, 2))
	var ops []simdisk.Op
	a.moved(rigDir + "/store")
	d.OnOp(func(op simdisk.Op) {
		switch op.Kind {
		case simdisk.OpCreate, simdisk.OpRemove, simdisk.OpRename:
			ops = append(ops, op)
		}
	})
	go func() { _ = p.Flush() }()
	<-halted
	if len(ops) != 0 {
		t.Errorf("in the other directory it did %v", ops)
	}
}

// TestPlaceOutOfSight: a directory that we may no longer look at is where it was, as far
// as anybody knows. It is said once, and nothing stops.
func TestPlaceOutOfSight(t *testing.T) {
	p, a, halts := placed(t)
	a.fails(rigDir+"/LOCK", syscall.EACCES)
	p.Tick()
	var s script
	ok(t, s.commits(p, 2))
	if len(*halts) != 0 || !p.said("can no longer be looked at", "LOCK") {
		t.Errorf("halts: %v, log: %q", *halts, p.logged)
	}
	ok(t, p.Close())
}

// TestDirectoryIsLocked: what the lock of the directory answers is what Open and Verify
// answer, whatever became of the lock file.
func TestDirectoryIsLocked(t *testing.T) {
	d, _ := goodStore(t)
	p := newProcess(d, &rigClock{}, nil)
	for err, kind := range map[error]error{ // order does not matter
		syscall.EWOULDBLOCK: engine.ErrLocked, syscall.EIO: engine.ErrStorage, syscall.EACCES: engine.ErrUnusable,
	} {
		p.env.LockDir = func(string) (io.Closer, error) { return nil, err }
		wantKind(t, "open", p.open(), kind)
		_, verr := engine.Verify(p.env, rigDir, nil)
		wantKind(t, "verify", verr, kind)
	}
	p.env.LockDir = func(string) (io.Closer, error) { return nil, errors.ErrUnsupported }
	ok(t, p.open())
	if !p.said("no locks of directories") {
		t.Errorf("the log says %q", p.logged)
	}
	ok(t, p.Close())
}
