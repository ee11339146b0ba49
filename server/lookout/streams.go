package lookout

import (
	"cmp"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	pb "statehouse.dev/statehouse/proto/statehouse/v1"
)

// Stream is one that is open.
type Stream struct {
	Kind                         pb.StreamKind
	Namespace, Agent, Key, Lease string // Key: those that begin with it. Empty: all
	Due                          bool
	Principal, Peer              string
	Began                        time.Time
	Seen                         atomic.Uint64 // how far it has looked: a commit_ts
	Last                         uint64        // where it ends; 0: it goes on
	number                       uint64
}

// Lag is how many commits it has not looked at yet, whether or not those concern it.
func (s *Stream) Lag(published uint64) uint64 {
	if s.Last > 0 {
		published = s.Last
	}
	if seen := s.Seen.Load(); s.Kind != pb.StreamKind_STREAM_KIND_SESSION && seen < published {
		return published - seen
	}
	return 0
}

// Streams are those that are open. The zero value has none.
type Streams struct {
	mu   sync.Mutex
	open map[*Stream]struct{}
	next uint64
}

// Add lists a stream until the returned function is called.
func (t *Streams) Add(s *Stream) (remove func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.open == nil {
		t.open = make(map[*Stream]struct{})
	}
	t.next++
	s.number = t.next
	t.open[s] = struct{}{}
	return func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		delete(t.open, s)
	}
}

// List lists them, in the order in which they were opened.
func (t *Streams) List() []*Stream {
	t.mu.Lock()
	defer t.mu.Unlock()
	all := make([]*Stream, 0, len(t.open))
	for s := range t.open { // in any order: sorted below
		all = append(all, s)
	}
	slices.SortFunc(all, func(a, b *Stream) int { return cmp.Compare(a.number, b.number) })
	return all
}

// Watches reports how many watches there are, and how many commits the last of them has not looked at yet.
func (t *Streams) Watches(published uint64) (open int, most uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for s := range t.open { // a count and a maximum: in any order
		if s.Kind == pb.StreamKind_STREAM_KIND_WATCH {
			open++
			most = max(most, s.Lag(published))
		}
	}
	return open, most
}
