package simdisk

import (
	"fmt"
	"io"
	"io/fs"
	"syscall"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// file is an open handle. The disk's lock guards all of it.
type file struct {
	disk   *Disk
	node   *node
	path   string // that it was opened at
	class  Class
	pos    int64 // of Read and Write
	write  bool
	closed bool
}

var _ vfs.File = (*file)(nil)

// check refuses what this handle cannot do.
func (f *file) check(kind OpKind, wantDir bool) error {
	switch {
	case f.closed:
		return pathError(kind, f.path, fs.ErrClosed)
	case f.node.dir != wantDir:
		return pathError(kind, f.path, syscall.EISDIR)
	case kind == OpWrite && !f.write:
		return pathError(kind, f.path, syscall.EBADF)
	}
	return nil
}

// Close implements vfs.File. It syncs nothing.
func (f *file) Close() error {
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	if f.closed {
		return pathError("close", f.path, fs.ErrClosed)
	}
	f.closed = true
	f.node.opens--
	if f.disk.handles[f.path]--; f.disk.handles[f.path] == 0 {
		delete(f.disk.handles, f.path)
	}
	f.disk.release(f.node)
	return nil
}

// Read implements vfs.File.
func (f *file) Read(p []byte) (int, error) {
	n, err := f.read(p, f.position())
	f.disk.mu.Lock()
	f.pos += int64(n)
	f.disk.mu.Unlock()
	if n > 0 && err == io.EOF {
		err = nil
	}
	return n, err
}

// ReadAt implements vfs.File.
func (f *file) ReadAt(p []byte, off int64) (int, error) { return f.read(p, off) }

func (f *file) read(p []byte, off int64) (n int, err error) {
	if off < 0 {
		return 0, pathError(OpRead, f.path, syscall.EINVAL)
	}
	want := len(p)
	f.disk.mu.Lock()
	size := min(int64(len(p)), max(0, f.node.live.size-off))
	f.disk.mu.Unlock()

	op := Op{Kind: OpRead, Class: f.class, Path: f.path, Offset: off, Size: size}
	err = f.disk.do(task{Op: op, file: f, effect: func(hit *Injection) error {
		if err := f.check(OpRead, false); err != nil {
			return err
		}
		from := off
		if hit != nil && hit.Fault.Kind == Misread {
			from, _ = f.misreadAt(hit.Op)
			hit.Detail = fmt.Sprintf("got what is at %d", from)
			p = p[:size]
		}
		n = f.node.live.read(p, from)
		if hit != nil && hit.Fault.Kind == BitFlip && n > 0 {
			f.flip(hit, p[:n])
		}
		if n < want {
			return io.EOF
		}
		return nil
	}})
	return n, err
}

// Write implements vfs.File.
func (f *file) Write(p []byte) (int, error) {
	n, err := f.writeAt(p, f.position())
	f.disk.mu.Lock()
	f.pos += int64(n)
	f.disk.mu.Unlock()
	return n, err
}

// WriteAt implements vfs.File.
func (f *file) WriteAt(p []byte, off int64) (int, error) { return f.writeAt(p, off) }

// writeAt writes as much of p as the disk has room for.
func (f *file) writeAt(p []byte, off int64) (n int, err error) {
	if off < 0 {
		return 0, pathError(OpWrite, f.path, syscall.EINVAL)
	}
	d := f.disk
	op := Op{Kind: OpWrite, Class: f.class, Path: f.path, Offset: off, Size: int64(len(p))}
	err = d.do(task{Op: op, file: f, data: p, effect: func(hit *Injection) error {
		if err := f.check(OpWrite, false); err != nil {
			return err
		}
		n = int(max(0, min(int64(len(p)), d.room(f.node)-off)))
		errno := syscall.ENOSPC
		at := off
		if hit != nil && hit.Fault.Kind == MisdirectedWrite {
			at, _ = f.misdirectAt(hit.Op, p)
			hit.Detail = fmt.Sprintf("went to %d", at)
		} else if hit != nil {
			if hit.Fault.Kind == ShortWrite {
				errno = syscall.EIO
			}
			n = min(n, f.shorten(hit))
			hit.Detail = fmt.Sprintf("wrote %d bytes", n)
		}
		d.grow(f.node, func() {
			if at != off { // it should have grown the file
				f.node.extend(off + int64(n))
			}
			f.node.write(p[:n], at, d.opts.Clock())
		})
		if n < len(p) {
			return pathError(OpWrite, f.path, errno)
		}
		return nil
	}})
	return n, err
}

func (f *file) position() int64 {
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	return f.pos
}

// Sync implements vfs.File. Of a directory it makes the entries durable, of a file
// the content and the size but not its name.
func (f *file) Sync() error {
	if f.node.dir {
		return f.syncDir()
	}
	return f.disk.do(task{Op: Op{Kind: OpSync, Class: f.class, Path: f.path}, effect: func(hit *Injection) error {
		if err := f.check(OpSync, false); err != nil {
			return err
		}
		var fault FaultKind
		if hit != nil {
			fault = hit.Fault.Kind
		}
		switch fault {
		case SyncLie:
			return nil
		case SyncError:
			f.node.failSync()
			return pathError(OpSync, f.path, syscall.EIO)
		case SyncErrorAfter:
			f.node.sync()
			return pathError(OpSync, f.path, syscall.EIO)
		}
		f.node.sync()
		return nil
	}})
}

func (f *file) syncDir() error {
	return f.disk.do(task{Op: Op{Kind: OpDirSync, Class: f.class, Path: f.path}, effect: func(hit *Injection) error {
		if err := f.check(OpDirSync, true); err != nil {
			return err
		}
		if hit == nil || hit.Fault.Kind != DirSyncLie {
			f.disk.journal.commit(f.node)
		}
		return nil
	}})
}

// SyncData implements vfs.File. It is Sync: the size of a file is part of what
// it takes to read the data back.
func (f *file) SyncData() error { return f.Sync() }

// SyncTo implements vfs.File. It syncs the whole file and says so.
func (f *file) SyncTo(int64) (fullSync bool, err error) {
	if f.node.dir {
		return false, nil
	}
	err = f.Sync()
	return err == nil, err
}

// Preallocate implements vfs.File. It reserves space without changing the size.
func (f *file) Preallocate(offset, length int64) error {
	d := f.disk
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := f.check(OpWrite, false); err != nil {
		return err
	}
	end := offset + length
	if end > d.room(f.node) {
		return pathError("preallocate", f.path, syscall.ENOSPC)
	}
	d.grow(f.node, func() { f.node.preall = max(f.node.preall, end) })
	return nil
}

// Stat implements vfs.File.
func (f *file) Stat() (vfs.FileInfo, error) {
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	if f.closed {
		return nil, pathError("stat", f.path, fs.ErrClosed)
	}
	return newInfo(f.node, f.path), nil
}

// Prefetch implements vfs.File; there is nothing to do.
func (f *file) Prefetch(int64, int64) error { return nil }

// Fd implements vfs.File: there is no descriptor, which also keeps Pebble from
// preallocating and from asking the kernel to sync ranges.
func (f *file) Fd() uintptr { return vfs.InvalidFd }
