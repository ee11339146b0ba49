package simdisk

// sectorSize is the unit, in bytes, that a disk writes whole or not at all.
const sectorSize = 512

// span is the half-open range of bytes [lo, hi).
type span struct{ lo, hi int64 }

// spans is a set of bytes. Invariant: sorted, disjoint, not touching, none empty.
type spans []span

// add puts [lo, hi) into the set. Appending at the end, which is what a log
// does, takes constant time.
func (s *spans) add(lo, hi int64) {
	if lo >= hi {
		return
	}
	from := s.firstEndingAtOrAfter(lo)
	to := from
	for to < len(*s) && (*s)[to].lo <= hi {
		lo, hi = min(lo, (*s)[to].lo), max(hi, (*s)[to].hi)
		to++
	}
	s.replace(from, to, span{lo, hi})
}

// remove takes [lo, hi) out of the set and returns what of it was there.
func (s *spans) remove(lo, hi int64) spans {
	var removed, rest spans
	from := s.firstEndingAtOrAfter(lo)
	to := from
	for to < len(*s) && (*s)[to].lo < hi {
		x := (*s)[to]
		removed.add(max(lo, x.lo), min(hi, x.hi))
		rest.add(x.lo, lo) // add passes over empty ranges
		rest.add(hi, x.hi)
		to++
	}
	s.replace(from, to, rest...)
	return removed
}

// within returns the part of the set inside [lo, hi).
func (s spans) within(lo, hi int64) spans {
	var part spans
	for i := s.firstEndingAtOrAfter(lo); i < len(s) && s[i].lo < hi; i++ {
		part.add(max(lo, s[i].lo), min(hi, s[i].hi))
	}
	return part
}

// sectors returns the numbers, ascending, of the sectors that hold a byte of
// the set.
func (s spans) sectors() []int64 {
	var list []int64
	for _, x := range s {
		for n := x.lo / sectorSize; n*sectorSize < x.hi; n++ {
			if len(list) == 0 || list[len(list)-1] < n {
				list = append(list, n)
			}
		}
	}
	return list
}

// firstEndingAtOrAfter finds the first span with hi >= at. It looks from the
// end, where nearly all writes happen.
func (s spans) firstEndingAtOrAfter(at int64) int {
	i := len(s)
	for i > 0 && s[i-1].hi >= at {
		i--
	}
	return i
}

// replace puts with in the place of the spans numbered from up to to.
func (s *spans) replace(from, to int, with ...span) {
	tail := append(spans(nil), (*s)[to:]...)
	*s = append(append((*s)[:from], with...), tail...)
}

// roundUp is the smallest multiple of sectorSize that is at least n.
func roundUp(n int64) int64 { return (n + sectorSize - 1) / sectorSize * sectorSize }
