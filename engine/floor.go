package engine

import (
	"maps"

	"statehouse.dev/statehouse/engine/words"
)

// The floor of a namespace is the first commit of it that can be read. Below it rows are missing.
// A reader checks the floor after it has read: rows go only after the floor has moved past them,
// so what it has read is whole if the floor is not past it then, and what it misses is no
// corruption if it is.

// floor is the first commit of a namespace that can be read; 0: all can.
func (s *store) floor(namespace string) CommitTS {
	if f := s.floors.Load(); f != nil {
		return (*f)[namespace]
	}
	return 0
}

func (e *Engine) floor(namespace string) CommitTS { return e.db.floor(namespace) }

// publishFloors shows readers the floors. Those that moved are durable.
func (e *Engine) publishFloors() {
	floors := make(map[string]CommitTS)
	for _, s := range e.chores.spaces {
		if s.floor > 0 {
			floors[s.namespace] = s.floor
		}
	}
	if old := e.db.floors.Load(); len(floors) > 0 && (old == nil || !maps.Equal(*old, floors)) {
		e.db.floors.Store(&floors)
	}
}

// inRange is the last check of a read of a namespace as of ts, which ended with err.
func (e *Engine) inRange(namespace string, ts CommitTS, err error) error {
	if floor := e.floor(namespace); ts < floor {
		return belowFloor(namespace, ts, floor)
	}
	return e.noted(err)
}

func belowFloor(namespace string, ts, floor CommitTS) error {
	return words.Failf(ErrOutOfRange, "commit %d is older than what is kept of namespace %q, which begins at commit %d", ts, namespace, floor).
		With("namespace", namespace).With("floor_ts", floor.String())
}
