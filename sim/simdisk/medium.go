package simdisk

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"syscall"
)

// This file is for the time between two processes: it looks at the medium and
// corrupts it, past the operations that are counted, traced and open to faults.

// FileStat describes a file.
type FileStat struct {
	Path   string
	Class  Class
	Size   int64 // bytes
	Synced int64 // bytes of it that are durable as a size
}

// Files lists the files on the disk, sorted by path. Directories are left out.
func (d *Disk) Files() []FileStat {
	d.mu.Lock()
	defer d.mu.Unlock()
	var list []FileStat
	d.walk(d.root, "/", func(at string, n *node) {
		list = append(list, FileStat{at, ClassOf(at), n.live.size, n.synced})
	})
	return list
}

// walk visits the live files below a directory in order of their paths' elements.
func (d *Disk) walk(dir *node, at string, visit func(at string, n *node)) {
	for _, name := range dir.names() {
		if n := dir.entries[name]; n.dir {
			d.walk(n, path.Join(at, name), visit)
		} else {
			visit(path.Join(at, name), n)
		}
	}
}

// ReadFile returns the live content of a file.
func (d *Disk) ReadFile(name string) ([]byte, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	n, err := d.findFile(name)
	if err != nil {
		return nil, err
	}
	return n.live.bytes(0, n.live.size), nil
}

// FlipBit inverts one bit, 0 to 7, of the byte at an offset, in live and synced
// content both.
func (d *Disk) FlipBit(name string, offset int64, bit int) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	n, err := d.findFile(name)
	if err != nil {
		return err
	}
	if offset < 0 || offset >= n.live.size || bit < 0 || bit > 7 {
		return fmt.Errorf("flip a bit of %s: no bit %d at %d, size is %d", name, bit, offset, n.live.size)
	}
	n.invert(offset, bit)
	return nil
}

// Truncate cuts a file to a size in bytes, durably.
func (d *Disk) Truncate(name string, size int64) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	n, err := d.findFile(name)
	if err != nil {
		return err
	}
	if size < 0 || size > n.live.size {
		return fmt.Errorf("truncate %s to %d: size is %d", name, size, n.live.size)
	}
	d.grow(n, func() { n.truncate(size) })
	return nil
}

// RemoveFile takes a name off the medium, durably, whatever was pending for it.
func (d *Disk) RemoveFile(name string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, err := d.findFile(name); err != nil {
		return err
	}
	dir, base, _, err := d.locate(name)
	if err != nil {
		return err
	}
	d.apply(change{{dir, base, nil}})
	d.journal.forget(dir, base)
	delete(dir.kept, base)
	return nil
}

func (d *Disk) findFile(name string) (*node, error) {
	n, err := d.find(name)
	if err == nil && n.dir {
		err = syscall.EISDIR
	}
	if err != nil {
		return nil, pathError("find", clean(name), err)
	}
	return n, nil
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
