package engine

import (
	"io"
	"sync"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"
)

// A step that takes values out of the past rewrites rows that readers can see, and a crash before
// its sync ends puts them back. A version's commit_ts hides what is not published; of a row that
// is written anew nothing does. So while such a step is in flight readers have the store as it
// was before (G4): a Pebble snapshot, held for one sync.
type view struct {
	// turn is odd while readers are held back. A reader that finds another turn after it has
	// opened an iterator than before may have opened it on either side, and opens it again.
	turn   atomic.Uint64
	mu     sync.RWMutex
	before *pebble.Snapshot
}

// holdReaders shows readers the store as it is, until releaseReaders. The writer calls it before
// it applies a batch.
func (s *store) holdReaders() {
	v := &s.view
	v.mu.Lock()
	v.before = s.NewSnapshot()
	v.mu.Unlock()
	v.turn.Add(1)
}

// releaseReaders shows readers everything again.
func (s *store) releaseReaders() {
	v := &s.view
	if v.turn.Load()%2 == 0 {
		return
	}
	v.turn.Add(1)
	v.mu.Lock()
	defer v.mu.Unlock()
	_ = v.before.Close() // iterators on it go on
	v.before = nil
}

// NewIter opens an iterator on what readers are to see.
func (s *store) NewIter(o *pebble.IterOptions) (*pebble.Iterator, error) {
	if s.then != nil {
		return s.then.NewIter(o)
	}
	for {
		turn := s.view.turn.Load()
		if turn%2 == 1 {
			if it, held, err := s.view.newIter(o); held {
				return it, err
			}
			continue
		}
		it, err := s.DB.NewIter(o)
		if s.view.turn.Load() == turn {
			return it, err
		}
		if err == nil {
			_ = it.Close()
		}
	}
}

func (v *view) newIter(o *pebble.IterOptions) (it *pebble.Iterator, held bool, err error) {
	v.mu.RLock()
	defer v.mu.RUnlock()
	if v.before == nil {
		return nil, false, nil
	}
	it, err = v.before.NewIter(o)
	return it, true, err
}

// Get reads one row of what readers are to see.
func (s *store) Get(key []byte) ([]byte, io.Closer, error) {
	if s.then != nil {
		return s.then.Get(key)
	}
	for {
		turn := s.view.turn.Load()
		if turn%2 == 1 {
			if row, closer, held, err := s.view.get(key); held {
				return row, closer, err
			}
			continue
		}
		row, closer, err := s.DB.Get(key)
		if s.view.turn.Load() == turn {
			return row, closer, err
		}
		if err == nil {
			_ = closer.Close()
		}
	}
}

func (v *view) get(key []byte) (row []byte, closer io.Closer, held bool, err error) {
	v.mu.RLock()
	defer v.mu.RUnlock()
	if v.before == nil {
		return nil, nil, false, nil
	}
	row, closer, err = v.before.Get(key)
	return row, closer, true, err
}
