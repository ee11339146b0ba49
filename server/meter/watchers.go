package meter

import (
	"sync"
	"sync/atomic"
)

// Watchers are the watches that follow the log, by how far each has looked, so that an operator
// can see how far they are behind.
type Watchers struct {
	mu sync.Mutex
	of map[*atomic.Uint64]struct{}
}

// Add counts a watch that keeps its cursor in seen, until the returned function is called.
func (w *Watchers) Add(seen *atomic.Uint64, cursor uint64) (remove func()) {
	seen.Store(cursor)
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.of == nil {
		w.of = make(map[*atomic.Uint64]struct{})
	}
	w.of[seen] = struct{}{}
	return func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		delete(w.of, seen)
	}
}

// Lag reports how many watches there are, and how many commits the last of them has not looked
// at yet, whether or not those concern it.
func (w *Watchers) Lag(published uint64) (open int, most uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for seen := range w.of { // a maximum: in any order
		if at := seen.Load(); at < published {
			most = max(most, published-at)
		}
	}
	return len(w.of), most
}
