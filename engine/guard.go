package engine

import (
	"errors"
	"io"
	iofs "io/fs"
	"strings"

	"github.com/cockroachdb/pebble/v2/vfs"

	"statehouse.dev/statehouse/engine/words"
)

// guardFS halts on the first error of a write that Pebble cannot take back: of
// the WAL, the MANIFEST, a marker, or a directory. Pebble itself would retry,
// panic with a lock held or answer nil to a commit (docs/ARCHITECTURE.md,
// "Failure policy"); here the process ends before it can.
type guardFS struct {
	vfs.FS
	halt    func(error)
	observe *Observer // of syncs of the WAL; may be nil
}

// Guard is such a file system for a Pebble store beside this one.
func Guard(fs vfs.FS, halt func(error)) vfs.FS { return guardFS{FS: fs, halt: halt} }

func guarded(base string) bool {
	return strings.HasSuffix(base, ".log") || strings.HasPrefix(base, "MANIFEST-") || strings.HasPrefix(base, "marker.")
}

func (g guardFS) check(what, name string, err error) error {
	if err != nil && guarded(g.PathBase(name)) {
		g.halt(words.Failf(ErrStorage, "%s of %s failed: %v", what, name, err))
	}
	return err
}

func (g guardFS) wrap(f vfs.File, name string) vfs.File {
	if f == nil || !guarded(g.PathBase(name)) {
		return f
	}
	return guardFile{File: f, name: name, fs: g}
}

func (g guardFS) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := g.FS.Create(name, c)
	return g.wrap(f, name), g.check("create", name, err)
}

func (g guardFS) OpenReadWrite(name string, c vfs.DiskWriteCategory, opts ...vfs.OpenOption) (vfs.File, error) {
	f, err := g.FS.OpenReadWrite(name, c, opts...)
	return g.wrap(f, name), g.check("open", name, err)
}

func (g guardFS) ReuseForWrite(oldname, newname string, c vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := g.FS.ReuseForWrite(oldname, newname, c)
	return g.wrap(f, newname), g.check("reuse", newname, err)
}

func (g guardFS) Rename(oldname, newname string) error {
	return g.check("rename", newname, g.FS.Rename(oldname, newname))
}

func (g guardFS) OpenDir(name string) (vfs.File, error) {
	f, err := g.FS.OpenDir(name)
	if f == nil {
		return f, err
	}
	return guardDir{File: f, name: name, halt: g.halt}, err
}

func (g guardFS) Unwrap() vfs.FS { return g.FS }

type guardFile struct {
	vfs.File
	name string
	fs   guardFS
}

func (f guardFile) Write(p []byte) (int, error) {
	n, err := f.File.Write(p)
	return n, f.fs.check("write", f.name, err)
}

func (f guardFile) WriteAt(p []byte, off int64) (int, error) {
	n, err := f.File.WriteAt(p, off)
	return n, f.fs.check("write", f.name, err)
}

func (f guardFile) Sync() error     { return f.fs.check("sync", f.name, f.observed(f.File.Sync)) }
func (f guardFile) SyncData() error { return f.fs.check("sync", f.name, f.observed(f.File.SyncData)) }

func (f guardFile) observed(sync func() error) error {
	if f.fs.observe == nil || !strings.HasSuffix(f.name, ".log") {
		return sync()
	}
	return f.fs.observe.sync(sync)
}

func (f guardFile) SyncTo(length int64) (bool, error) {
	full, err := f.File.SyncTo(length)
	return full, f.fs.check("sync", f.name, err)
}

type guardDir struct {
	vfs.File
	name string
	halt func(error)
}

func (d guardDir) Sync() error {
	err := d.File.Sync()
	if err != nil {
		d.halt(words.Failf(ErrStorage, "sync of directory %s failed: %v", d.name, err))
	}
	return err
}

// writeFileAtomic replaces a file atomically and durably: temporary file, sync, rename,
// directory sync.
func writeFileAtomic(fs vfs.FS, name string, data []byte) error {
	tmp := name + ".tmp"
	f, err := fs.Create(tmp, vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = fs.Rename(tmp, name)
	}
	if err == nil {
		err = syncDir(fs, fs.PathDir(name))
	}
	return err
}

func syncDir(fs vfs.FS, dir string) error {
	d, err := fs.OpenDir(dir)
	if err != nil {
		return err
	}
	err = d.Sync()
	if cerr := d.Close(); err == nil {
		err = cerr
	}
	return err
}

// readFile returns nil for a file that does not exist.
func readFile(fs vfs.FS, name string) ([]byte, error) {
	f, err := fs.Open(name)
	if err != nil {
		if isNotExist(err) {
			return nil, nil
		}
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(f)
}

func isNotExist(err error) bool { return errors.Is(err, iofs.ErrNotExist) }
