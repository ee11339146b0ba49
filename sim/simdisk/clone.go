package simdisk

import "maps"

// Clone copies a disk that nothing is going on on, with all it has durable and
// pending. The clone is alive and, like a disk after a crash, without locks, faults
// and hooks, its counts at zero. Handles go on belonging to the original.
func (d *Disk) Clone() *Disk {
	d.mu.Lock()
	defer d.mu.Unlock()
	next := d.copy()
	next.after = d.after
	return next
}

// Kill ends the process that uses the disk, as kill -9 does, while the machine
// lives on: the disk is dead from here on, as after Crash, and the disk returned is
// what a new process finds. Nothing is lost, for the cache belongs to the machine:
// what was not durable is there, still pending, and a Crash may take it; only files
// that no name led to are gone. Locks, faults, hooks and counts end with the process,
// the seed follows from this disk's, and the Aftermath is empty.
//
// Like Crash it may be called from any hook, and panics on a dead disk.
func (d *Disk) Kill() *Disk {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.dead {
		panic("simdisk: kill on a dead disk")
	}
	d.dead = true
	next := d.copy()
	next.opts.Seed = Derive(d.opts.Seed, "kill")
	return next
}

// copy makes a new disk of everything on this one and in its journal.
func (d *Disk) copy() *Disk {
	next := NewDisk(d.opts)
	next.births = maps.Clone(d.births)
	c := copier{}
	next.root = c.copy(d.root)
	for _, ch := range d.journal {
		made := make(change, len(ch))
		for i, e := range ch {
			made[i] = edit{c.copy(e.dir), e.name, c.copy(e.node)}
		}
		next.journal = append(next.journal, made)
	}
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
		c[n] = n.copyFile()
		return c[n]
	}
	made := newDirNode(n.mtime)
	c[n] = made
	for name, e := range n.entries { // a copy into a map: order cannot matter
		made.entries[name] = c.copy(e)
	}
	for name, e := range n.kept { // likewise
		made.kept[name] = c.copy(e)
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
