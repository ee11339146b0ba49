package server

import (
	"sync"

	"statehouse.dev/statehouse/engine"
)

// watchers are the watches that follow the log, so that an operator can see how far they are
// behind.
type watchers struct {
	mu sync.Mutex
	of map[*eventReader]struct{}
}

// add counts a watch until the returned function is called.
func (w *watchers) add(r *eventReader) (remove func()) {
	r.seen.Store(uint64(r.cursor))
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.of == nil {
		w.of = make(map[*eventReader]struct{})
	}
	w.of[r] = struct{}{}
	return func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		delete(w.of, r)
	}
}

// lags reports how many watches there are, and how many commits the last of them is behind; that
// is how far it has looked, whether or not the commits in between concern it.
func (w *watchers) lags(published engine.CommitTS) (open int, most uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for r := range w.of { // a maximum: in any order
		if seen := r.seen.Load(); seen < uint64(published) {
			most = max(most, uint64(published)-seen)
		}
	}
	return len(w.of), most
}
