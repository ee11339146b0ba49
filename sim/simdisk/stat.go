package simdisk

import (
	"io/fs"
	"maps"
	"path"
	"slices"
	"syscall"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// unlimited is what GetDiskUsage reports as the size of a disk without limit.
const unlimited = 1 << 50

// List implements vfs.FS. The names are sorted.
func (d *Disk) List(name string) ([]string, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	n, err := d.find(name)
	if err == nil && !n.dir {
		err = syscall.ENOTDIR
	}
	if err != nil {
		return nil, pathError("list", clean(name), err)
	}
	return n.names(), nil
}

// Stat implements vfs.FS.
func (d *Disk) Stat(name string) (vfs.FileInfo, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	n, err := d.find(name)
	if err != nil {
		return nil, pathError("stat", clean(name), err)
	}
	return newInfo(n, name), nil
}

// GetDiskUsage implements vfs.FS. Used counts whole sectors, preallocated ones and
// those of removed files that are still open; names are free.
func (d *Disk) GetDiskUsage(string) (vfs.DiskUsage, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	total := d.opts.Capacity
	if total == 0 {
		total = unlimited
	}
	return vfs.DiskUsage{
		TotalBytes: uint64(total),
		UsedBytes:  uint64(d.used),
		AvailBytes: uint64(max(0, total-d.used)),
	}, nil
}

// OpenFiles lists the paths that there are open handles of, and those that are locked.
func (d *Disk) OpenFiles() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Concat(slices.Sorted(maps.Keys(d.handles)), slices.Sorted(maps.Keys(d.locks)))
}

// PathBase implements vfs.FS.
func (d *Disk) PathBase(name string) string { return path.Base(name) }

// PathJoin implements vfs.FS.
func (d *Disk) PathJoin(elem ...string) string { return path.Join(elem...) }

// PathDir implements vfs.FS.
func (d *Disk) PathDir(name string) string { return path.Dir(name) }

// Unwrap implements vfs.FS: a Disk wraps nothing.
func (d *Disk) Unwrap() vfs.FS { return nil }

// info is what Stat tells. It does not change with the file.
type info struct {
	name  string
	size  int64
	mtime time.Time
	dir   bool
}

func newInfo(n *node, name string) vfs.FileInfo {
	return info{path.Base(clean(name)), n.live.size, n.mtime, n.dir}
}

func (i info) Name() string           { return i.name }
func (i info) Size() int64            { return i.size }
func (i info) ModTime() time.Time     { return i.mtime }
func (i info) IsDir() bool            { return i.dir }
func (i info) Sys() any               { return nil }
func (i info) DeviceID() vfs.DeviceID { return vfs.DeviceID{} }
func (i info) Mode() fs.FileMode {
	if i.dir {
		return fs.ModeDir | 0o755
	}
	return 0o644
}
