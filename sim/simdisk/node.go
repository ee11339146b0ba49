package simdisk

import (
	"maps"
	"slices"
	"time"
)

// node is a file or a directory apart from its names (an inode).
type node struct {
	dir   bool
	birth string // path it was created at; names its stream of randomness
	mtime time.Time

	// Of a file. Bytes outside dirty and failed are the same in live and synced
	// (synced counting as zero past its end), and len(synced) <= len(live).
	live   []byte
	synced []byte // its length is the durable size
	dirty  spans  // written, and the next sync will make it durable
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
	durable map[string]*node // after a crash that loses the whole journal
}

func newFileNode(birth string, now time.Time) *node {
	return &node{birth: birth, mtime: now}
}

func newDirNode(birth string, now time.Time) *node {
	return &node{
		dir: true, birth: birth, mtime: now,
		entries: make(map[string]*node), durable: make(map[string]*node),
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
	return roundUp(max(int64(len(n.live)), n.preall))
}

// write stores p at off, growing the file as needed. The bytes are dirty.
func (n *node) write(p []byte, off int64, now time.Time) {
	if len(p) == 0 {
		return
	}
	end := off + int64(len(p))
	if end > int64(len(n.live)) {
		n.live = append(n.live, make([]byte, end-int64(len(n.live)))...)
		n.sizes = append(n.sizes, end)
	}
	copy(n.live[off:], p)
	n.mtime = now
	n.dirty.add(off, end)
	// A sector is written out whole, with what a failed sync left in it.
	for _, x := range n.failed.remove(off/sectorSize*sectorSize, roundUp(end)) {
		n.dirty.add(x.lo, x.hi)
	}
}

// sync makes everything durable that is dirty, and the size.
func (n *node) sync() {
	n.synced = append(n.synced, make([]byte, len(n.live)-len(n.synced))...)
	for _, x := range n.dirty {
		copy(n.synced[x.lo:x.hi], n.live[x.lo:x.hi])
	}
	n.dirty, n.sizes = nil, nil
}

// failSync is what a failed sync leaves: see the field failed.
func (n *node) failSync() {
	for _, x := range n.dirty {
		n.failed.add(x.lo, x.hi)
	}
	n.dirty = nil
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
	n.live = n.live[:min(size, int64(len(n.live)))]
	n.synced = n.synced[:min(size, int64(len(n.synced)))]
	n.dirty.remove(size, 1<<62)
	n.failed.remove(size, 1<<62)
	n.sizes = slices.DeleteFunc(n.sizes, func(s int64) bool { return s > size })
	n.preall = min(n.preall, size)
	// The live size may now be one that no write grew the file to.
	if now := int64(len(n.live)); now > int64(len(n.synced)) && !slices.Contains(n.sizes, now) {
		n.sizes = append(n.sizes, now)
	}
}

// cloneFile copies a file, durable state and all. Links are for the caller to
// count; the copy has no open handles.
func (n *node) cloneFile() *node {
	return &node{
		birth: n.birth, mtime: n.mtime, preall: n.preall,
		live: slices.Clone(n.live), synced: slices.Clone(n.synced),
		dirty: slices.Clone(n.dirty), failed: slices.Clone(n.failed), sizes: slices.Clone(n.sizes),
	}
}
