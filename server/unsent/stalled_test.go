package unsent

import (
	"testing"
	"time"
)

// TestWhoHasNotReadForLongest: of connections that hold as much the one is closed whose oldest bytes have waited
// longest, and what has waited for a moment only counts for none.
func TestWhoHasNotReadForLongest(t *testing.T) {
	for range 20 { // whichever comes first
		b, list := loneBudget(1<<20, 1<<20, 1<<20)
		for i, c := range list {
			c.first.since = c.first.since.Add(-time.Duration(i%2) * time.Second) // the second is the oldest
			later, _ := b.tryTake(c, nil, 1<<20, priorityDone)
			later.since = c.first.since.Add(time.Millisecond)
			b.tryTake(c, nil, 5<<20, priorityDone) // just now
		}
		if n, since := list[1].waiting(b.now().Add(-StalledAfter)); n != 2<<20 || !since.Equal(list[1].first.since) {
			t.Fatalf("%d bytes have waited since %v, not %v", n, since, list[1].first.since)
		}
		if c, n := b.stalled(); c != list[1] || n != 2<<20 {
			t.Fatalf("%p holds %d, of %p", c, n, list)
		}
	}
	if c, n := (&Budget{now: time.Now}).stalled(); c != nil || n != 0 {
		t.Errorf("nobody holds %d", n)
	}
}

// TestLargeMessagesTakeTheirWeight: values that are about to be read take what they, and the message of them, will.
func TestLargeMessagesTakeTheirWeight(t *testing.T) {
	b, _ := loneBudget()
	s := &Stream{budget: b, conn: &conn{budget: b}}
	n := b.share + 1
	if err := s.Admit(t.Context(), n-1, 3); err != nil || b.Usage().Making != 0 {
		t.Errorf("%v; a share is %+v", err, b.Usage())
	}
	if err := s.Admit(t.Context(), n, 3); err != nil || b.Usage().Making != 7*n || b.Usage().Common != n {
		t.Errorf("%v; %d bytes take %+v", err, n, b.Usage())
	}
	s.end()
	if u := b.Usage(); u.Making != 0 || u.Common != 0 {
		t.Errorf("%+v is left", u)
	}
}

// TestSmallBuffersAreOfOneSize: whoever takes one gets all of it.
func TestSmallBuffersAreOfOneSize(t *testing.T) {
	b, _ := loneBudget()
	for _, size := range []int{10, smallBuffer, 2 * smallBuffer} {
		h, _ := b.tryTake(&conn{budget: b}, nil, 1, priorityDone)
		buf := make([]byte, 0, size)
		newCountedBuffer(h).Put(&buf)
		if got := newBuffer(smallBuffer); cap(*got) != smallBuffer {
			t.Errorf("after one of %d it gets %d", size, cap(*got))
		}
	}
}
