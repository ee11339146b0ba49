package simdisk

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"syscall"
)

// This file is for the time between two processes: it looks at the medium and
// harms it, past the operations that are counted, traced and open to faults.

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
		list = append(list, FileStat{at, ClassOf(at), int64(len(n.live)), int64(len(n.synced))})
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
	return slices.Clone(n.live), nil
}

// Damage inverts one bit, 0 to 7, of the byte at an offset, in live and synced
// content both.
func (d *Disk) Damage(name string, offset int64, bit int) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	n, err := d.findFile(name)
	if err != nil {
		return err
	}
	if offset < 0 || offset >= int64(len(n.live)) || bit < 0 || bit > 7 {
		return fmt.Errorf("damage %s: no bit %d at %d, size is %d", name, bit, offset, len(n.live))
	}
	n.live[offset] ^= 1 << bit
	if offset < int64(len(n.synced)) {
		n.synced[offset] ^= 1 << bit
	}
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
	if size < 0 || size > int64(len(n.live)) {
		return fmt.Errorf("truncate %s to %d: size is %d", name, size, len(n.live))
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
	delete(dir.durable, base)
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

// Clone copies a disk that nothing is going on on, with all it has durable and
// pending. The clone is alive and, like a disk after a crash, without locks, faults
// and hooks, its counts at zero. Handles go on belonging to the original.
func (d *Disk) Clone() *Disk {
	d.mu.Lock()
	defer d.mu.Unlock()
	next := NewDisk(d.opts)
	c := copier{}
	next.root = c.copy(d.root)
	for _, ch := range d.journal {
		made := make(change, len(ch))
		for i, e := range ch {
			made[i] = edit{c.copy(e.dir), e.name, c.copy(e.node)}
		}
		next.journal = append(next.journal, made)
	}
	next.after = d.after
	next.recount()
	return next
}

// copier copies nodes, each one once. It is only looked up.
type copier map[*node]*node

func (c copier) copy(n *node) *node {
	if n == nil {
		return nil
	}
	if made, ok := c[n]; ok {
		return made
	}
	if !n.dir {
		c[n] = n.cloneFile()
		return c[n]
	}
	made := newDirNode(n.birth, n.mtime)
	c[n] = made
	for name, e := range n.entries { // a copy into a map: order cannot matter
		made.entries[name] = c.copy(e)
	}
	for name, e := range n.durable { // likewise
		made.durable[name] = c.copy(e)
	}
	return made
}

// recount finds links and space used anew, on a disk without open handles.
func (d *Disk) recount() {
	d.used = 0
	d.walk(d.root, "/", func(_ string, n *node) {
		if n.links++; n.links == 1 {
			d.used += n.allocated()
		}
	})
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
