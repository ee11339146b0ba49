package meter

import (
	"math"
	"sync/atomic"
	"time"
)

// Histogram counts observations by size. The zero value is not usable: see NewHistogram.
type Histogram struct {
	bounds []int64 // inclusive, rising
	counts []atomic.Uint64
	sum    atomic.Int64
}

// NewHistogram makes one with the bounds of its buckets, rising; what is above the last has a
// bucket of its own.
func NewHistogram(bounds ...int64) *Histogram {
	return &Histogram{bounds: bounds, counts: make([]atomic.Uint64, len(bounds)+1)}
}

// The bounds of durations: of what a disk takes, and of what a request does.
var durations = []time.Duration{
	25 * time.Microsecond, 50 * time.Microsecond, 100 * time.Microsecond, 250 * time.Microsecond, 500 * time.Microsecond,
	time.Millisecond, 2500 * time.Microsecond, 5 * time.Millisecond, 10 * time.Millisecond, 25 * time.Millisecond, 50 * time.Millisecond,
	100 * time.Millisecond, 250 * time.Millisecond, 500 * time.Millisecond, time.Second, 2500 * time.Millisecond, 5 * time.Second, 10 * time.Second,
}

// NewDurations makes a histogram of durations from 25 µs to 10 s.
func NewDurations() *Histogram {
	bounds := make([]int64, len(durations))
	for i, d := range durations {
		bounds[i] = int64(d)
	}
	return NewHistogram(bounds...)
}

// Observe counts a number; of a duration, its nanoseconds.
func (h *Histogram) Observe(n int64) {
	lo, hi := 0, len(h.bounds)
	for lo < hi {
		if mid := (lo + hi) / 2; n <= h.bounds[mid] {
			hi = mid
		} else {
			lo = mid + 1
		}
	}
	h.counts[lo].Add(1)
	h.sum.Add(n)
}

// Distribution is what a histogram has counted.
type Distribution struct {
	Bounds []int64
	Counts []uint64 // of each bucket alone; one more than Bounds
	Sum    int64
}

// Distribution reports what has been counted. An observation that is under way may be in Counts
// and not in Sum yet.
func (h *Histogram) Distribution() Distribution {
	d := Distribution{Bounds: h.bounds, Counts: make([]uint64, len(h.counts)), Sum: h.sum.Load()}
	for i := range h.counts {
		d.Counts[i] = h.counts[i].Load()
	}
	return d
}

// Count is how many observations there are.
func (d Distribution) Count() (n uint64) {
	for _, c := range d.Counts {
		n += c
	}
	return n
}

// Quantile is about the q-th of all observations, 0 < q <= 1: the upper bound of its bucket.
func (d Distribution) Quantile(q float64) int64 {
	rank := uint64(math.Ceil(q * float64(d.Count())))
	for i, c := range d.Counts {
		if c >= rank && rank > 0 {
			return d.Bounds[min(i, len(d.Bounds)-1)]
		}
		rank -= c
	}
	return 0
}
