package session

import (
	"testing"
	"time"
)

// The window gets small while samples take long, not below the least, and comes back.
func TestWindow(t *testing.T) {
	w := window{size: 256, most: 256}
	now := time.Unix(1000, 0)
	clock := func() time.Time { return now }
	slow := func(took time.Duration) bool { return took > 20*time.Millisecond }
	one := func(took time.Duration) {
		r, other := &Request{}, &Request{}
		w.sample(r, clock)
		w.sample(other, clock)
		if r.begun.IsZero() || !other.begun.IsZero() {
			t.Fatal("one request at a time is a sample")
		}
		now = now.Add(took)
		w.adjust(r.begun, now, slow)
	}
	one(25 * time.Millisecond)
	if w.size != 192 {
		t.Errorf("%d after a slow one", w.size)
	}
	one(time.Millisecond)
	if w.size != 192 {
		t.Errorf("%d: it moved before what it did could show", w.size)
	}
	for range 50 {
		one(25 * time.Millisecond)
	}
	if w.size != leastWindow {
		t.Errorf("%d after many slow ones", w.size)
	}
	for range 50 {
		one(15 * time.Millisecond)
	}
	if w.size != 256 {
		t.Errorf("%d after many quick ones", w.size)
	}
	if small := (window{size: 2, most: 2}); true {
		small.adjust(now, now.Add(time.Second), slow)
		if small.size != 2 {
			t.Errorf("%d of a session that may have 2", small.size)
		}
	}
}
