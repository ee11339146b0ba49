package simdisk

import "slices"

// pageSize is the unit, in bytes, that images of a disk share content in. It is not
// a unit of the disk, which knows sectors only.
const pageSize = 32 << 10

// content is the bytes of a file. Copies of it share pages until one of them writes,
// so that an image of a disk costs next to nothing however much is on it.
type content struct {
	size  int64
	pages []page
}

// page holds pageSize bytes, of which those past the end of b are zeros. A hole
// has no b. What lies between the end of b and its capacity is arbitrary.
type page struct {
	b      []byte
	shared bool   // with other contents: to be copied before it is changed
	sum    uint64 // digest of the page, 0 if not known
}

// share returns a copy.
func (c *content) share() content {
	for i := range c.pages {
		c.pages[i].shared = true
	}
	return content{c.size, slices.Clone(c.pages)}
}

// read copies what is at an offset into p, up to the end, and returns how much.
func (c *content) read(p []byte, off int64) int {
	p = p[:max(0, min(int64(len(p)), c.size-off))]
	for n := 0; n < len(p); {
		at := off + int64(n)
		part := p[n:min(len(p), n+int(pageSize-at%pageSize))]
		var b []byte
		if i := at / pageSize; i < int64(len(c.pages)) {
			b = c.pages[i].b
		}
		copied := copy(part, b[min(at%pageSize, int64(len(b))):])
		clear(part[copied:])
		n += len(part)
	}
	return len(p)
}

// bytes returns a copy of [lo, hi), of which what is past the end is zeros.
func (c *content) bytes(lo, hi int64) []byte {
	b := make([]byte, hi-lo)
	c.read(b, lo)
	return b
}

// write stores p at an offset, growing the content as needed.
func (c *content) write(p []byte, off int64) {
	if len(p) == 0 {
		return
	}
	c.size = max(c.size, off+int64(len(p)))
	last := (off + int64(len(p)) - 1) / pageSize
	for int64(len(c.pages)) <= last {
		c.pages = append(c.pages, page{})
	}
	for len(p) > 0 {
		at := int(off % pageSize)
		n := min(len(p), pageSize-at)
		c.pages[off/pageSize].write(p[:n], at)
		p, off = p[n:], off+int64(n)
	}
}

func (pg *page) write(p []byte, at int) {
	end := at + len(p)
	old := len(pg.b)
	switch {
	case pg.shared:
		grown := make([]byte, max(end, old))
		copy(grown, pg.b)
		pg.b = grown
	case end > cap(pg.b): // doubled, so that many small appends do not copy much
		grown := make([]byte, end, min(pageSize, max(512, end, 2*old)))
		copy(grown, pg.b)
		pg.b = grown
	case end > old:
		pg.b = pg.b[:end]
		if at > old {
			clear(pg.b[old:at])
		}
	}
	copy(pg.b[at:], p)
	pg.shared, pg.sum = false, 0
}

// extend grows the content by a hole.
func (c *content) extend(size int64) { c.size = max(c.size, size) }

// truncate cuts the content.
func (c *content) truncate(size int64) {
	if size >= c.size {
		return
	}
	c.size = size
	c.pages = c.pages[:min(int64(len(c.pages)), (size+pageSize-1)/pageSize)]
	if i := size / pageSize; i < int64(len(c.pages)) {
		pg := &c.pages[i]
		pg.b = pg.b[:min(int64(len(pg.b)), size%pageSize)]
		pg.sum = 0
	}
}
