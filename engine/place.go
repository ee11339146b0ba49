package engine

import (
	"errors"
	"io"
	iofs "io/fs"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"statehouse.dev/statehouse/engine/words"
)

// place checks that the data directory stays where it was opened. Open files follow a
// directory that is moved, but Pebble makes, renames and removes files by path: it would
// do so in a directory that took the old one's place. And commits acknowledged into a
// removed directory are lost when the process ends.
type place struct {
	fileID func(path string) (FileID, error)
	log    func(event string, attrs ...any)
	opened []openedFile
	unseen atomic.Bool // logged that a path cannot be looked at
}

// openedFile is a path of the store and the file that it led to.
type openedFile struct {
	path string
	id   FileID
}

// lookEvery is how old the last check may be when commits are acknowledged. Ticks check
// more often; this is for a step that was delayed, and ticks with it.
const lookEvery = 400 * time.Millisecond

// watchPlace records the files that dir and some names in it lead to. It returns nil if
// the environment cannot identify files.
func watchPlace(env *Env, dir string, names ...string) (*place, error) {
	if env.FileID == nil {
		return nil, nil
	}
	p := &place{fileID: env.FileID, log: env.Log}
	paths := []string{dir}
	for _, name := range names {
		paths = append(paths, env.FS.PathJoin(dir, name))
	}
	for _, path := range paths {
		id, err := p.fileID(path)
		if err != nil {
			return nil, openFailure(err, "%s cannot be looked at", path)
		}
		p.opened = append(p.opened, openedFile{path, id})
	}
	return p, nil
}

// holdPlace makes the engine halt from now on if dir, or one of the names in it, leads
// to another file than now. The engine holds all of them open: some file systems reuse the
// number of a file that is not.
func (e *Engine) holdPlace(names ...string) error {
	p, err := watchPlace(&e.env, e.opts.Dir, names...)
	if err == nil {
		e.place.Store(p)
	}
	return err
}

// check returns nil if the store is where it was opened, else the reason. Any goroutine may
// call it. A path that we lost the right to look at may still lead to the same file: that
// is logged once and is no error.
func (p *place) check() error {
	if p == nil {
		return nil
	}
	for _, o := range p.opened {
		id, err := p.fileID(o.path)
		switch {
		case errors.Is(err, iofs.ErrPermission):
			if !p.unseen.Swap(true) {
				p.log("a file of the store can no longer be looked at", "path", o.path, "error", err.Error())
			}
		case err == nil && id == o.id:
		case err == nil:
			return words.Failf(ErrDisplaced, "%s is not what was opened: the data directory, or a part of it, was replaced while the daemon was running", o.path)
		case isNotExist(err), errors.Is(err, syscall.ENOTDIR), errors.Is(err, syscall.ESTALE):
			return words.Failf(ErrDisplaced, "%s is not there any more: the data directory, or a part of it, was moved or removed while the daemon was running", o.path)
		default:
			return words.Failf(ErrStorage, "%s cannot be looked at: %v", o.path, err)
		}
	}
	return nil
}

// checkPlace halts unless the store is where it was opened.
func (e *Engine) checkPlace() {
	if e.failed.Load() == nil {
		e.placeLooked = e.now()
		_ = e.inPlace()
	}
}

// checkPlaceIfDue is checkPlace if the last check is too old to acknowledge commits.
func (e *Engine) checkPlaceIfDue() {
	if since := e.now().Sub(e.placeLooked); since < 0 || since > lookEvery { // the clock may jump
		e.checkPlace()
	}
}

// inPlace halts and fails unless the store is where it was opened.
func (e *Engine) inPlace() error {
	err := e.place.Load().check()
	if err != nil {
		e.halt(err)
	}
	return err
}

// locks are closed together.
type locks []io.Closer

func (l locks) Close() error {
	var errs []error
	for _, c := range l {
		errs = append(errs, c.Close())
	}
	return errors.Join(errs...)
}

// lockStore keeps other processes out. It locks the directory itself, so that removing or
// replacing the lock file does not help, and the lock file, as every build does.
func lockStore(env *Env, dir string) (held locks, err error) {
	defer func() {
		if err != nil {
			_ = held.Close()
			held = nil
		}
	}()
	if env.LockDir != nil {
		switch l, err := env.LockDir(dir); {
		case err == nil:
			held = append(held, l)
		case errors.Is(err, errors.ErrUnsupported):
			env.Log("the data directory's file system knows no locks of directories: only the lock file keeps another process out", "error", err.Error())
		default:
			return held, lockError(dir, err)
		}
	}
	l, err := env.FS.Lock(env.FS.PathJoin(dir, lockName))
	if err != nil {
		return held, lockError(dir, err)
	}
	return append(held, l), nil
}

func lockError(dir string, err error) error {
	var no syscall.Errno
	switch {
	case errors.Is(err, syscall.EAGAIN), !errors.As(err, &no): // Pebble has an error of its own for a lock that this process holds
		return words.Failf(ErrLocked, "%s is in use by another process: stop it first (%v)", dir, err)
	}
	return openFailure(err, "%s cannot be locked", dir)
}

// placedFS checks the store's place before a file is changed by path.
type placedFS struct {
	vfs.FS
	inPlace func() error
}

func (p placedFS) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	if err := p.inPlace(); err != nil {
		return nil, err
	}
	return p.FS.Create(name, c)
}

func (p placedFS) ReuseForWrite(oldname, newname string, c vfs.DiskWriteCategory) (vfs.File, error) {
	if err := p.inPlace(); err != nil {
		return nil, err
	}
	return p.FS.ReuseForWrite(oldname, newname, c)
}

func (p placedFS) Rename(oldname, newname string) error {
	if err := p.inPlace(); err != nil {
		return err
	}
	return p.FS.Rename(oldname, newname)
}

func (p placedFS) Remove(name string) error {
	if err := p.inPlace(); err != nil {
		return err
	}
	return p.FS.Remove(name)
}

func (p placedFS) Unwrap() vfs.FS { return p.FS }
