package simdisk

import (
	"fmt"
	"math/rand/v2"
	"path"
	"slices"
)

// CrashMode says what a crash does to what was not synced.
type CrashMode string

// The modes. A sector here is one that holds unsynced bytes, and what happens to it
// happens only to those bytes of it: the synced ones around them always survive.
const (
	DropAll   CrashMode = "drop"      // nothing unsynced survives; also the zero value
	KeepAll   CrashMode = "keep"      // everything does
	Torn      CrashMode = "torn"      // of each file the sectors up to some point
	Reordered CrashMode = "reordered" // of each file any of the sectors
	Garbage   CrashMode = "garbage"   // each sector is lost, kept or filled with random bytes
	Random    CrashMode = "random"    // of the five modes above, one for each file
)

// CrashModes lists every mode, in a fixed order.
func CrashModes() []CrashMode {
	return []CrashMode{DropAll, KeepAll, Torn, Reordered, Garbage, Random}
}

// CrashOptions says which of its possible states a disk is left in by a crash.
//
// Of a file's size, DropAll leaves the synced one and KeepAll the newest. The other
// modes leave either where the last sector that was not lost ends, or any size the
// file had since it was synced; sectors lost between the synced size and that one
// read as zeros. Of the directory changes that are not durable, DropAll
// keeps none, KeepAll all and the others a prefix of any length.
type CrashOptions struct {
	Mode CrashMode
	Seed uint64 // of every choice; each file has its own stream, named by where and after how many others it was created
}

// Aftermath reports what a crash did.
type Aftermath struct {
	CrashOptions
	DirKept, DirLost int             // directory changes that were not durable
	Files            []FileAftermath // those that had something unsynced, sorted by path
}

// FileAftermath reports what a crash did to one file.
type FileAftermath struct {
	Path                       string // after the crash
	Mode                       CrashMode
	Kept, Lost, Garbage        int   // sectors
	SyncedSize, LiveSize, Size int64 // in bytes: durable, before and after the crash
}

// Crash cuts the power: the disk is dead from here on, and the disk returned is
// what a new process finds. It has nothing unsynced, no locks and, until they are
// given to it, no faults and no hooks; its counts begin at zero. Clock, capacity and
// tracing go on; its seed follows from this disk's and the crash's.
//
// A disk dies once: to crash a dead disk panics, as does an unknown mode.
func (d *Disk) Crash(opts CrashOptions) *Disk {
	if opts.Mode == "" {
		opts.Mode = DropAll
	}
	if !slices.Contains(CrashModes(), opts.Mode) {
		panic(fmt.Sprintf("simdisk: unknown crash mode %q", opts.Mode))
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.dead {
		panic("simdisk: crash of a dead disk")
	}
	d.dead = true

	next := NewDisk(d.opts)
	next.opts.Seed = Derive(d.opts.Seed, "crash", fmt.Sprint(opts.Seed))
	c := crash{next: next, opts: opts, files: make(map[*node]*node), dirs: make(map[*node]map[string]*node)}
	c.after.CrashOptions = opts
	c.replay(d.journal)
	next.root = c.dir(d.root, "/")
	next.after = c.after
	next.recount()
	return next
}

// Aftermath reports what the crash did that this disk came out of.
func (d *Disk) Aftermath() Aftermath {
	d.mu.Lock()
	defer d.mu.Unlock()
	a := d.after
	a.Files = slices.Clone(a.Files)
	return a
}

// crash builds the disk that is left. Its maps are only looked up.
type crash struct {
	next  *Disk
	opts  CrashOptions
	after Aftermath
	files map[*node]*node            // copies made, for files with several links
	dirs  map[*node]map[string]*node // directories that the surviving changes alter
}

// replay applies the prefix of the journal that survives.
func (c *crash) replay(j journal) {
	kept := len(j)
	switch c.opts.Mode {
	case DropAll:
		kept = 0
	case KeepAll:
	default:
		kept = Stream(c.opts.Seed, "journal").IntN(len(j) + 1)
	}
	c.after.DirKept, c.after.DirLost = kept, len(j)-kept
	for _, change := range j[:kept] {
		for _, e := range change {
			entries, ok := c.dirs[e.dir]
			if !ok {
				entries = make(map[string]*node)
				for name, n := range e.dir.kept { // a copy: order cannot matter
					entries[name] = n
				}
				c.dirs[e.dir] = entries
			}
			setEntry(entries, e.name, e.node)
		}
	}
}

// dir copies a directory as it is after the crash.
func (c *crash) dir(n *node, at string) *node {
	entries, ok := c.dirs[n]
	if !ok {
		entries = n.kept
	}
	made := newDirNode(n.mtime)
	for _, name := range sortedKeys(entries) {
		var child *node
		if e := entries[name]; e.dir {
			child = c.dir(e, path.Join(at, name))
		} else {
			child = c.file(e, path.Join(at, name))
		}
		made.entries[name], made.kept[name] = child, child
	}
	return made
}

// file copies a file as it is after the crash.
func (c *crash) file(n *node, at string) *node {
	if made, ok := c.files[n]; ok {
		return made
	}
	made := c.next.newFile(at, n.mtime)
	c.files[n] = made
	if n.durable() { // most files of a store, most of the time
		made.live, made.synced = n.live.share(), n.synced
		return made
	}
	content, left := n.spoil(c.opts)
	if left.Kept+left.Lost+left.Garbage > 0 || left.LiveSize != left.SyncedSize {
		left.Path = at
		c.after.Files = append(c.after.Files, left)
	}
	made.live, made.synced = content, content.size
	return made
}

// spoil draws the content that a crash leaves of a file.
func (n *node) spoil(opts CrashOptions) (content, FileAftermath) {
	rng := n.birth.stream(opts.Seed)
	mode := opts.Mode
	if mode == Random {
		mode = CrashModes()[rng.IntN(len(CrashModes())-1)] // Random itself is the last
	}
	unsynced := n.unsynced()
	sectors := unsynced.sectors()
	survivals := drawSurvivals(mode, len(sectors), rng)
	size := n.drawSize(mode, sectors, survivals, rng)

	left := n.durableContent()
	left.extend(size)
	after := FileAftermath{Mode: mode, SyncedSize: n.synced, LiveSize: n.live.size, Size: size}
	for i, sector := range sectors {
		at := sector * sectorSize
		for _, x := range unsynced.within(at, min(at+sectorSize, size)) {
			switch survivals[i] {
			case kept:
				left.write(n.live.bytes(x.lo, x.hi), x.lo)
			case garbage:
				noise := make([]byte, x.hi-x.lo)
				for b := range noise {
					noise[b] = byte(rng.Uint32())
				}
				left.write(noise, x.lo)
			}
		}
		switch survivals[i] {
		case lost:
			after.Lost++
		case kept:
			after.Kept++
		case garbage:
			after.Garbage++
		}
	}
	return left, after
}

// survival is what becomes of a sector.
type survival int

const (
	lost survival = iota
	kept
	garbage
)

// drawSurvivals decides over the unsynced sectors of a file, in ascending order.
func drawSurvivals(mode CrashMode, count int, rng *rand.Rand) []survival {
	survivals := make([]survival, count)
	survive := 0
	switch mode {
	case KeepAll:
		survive = count
	case Torn:
		survive = rng.IntN(count + 1)
	}
	for i := range survivals {
		switch {
		case i < survive:
			survivals[i] = kept
		case mode == Reordered:
			survivals[i] = survival(rng.IntN(2))
		case mode == Garbage:
			survivals[i] = survival(rng.IntN(3))
		}
	}
	return survivals
}

// drawSize decides over the size of a file. See CrashOptions.
func (n *node) drawSize(mode CrashMode, sectors []int64, survivals []survival, rng *rand.Rand) int64 {
	synced, live := n.synced, n.live.size
	switch {
	case mode == DropAll:
		return synced
	case mode == KeepAll || synced == live:
		return live
	case rng.IntN(2) == 0: // the size was written out after the data
		size := synced
		for i, sector := range sectors {
			if survivals[i] != lost {
				size = max(size, min(live, (sector+1)*sectorSize))
			}
		}
		return size
	}
	// Or independently of it: any size the file had.
	if i := rng.IntN(len(n.sizes) + 1); i > 0 {
		return n.sizes[i-1]
	}
	return synced
}
