package engine

import (
	"encoding/binary"
	"maps"
	"slices"

	"statehouse.dev/statehouse/engine/layout"
	"statehouse.dev/statehouse/engine/words"
)

// went is how far the past of a store is gone, by its system rows. Whoever reads the log needs it:
// what is missing below these marks is no damage.
type went struct {
	pasts map[string]past
	// erased is the last commit of an erasure of which what was before it may be taken out.
	erased CommitTS
}

// erasedKind and erasedName name the system row of went.erased.
const (
	erasedKind = "erased"
	erasedName = "last"
)

func readWent(r SystemReader) (w went, err error) {
	if w.pasts, err = readPasts(r); err != nil {
		return w, err
	}
	body, err := r.System(erasedKind, erasedName)
	if body != nil && err == nil {
		err = w.add(erasedKind, erasedName, body)
	}
	return w, err
}

// add takes over a system row.
func (w *went) add(kind, name string, body []byte) error {
	ok := true
	switch kind {
	case pastKind:
		if w.pasts == nil {
			w.pasts = make(map[string]past)
		}
		w.pasts[name], ok = parsePast(body)
	case erasedKind:
		ts, n := binary.Uvarint(body)
		w.erased, ok = CommitTS(ts), n > 0 && n == len(body)
	}
	if !ok {
		return layout.CorruptRow(systemKey(kind, name), "malformed")
	}
	return nil
}

func (w *went) namespaces() []string { return slices.Sorted(maps.Keys(w.pasts)) }

// dropped is the last commit up to which retention has dropped anything.
func (w *went) dropped() (ts CommitTS) {
	for _, p := range w.pasts { // the largest: in any order
		ts = max(ts, p.dropped)
	}
	return ts
}

// within reports whether all that is gone went by commits up to ts.
func (w *went) within(ts CommitTS) bool {
	for _, p := range w.pasts { // all of them: in any order
		if max(p.floor, p.pruned) > ts {
			return false
		}
	}
	return w.erased <= ts
}

// endsAt reports whether the rows of a stretch make a store that ends at a commit: what went must not
// be missing in it.
func (w *went) endsAt(ts CommitTS) error {
	for _, n := range w.namespaces() {
		switch p := w.pasts[n]; {
		case ts < p.dropped:
			return words.Failf(ErrInvalid, "the backup has no whole state of commit %d: retention had dropped what namespace %q had before commit %d; restore to that commit or a later one, or from an earlier backup", ts, n, p.dropped)
		case ts < p.pruned:
			return words.Failf(ErrInvalid, "the backup has no whole state of commit %d: values of namespace %q had been pruned that were current there; restore to commit %d or a later one, or to the end of an earlier segment", ts, n, p.pruned)
		}
	}
	if ts < w.erased {
		return erasedAfter(ts, w.erased)
	}
	return nil
}

func erasedAfter(ts, erased CommitTS) error {
	return words.Failf(ErrInvalid, "commit %d is before commit %d, which erased values: a restore brings back nothing that was erased; restore to commit %d or a later one", ts, erased, erased)
}
