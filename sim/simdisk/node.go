package simdisk

import (
	"cmp"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"time"
)

// node is a file or a directory apart from its names (an inode).
type node struct {
	dir   bool
	birth birth // of a file; names its stream of randomness
	mtime time.Time

	// Of a file. Invariant: synced <= live.size; dirty and failed are disjoint.
	live   content
	synced int64 // the durable size
	// old are the durable bytes below the durable size where the live ones may differ:
	// those of dirty and failed, exactly. Past the durable size they count as zeros,
	// so that a file that only grows, which is most, has none.
	old   []patch // ascending, disjoint
	dirty spans   // written, and the next sync will make it durable
	// failed was dirty when a sync failed. As on Linux the cache then calls it
	// clean: it is still read, a crash may take it, and no later sync saves it
	// unless its sector is written again. This is what makes retrying a failed
	// sync wrong.
	failed spans
	sizes  []int64 // sizes the file grew to since the last sync, ascending
	links  int     // names in live directories
	opens  int     // open handles
	preall int64   // bytes reserved by Preallocate, from the start of the file

	// Of a directory.
	entries map[string]*node // live
	kept    map[string]*node // after a crash that loses the whole journal
}

// birth is where a file was created: a path, and how many were before it there. Two
// files with one birth would survive every crash alike.
type birth struct {
	path   string
	before int
}

func (b birth) stream(seed uint64) *rand.Rand {
	if b.before == 0 {
		return Stream(seed, "file", b.path)
	}
	return Stream(seed, "file", b.path, strconv.Itoa(b.before))
}

// patch is bytes at an offset. They are never changed, so images share them.
type patch struct {
	lo int64
	b  []byte
}

// cut returns the part of a patch inside [lo, hi).
func (p patch) cut(lo, hi int64) (patch, bool) {
	lo, hi = max(lo, p.lo), min(hi, p.lo+int64(len(p.b)))
	if lo >= hi {
		return patch{}, false
	}
	return patch{lo, p.b[lo-p.lo : hi-p.lo]}, true
}

func newFileNode(birth birth, now time.Time) *node {
	return &node{birth: birth, mtime: now}
}

func newDirNode(now time.Time) *node {
	return &node{
		dir: true, mtime: now,
		entries: make(map[string]*node), kept: make(map[string]*node),
	}
}

// names lists the live entries of a directory, sorted.
func (n *node) names() []string { return slices.Sorted(maps.Keys(n.entries)) }

// allocated is the space the file takes, in bytes: whole sectors up to its size
// or its preallocation. Holes count as if they were written.
func (n *node) allocated() int64 {
	if n.dir {
		return 0
	}
	return roundUp(max(n.live.size, n.preall))
}

// write stores p at off, growing the file as needed. The bytes are dirty.
func (n *node) write(p []byte, off int64, now time.Time) {
	if len(p) == 0 {
		return
	}
	end := off + int64(len(p))
	n.extend(end)
	n.save(off, min(end, n.synced))
	n.live.write(p, off)
	n.mtime = now
	n.dirty.add(off, end)
	// A sector is written out whole, with what a failed sync left in it.
	if len(n.failed) > 0 {
		for _, x := range n.failed.remove(off/sectorSize*sectorSize, roundUp(end)) {
			n.dirty.add(x.lo, x.hi)
		}
	}
}

// extend grows the file by a hole.
func (n *node) extend(size int64) {
	if size > n.live.size {
		n.live.extend(size)
		n.sizes = append(n.sizes, size)
	}
}

// save keeps the durable bytes of [lo, hi) that are about to be overwritten, but for
// those it keeps already.
func (n *node) save(lo, hi int64) {
	if lo >= hi {
		return
	}
	fresh := spans{{lo, hi}}
	for _, x := range n.unsynced().within(lo, hi) {
		fresh.remove(x.lo, x.hi)
	}
	for _, x := range fresh {
		n.old = append(n.old, patch{x.lo, n.live.bytes(x.lo, x.hi)})
	}
	slices.SortFunc(n.old, func(a, b patch) int { return cmp.Compare(a.lo, b.lo) })
}

// sync makes everything durable that is dirty, and the size.
func (n *node) sync() {
	var old []patch
	for _, x := range n.failed {
		for _, p := range n.old {
			if part, ok := p.cut(x.lo, x.hi); ok {
				old = append(old, part)
			}
		}
		if lo := max(x.lo, n.synced); lo < x.hi { // durable as a part of the size only
			old = append(old, patch{lo, make([]byte, x.hi-lo)})
		}
	}
	n.old, n.synced = old, n.live.size
	n.dirty, n.sizes = n.dirty[:0], n.sizes[:0]
}

// durableContent is what has been synced.
func (n *node) durableContent() content {
	c := n.live.share()
	c.truncate(n.synced)
	for _, p := range n.old {
		c.write(p.b, p.lo)
	}
	return c
}

// failSync is what a failed sync leaves: see the field failed.
func (n *node) failSync() {
	for _, x := range n.dirty {
		n.failed.add(x.lo, x.hi)
	}
	n.dirty = nil
}

// durable tells that a crash has no choice about the file.
func (n *node) durable() bool {
	return len(n.dirty) == 0 && len(n.failed) == 0 && n.synced == n.live.size
}

// unsynced is every byte that a crash may take back or spoil.
func (n *node) unsynced() spans {
	all := slices.Clone(n.dirty)
	for _, x := range n.failed {
		all.add(x.lo, x.hi)
	}
	return all
}

// truncate cuts the medium itself: live and synced content both.
func (n *node) truncate(size int64) {
	n.live.truncate(size)
	n.synced = min(n.synced, size)
	var old []patch
	for _, p := range n.old {
		if part, ok := p.cut(0, size); ok {
			old = append(old, part)
		}
	}
	n.old = old
	n.dirty.remove(size, 1<<62)
	n.failed.remove(size, 1<<62)
	n.sizes = slices.DeleteFunc(n.sizes, func(s int64) bool { return s > size })
	n.preall = min(n.preall, size)
	// The live size may now be one that no write grew the file to.
	if now := n.live.size; now > n.synced && !slices.Contains(n.sizes, now) {
		n.sizes = append(n.sizes, now)
	}
}

// invert flips one bit of the medium itself.
func (n *node) invert(offset int64, bit int) {
	for i, p := range n.old {
		if part, ok := p.cut(offset, offset+1); ok {
			p.b = slices.Clone(p.b)
			p.b[offset-p.lo] = part.b[0] ^ 1<<bit
			n.old[i] = p
		}
	}
	b := n.live.bytes(offset, offset+1)
	b[0] ^= 1 << bit
	n.live.write(b, offset)
}

// copyFile copies a file, durable state and all. Links are for the caller to
// count; the copy has no open handles.
func (n *node) copyFile() *node {
	return &node{
		birth: n.birth, mtime: n.mtime, preall: n.preall,
		live: n.live.share(), synced: n.synced, old: slices.Clone(n.old),
		dirty: slices.Clone(n.dirty), failed: slices.Clone(n.failed), sizes: slices.Clone(n.sizes),
	}
}
