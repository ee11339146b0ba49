package simdisk

import (
	"encoding/binary"
	"math/bits"
	"path"
	"slices"
)

// Digest is a number that follows from the files and directories on the disk: what
// is there now, name by name, with live and durable content, and what a crash that
// loses everything would leave of it. Times, seeds and the order of what is pending
// have no part in it. Files of the classes given are left out, name and all: the
// bytes of a MANIFEST, for one, are not the same in two runs of Pebble.
//
// It is cheap: pages are digested once, also those shared with earlier images.
func (d *Disk) Digest(skip ...Class) uint64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	g := digester{skip: skip, files: make(map[*node]uint64)}
	g.dir(d.root, "/", func(n *node) map[string]*node { return n.entries })
	g.mix(1) // what follows is another list
	g.dir(d.root, "/", func(n *node) map[string]*node { return n.kept })
	return g.sum
}

// OpDigest is a number that follows from the operations done so far: of every path
// the kinds in their order, failed ones among them. The order between files has no
// part in it, nor have those of the classes given.
func (d *Disk) OpDigest(skip ...Class) uint64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	var sum uint64
	for p, r := range d.ledger.paths { // added up: order cannot matter
		if !slices.Contains(skip, r.class) {
			sum += Derive(r.sequence, p)
		}
	}
	return sum
}

// digester sums up a disk.
type digester struct {
	sum   uint64
	skip  []Class
	files map[*node]uint64 // only looked up
}

func (g *digester) mix(x uint64) { g.sum = mix(g.sum, x) }

func (g *digester) dir(n *node, at string, entries func(*node) map[string]*node) {
	for _, name := range sortedKeys(entries(n)) {
		child, at := entries(n)[name], path.Join(at, name)
		switch {
		case child.dir:
			g.mix(Derive(2, at))
			g.dir(child, at, entries)
		case !slices.Contains(g.skip, ClassOf(at)):
			g.mix(Derive(g.file(child), at))
		}
	}
}

// file sums up the live and the durable content of a file.
func (g *digester) file(n *node) uint64 {
	sum, ok := g.files[n]
	if !ok {
		sum = n.live.digest()
		if n.durable() {
			sum = mix(sum, sum)
		} else {
			c := n.durableContent()
			sum = mix(sum, c.digest())
		}
		g.files[n] = sum
	}
	return sum
}

// digest sums up the bytes of a file.
func (c *content) digest() uint64 {
	sum := mix(3, uint64(c.size))
	for i := range c.pages {
		pg := &c.pages[i]
		if pg.sum == 0 {
			pg.sum = digestBytes(pg.b)
		}
		if pg.sum != emptySum { // a hole and a page of zeros are the same
			sum = mix(mix(sum, uint64(i)), pg.sum)
		}
	}
	return sum
}

// emptySum is the digest of a page of zeros.
const emptySum = 1

// digestBytes sums up bytes, of which zeros at the end have no part in it. It is no
// match for an adversary, nor needs to be.
func digestBytes(b []byte) uint64 {
	for len(b) > 0 && b[len(b)-1] == 0 {
		b = b[:len(b)-1]
	}
	sum := uint64(emptySum)
	for ; len(b) >= 8; b = b[8:] {
		sum = mix(sum, binary.LittleEndian.Uint64(b))
	}
	var last [8]byte
	if copy(last[:], b) > 0 {
		sum = mix(sum, binary.LittleEndian.Uint64(last[:]))
	}
	return sum
}

// mix folds a number into a sum. For either fixed, it is one to one in the other.
func mix(sum, x uint64) uint64 {
	return (bits.RotateLeft64(sum, 29) ^ x) * 0x9e3779b97f4a7c15
}
