package simdisk

import (
	"bytes"
	"fmt"
	"strconv"
)

// What a fault does to the bytes of a read or write. All of it follows from the
// disk's seed, the path and the count of the operation. The disk's lock is held.

// flip inverts one bit of p.
func (f *file) flip(hit *Injection, p []byte) {
	rng := Stream(f.disk.opts.Seed, "bitflip", f.path, strconv.Itoa(hit.Op.Count))
	i, bit := rng.IntN(len(p)), rng.IntN(8)
	p[i] ^= 1 << bit
	hit.Detail = fmt.Sprintf("bit %d of the byte at %d", bit, hit.Op.Offset+int64(i))
}

// shorten draws how many bytes of a write reach the file: up to the boundary of a
// sector within it, or none at all if there is no such boundary.
func (f *file) shorten(hit *Injection) int {
	first := hit.Op.Offset/sectorSize + 1 // whose start is the first boundary
	boundaries := (hit.Op.Offset+hit.Op.Size-1)/sectorSize - first + 1
	if boundaries <= 0 {
		return 0
	}
	rng := Stream(f.disk.opts.Seed, "short", f.path, strconv.Itoa(hit.Op.Count))
	return int((first+rng.Int64N(boundaries))*sectorSize - hit.Op.Offset)
}

// misreadAt draws the offset whose bytes a misdirected read returns.
func (f *file) misreadAt(op Op) (int64, bool) {
	if f.closed || f.node.dir {
		return 0, false
	}
	here := f.node.live.bytes(op.Offset, op.Offset+op.Size)
	return f.elsewhere("misread", op, here)
}

// misdirectAt draws the offset that a misdirected write of p lands at.
func (f *file) misdirectAt(op Op, p []byte) (int64, bool) {
	if f.closed || f.node.dir || !f.write || f.disk.room(f.node) < op.Offset+op.Size {
		return 0, false
	}
	return f.elsewhere("misdirect", op, p)
}

// elsewhere draws an offset of the file, as it is, where there are as many bytes as
// the operation is about but not these. It gives up after a few tries: a file
// that is the same all over has no such place.
func (f *file) elsewhere(what string, op Op, these []byte) (int64, bool) {
	places := f.node.live.size - op.Size + 1
	if places < 1 || op.Size < 1 {
		return 0, false
	}
	rng := Stream(f.disk.opts.Seed, what, f.path, strconv.Itoa(op.Count))
	for range 8 {
		at := rng.Int64N(places)
		if at != op.Offset && !bytes.Equal(f.node.live.bytes(at, at+op.Size), these) {
			return at, true
		}
	}
	return 0, false
}
