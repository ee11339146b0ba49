package simdisk

import (
	"io"
	"io/fs"
	"path"
	"strings"
	"syscall"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// This file implements vfs.FS. Names are slash-separated; a relative name counts
// from the root. Errors are *fs.PathError around the errno that Linux would give,
// so errors.Is finds fs.ErrNotExist, fs.ErrExist and syscall.ENOSPC in them.

// Create implements vfs.FS. A file that is there already is removed first, as the
// operating system's implementation does, so a crash can leave neither.
func (d *Disk) Create(name string, _ vfs.DiskWriteCategory) (vfs.File, error) {
	return d.create(name, true, nil)
}

// create makes a file. One that is there already is replaced, or else opened.
func (d *Disk) create(name string, replace bool, opts []vfs.OpenOption) (vfs.File, error) {
	name = clean(name)
	return d.handle(Op{Kind: OpCreate, Path: name}, opts, func() (*file, error) {
		dir, base, old, err := d.locate(name)
		if err == nil && old != nil && old.dir {
			err = syscall.EISDIR
		}
		if err != nil {
			return nil, err
		}
		if old != nil && !replace { // somebody was faster
			return d.open(old, name, true), nil
		}
		if old != nil {
			d.apply(change{{dir, base, nil}})
		}
		return d.open(d.addFile(dir, base, name), name, true), nil
	})
}

// handle runs an operation that opens a file, and applies the options to it.
func (d *Disk) handle(
	op Op, opts []vfs.OpenOption, open func() (*file, error),
) (vfs.File, error) {
	var f *file
	err := d.do(task{Op: op, effect: func(*Injection) (err error) {
		if f, err = open(); err != nil {
			return pathError(op.Kind, op.Path, err)
		}
		return nil
	}})
	if err != nil {
		return nil, err
	}
	for _, opt := range opts {
		opt.Apply(f)
	}
	return f, nil
}

// addFile makes an empty file.
func (d *Disk) addFile(dir *node, base, name string) *node {
	n := d.newFile(name, d.opts.Clock())
	d.apply(change{{dir, base, n}})
	return n
}

// newFile makes a file that has no name yet.
func (d *Disk) newFile(at string, now time.Time) *node {
	n := newFileNode(birth{at, d.births[at]}, now)
	d.births[at]++
	return n
}

// open makes a handle.
func (d *Disk) open(n *node, name string, write bool) *file {
	n.opens++
	d.handles[name]++
	class := ClassDir
	if !n.dir {
		class = ClassOf(name)
	}
	return &file{disk: d, node: n, path: name, class: class, write: write}
}

// Open implements vfs.FS. It opens directories too, as the operating system does.
func (d *Disk) Open(name string, opts ...vfs.OpenOption) (vfs.File, error) {
	return d.openExisting(name, false, opts)
}

func (d *Disk) openExisting(name string, write bool, opts []vfs.OpenOption) (vfs.File, error) {
	name = clean(name)
	return d.handle(Op{Kind: OpOpen, Path: name}, opts, func() (*file, error) {
		n, err := d.find(name)
		if err == nil && n.dir && write {
			err = syscall.EISDIR
		}
		if err != nil {
			return nil, err
		}
		return d.open(n, name, write), nil
	})
}

// OpenReadWrite implements vfs.FS.
func (d *Disk) OpenReadWrite(
	name string, _ vfs.DiskWriteCategory, opts ...vfs.OpenOption,
) (vfs.File, error) {
	d.mu.Lock()
	_, err := d.find(name)
	d.mu.Unlock()
	if err != nil {
		return d.create(name, false, opts)
	}
	return d.openExisting(name, true, opts)
}

// OpenDir implements vfs.FS.
func (d *Disk) OpenDir(name string) (vfs.File, error) {
	name = clean(name)
	return d.handle(Op{Kind: OpOpen, Path: name}, nil, func() (*file, error) {
		n, err := d.find(name)
		if err == nil && !n.dir {
			err = syscall.ENOTDIR
		}
		if err != nil {
			return nil, err
		}
		return d.open(n, name, false), nil
	})
}

// Link implements vfs.FS.
func (d *Disk) Link(oldname, newname string) error {
	oldname, newname = clean(oldname), clean(newname)
	return d.do(task{Op: Op{Kind: OpLink, Path: newname, From: oldname}, effect: func(*Injection) error {
		n, err := d.find(oldname)
		if err != nil {
			return pathError(OpLink, oldname, err)
		}
		dir, base, old, err := d.locate(newname)
		switch {
		case err != nil:
		case old != nil:
			err = syscall.EEXIST
		case n.dir:
			err = syscall.EPERM
		}
		if err != nil {
			return pathError(OpLink, newname, err)
		}
		d.apply(change{{dir, base, n}})
		return nil
	}})
}

// Rename implements vfs.FS. It is atomic, also in what a crash leaves.
func (d *Disk) Rename(oldname, newname string) error {
	oldname, newname = clean(oldname), clean(newname)
	return d.do(task{Op: Op{Kind: OpRename, Path: newname, From: oldname}, effect: func(*Injection) error {
		fromDir, fromBase, n, err := d.locate(oldname)
		if err != nil {
			return pathError(OpRename, oldname, err)
		}
		toDir, toBase, old, err := d.locate(newname)
		switch {
		case err != nil:
		case n == nil:
			err = syscall.ENOENT
		case old != nil && old.dir:
			err = syscall.EEXIST // Go's rule, even for an empty directory
		case n.dir && strings.HasPrefix(newname, oldname+"/"):
			err = syscall.EINVAL
		case n.dir && old != nil:
			err = syscall.ENOTDIR
		}
		if err != nil {
			return pathError(OpRename, newname, err)
		}
		if n != old { // two names of one file stay as they are, says POSIX
			d.apply(change{{fromDir, fromBase, nil}, {toDir, toBase, n}})
		}
		return nil
	}})
}

// ReuseForWrite implements vfs.FS: a rename, then the old content is overwritten
// from the start.
func (d *Disk) ReuseForWrite(
	oldname, newname string, _ vfs.DiskWriteCategory,
) (vfs.File, error) {
	if err := d.Rename(oldname, newname); err != nil {
		return nil, err
	}
	return d.openExisting(newname, true, nil)
}

// Remove implements vfs.FS. Open handles keep a removed file alive.
func (d *Disk) Remove(name string) error {
	name = clean(name)
	return d.do(task{Op: Op{Kind: OpRemove, Path: name}, effect: func(*Injection) error {
		dir, base, n, err := d.locate(name)
		switch {
		case err != nil:
		case n == nil:
			err = syscall.ENOENT
		case len(n.entries) > 0:
			err = syscall.ENOTEMPTY
		}
		if err != nil {
			return pathError(OpRemove, name, err)
		}
		d.apply(change{{dir, base, nil}})
		return nil
	}})
}

// RemoveAll implements vfs.FS: one Remove for everything below, in sorted order,
// and then for the path itself.
func (d *Disk) RemoveAll(name string) error {
	name = clean(name)
	d.mu.Lock()
	n, err := d.find(name)
	var names []string
	if err == nil {
		names = n.names()
	}
	d.mu.Unlock()
	switch {
	case err == syscall.ENOENT:
		return nil // there is nothing to remove, which is what was asked for
	case err != nil:
		return pathError(OpRemove, name, err)
	}
	var first error
	for _, base := range names {
		if err := d.RemoveAll(path.Join(name, base)); err != nil && first == nil {
			first = err
		}
	}
	if err := d.Remove(name); err != nil && first == nil {
		first = err
	}
	return first
}

// MkdirAll implements vfs.FS. Each directory made is a change of its own.
func (d *Disk) MkdirAll(name string, _ fs.FileMode) error {
	name = clean(name)
	return d.do(task{Op: Op{Kind: OpMkdir, Path: name}, effect: func(*Injection) error {
		dir, at := d.root, "/"
		for part, rest := next(name); part != ""; part, rest = next(rest) {
			at = path.Join(at, part)
			n := dir.entries[part]
			if n == nil {
				n = newDirNode(d.opts.Clock())
				d.apply(change{{dir, part, n}})
			}
			if !n.dir {
				return pathError(OpMkdir, at, syscall.ENOTDIR)
			}
			dir = n
		}
		return nil
	}})
}

// Lock implements vfs.FS. A second lock of the same path fails with EAGAIN. Locks
// do not outlive a crash.
func (d *Disk) Lock(name string) (io.Closer, error) {
	name = clean(name)
	err := d.do(task{Op: Op{Kind: OpLock, Path: name}, effect: func(*Injection) error {
		dir, base, n, err := d.locate(name)
		switch {
		case err != nil:
		case n != nil && n.dir:
			err = syscall.EISDIR
		case d.locks[name]:
			err = syscall.EAGAIN
		}
		if err != nil {
			return pathError(OpLock, name, err)
		}
		if n == nil {
			d.addFile(dir, base, name)
		}
		d.locks[name] = true
		return nil
	}})
	if err != nil {
		return nil, err
	}
	return &lock{disk: d, path: name}, nil
}

// lock is a held lock.
type lock struct {
	disk *Disk
	path string
}

// Close releases the lock. Closing it again does nothing, even if somebody else
// has the lock by then.
func (l *lock) Close() error {
	if l.disk == nil {
		return nil
	}
	l.disk.mu.Lock()
	defer l.disk.mu.Unlock()
	delete(l.disk.locks, l.path)
	l.disk = nil
	return nil
}
