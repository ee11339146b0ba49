package member

import (
	"sync"

	"statehouse.dev/statehouse/cluster/node"
)

// storing is the goroutine that writes the log: all that waits, with one sync. What comes while it syncs waits
// for the next.
type storing struct {
	wake chan struct{}       // holds a value when something waits
	done chan []*node.Append // for Drive
	over chan struct{}       // closed when nothing more is to be stored

	mu    sync.Mutex
	waits []*node.Append
}

func newStoring() *storing {
	return &storing{wake: make(chan struct{}, 1), done: make(chan []*node.Append), over: make(chan struct{})}
}

// store has appends stored.
func (s *storing) store(appends []*node.Append) {
	if len(appends) == 0 {
		return
	}
	s.mu.Lock()
	s.waits = append(s.waits, appends...)
	s.mu.Unlock()
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

func (s *storing) take() []*node.Append {
	s.mu.Lock()
	defer s.mu.Unlock()
	appends := s.waits
	s.waits = nil
	return appends
}

// run stores until end.
func (s *storing) run(store func([]*node.Append) error, halt func(error)) {
	for {
		select {
		case <-s.wake:
		case <-s.over:
			return
		}
		appends := s.take()
		if len(appends) == 0 {
			continue
		}
		if err := store(appends); err != nil {
			halt(err)
			return
		}
		select {
		case s.done <- appends:
		case <-s.over:
			return
		}
	}
}

// end ends run, when it has stored what it is at.
func (s *storing) end() { close(s.over) }
