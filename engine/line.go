package engine

import (
	"container/heap"
	"time"
)

// line is what waits for the writer. Those who share it, each by a name of its own
// (Conditions.Share), get as many bytes in as the others do: one who floods it waits for
// itself. Within a share it is first come, first served.
//
// It is self-clocked fair queueing (Golestani 1994): a proposal's tag is where its share would
// be, in bytes, if all were served at once, and the least tag is next. That takes no timer and
// no turns, and with one share it is a plain queue.
type line struct {
	first   []*proposal // taken before those that wait: they were taken before, see errNextStep
	waiting tagged
	bytes   int
	clock   uint64            // the tag of the last one taken
	ends    map[string]uint64 // of each share that waits: the tag of its last
	arrived uint64            // counts them, to keep those of one tag in order

	// since is when the line last held more than one step took, unbroken until now; zero: it
	// does not.
	since time.Time
}

// tag is where a proposal stands in the line.
type tag struct {
	at, seq uint64
	size    int // bytes, when it joined
}

// join puts a proposal at the end of its share.
func (l *line) join(p *proposal, size int) {
	if l.ends == nil {
		l.ends = make(map[string]uint64)
	}
	l.arrived++
	p.tag = tag{max(l.clock, l.ends[p.share]) + uint64(size), l.arrived, size}
	l.ends[p.share] = p.tag.at
	l.bytes += size
	heap.Push(&l.waiting, p)
}

// putBack puts a proposal that was taken before all that wait, after others that were put back.
func (l *line) putBack(p *proposal) {
	l.bytes += p.tag.size
	l.first = append(l.first, p)
}

func (l *line) len() int { return len(l.first) + len(l.waiting) }

// next is the one whose turn it is.
func (l *line) next() *proposal {
	if len(l.first) > 0 {
		return l.first[0]
	}
	return l.waiting[0]
}

// take removes it.
func (l *line) take() *proposal {
	var p *proposal
	if len(l.first) > 0 {
		p, l.first = l.first[0], l.first[1:]
	} else {
		p = heap.Pop(&l.waiting).(*proposal)
		l.clock = p.tag.at
		if l.ends[p.share] == p.tag.at {
			delete(l.ends, p.share) // it was the share's last
		}
	}
	l.bytes -= p.tag.size
	if len(l.waiting) == 0 {
		l.clock = 0
	}
	if l.len() == 0 {
		l.first, l.since = nil, time.Time{}
	}
	return p
}

// behind reports whether the writer has not caught up with the line for a while.
func (l *line) behind(now time.Time, while time.Duration) bool {
	return !l.since.IsZero() && now.Sub(l.since) >= while
}

// tagged is a heap of proposals by their tags.
type tagged []*proposal

func (h tagged) Len() int { return len(h) }
func (h tagged) Less(i, j int) bool {
	a, b := &h[i].tag, &h[j].tag
	return a.at < b.at || a.at == b.at && a.seq < b.seq
}
func (h tagged) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h *tagged) Push(p any)   { *h = append(*h, p.(*proposal)) }
func (h *tagged) Pop() any {
	n := len(*h) - 1
	p := (*h)[n]
	(*h)[n] = nil
	*h = (*h)[:n]
	return p
}
