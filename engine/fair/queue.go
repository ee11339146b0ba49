// Package fair orders what waits for one thing, so that who floods it waits for themselves.
package fair

import (
	"cmp"
	"container/heap"
	"slices"
)

// Queue is a queue that every share gets as much from as the others do, by size. Within a
// share it is first come, first served. The zero one is empty. It is not for several
// goroutines at once.
//
// It is self-clocked fair queueing (Golestani 1994): a place's tag is where its share would be
// if all were served at once, and the least tag is next. That takes no timer and no turns, and
// with one share it is a plain queue.
type Queue[W Waiter] struct {
	waiting places[W]
	clock   uint64            // the tag of the last one taken
	ends    map[string]uint64 // of each share that waits: the tag of its last
	arrived uint64            // counts them, to keep those of one tag in order
}

// Waiter is what waits. It has a Place for the queue to use, and is in one queue at a time.
type Waiter interface {
	comparable
	Place() *Place
}

// Place is where a waiter stands.
type Place struct {
	tag, seq uint64
	share    string
	size     int
}

// Size is what its waiter joined with.
func (p *Place) Size() int { return p.size }

// Join puts a waiter of a size at the end of a share.
func (q *Queue[W]) Join(w W, share string, size int) {
	if q.ends == nil {
		q.ends = make(map[string]uint64)
	}
	q.arrived++
	tag := max(q.clock, q.ends[share]) + uint64(size)
	*w.Place() = Place{tag, q.arrived, share, size}
	q.ends[share] = tag
	heap.Push(&q.waiting, w)
}

// Len is how many wait.
func (q *Queue[W]) Len() int { return len(q.waiting) }

// Next is whose turn it is, of at least one.
func (q *Queue[W]) Next() W { return q.waiting[0] }

// Take removes whose turn it is, of at least one.
func (q *Queue[W]) Take() W {
	w := heap.Pop(&q.waiting).(W)
	p := w.Place()
	q.clock = p.tag
	if q.ends[p.share] == p.tag {
		delete(q.ends, p.share) // it was the share's last
	}
	q.rest()
	return w
}

// Leave removes one that waits no longer, wherever it stands, and reports whether it was
// there. That takes as long as the queue is.
func (q *Queue[W]) Leave(w W) bool {
	at := slices.Index(q.waiting, w)
	if at < 0 {
		return false
	}
	heap.Remove(&q.waiting, at)
	q.closeUp(w.Place())
	q.rest()
	return true
}

// closeUp moves those of a share who are behind one that left to where they would be without it: else
// the share would pay for what it did not get.
func (q *Queue[W]) closeUp(left *Place) {
	end, ahead, behind := q.clock, false, []*Place(nil)
	for _, w := range q.waiting {
		switch p := w.Place(); {
		case p.share != left.share:
		case p.seq > left.seq:
			behind = append(behind, p)
		default:
			end, ahead = max(end, p.tag), true
		}
	}
	slices.SortFunc(behind, func(a, b *Place) int { return cmp.Compare(a.seq, b.seq) })
	for _, p := range behind {
		p.tag = min(p.tag, end+uint64(p.size))
		end = p.tag
	}
	heap.Init(&q.waiting)
	if q.ends[left.share] = end; !ahead && len(behind) == 0 {
		delete(q.ends, left.share)
	}
}

// rest sets the clock of an empty queue back.
func (q *Queue[W]) rest() {
	if len(q.waiting) == 0 {
		q.clock = 0
	}
}

// places is a heap of waiters by their tags.
type places[W Waiter] []W

func (h places[W]) Len() int { return len(h) }
func (h places[W]) Less(i, j int) bool {
	a, b := h[i].Place(), h[j].Place()
	return a.tag < b.tag || a.tag == b.tag && a.seq < b.seq
}
func (h places[W]) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h *places[W]) Push(w any)   { *h = append(*h, w.(W)) }
func (h *places[W]) Pop() any {
	var none W
	n := len(*h) - 1
	w := (*h)[n]
	(*h)[n] = none // the array lives on
	*h = (*h)[:n]
	return w
}
