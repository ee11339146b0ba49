package engine

import (
	"bytes"
	"slices"

	"statehouse.dev/statehouse/engine/layout"
	"statehouse.dev/statehouse/engine/words"
)

// What verify holds the rows of holds to: each record whose newest version was written with a hold
// has one, each hold has its timer, and there are no others. And the events of the daemon's own
// commits name the agent's last commit before them that was another's.

type heldChecks struct {
	records, timers uint64 // records whose newest version was written with a hold; timer rows
	ready, places   uint64 // rows of what is ready; what there should be of both
	last            []byte // the record that was seen last
	head            layout.AgentHead
}

// checkRecord is called in key order: of a key, the newest version first.
func (v *verifier) checkRecord(key, body []byte) error {
	if n := len(key) - layout.NumberSize; n > 0 && !bytes.Equal(key[:n], v.held.last) {
		v.held.last = append(v.held.last[:0], key[:n]...)
		if row, ok := layout.ParseRecordRow(body); ok && row.Hold.Kind != 0 {
			v.held.records++
		}
	}
	return v.checkBase(key, body)
}

// checkHold compares a hold with its record and its timer.
func (v *verifier) checkHold(key, body []byte) error {
	prefix, ok := layout.SplitHoldKey(key)
	h, ok2 := layout.ParseHold(body)
	if !ok || !ok2 || h.Moved > v.r.Commits {
		return layout.CorruptRow(key, "malformed")
	}
	it, err := newRowIter(v.db, []byte(prefix), layout.Successor([]byte(prefix)))
	if err != nil {
		return err
	}
	if it.first() {
		if at, row, ok := recordAt(it); ok && (at != h.Version || row.Hold != h.RecordHold) {
			it.err = layout.CorruptRow(key, "of another version than the current one")
		}
	} else if it.err == nil {
		it.err = layout.CorruptRow(key, "of no record")
	}
	if err := it.close(); err != nil {
		return err
	}
	v.held.places += uint64(len(placesOf(&h, prefix)))
	for _, at := range placesOf(&h, prefix) {
		if body, err = getRow(v.db, at); err != nil {
			return err
		}
		if t, ok := layout.ParseTimer(body); !ok || t.Kind != h.Kind || t.Version != h.Version {
			return layout.CorruptRow(at, "missing, or not of its hold")
		}
	}
	return nil
}

func (v *verifier) checkReady(key, body []byte) error {
	_, _, ok := splitReady(key)
	if t, ok2 := layout.ParseTimer(body); !ok || !ok2 || t.Kind != layout.CauseReady {
		return layout.CorruptRow(key, "malformed")
	}
	return nil
}

func (v *verifier) checkTimer(key, body []byte) error {
	_, _, ok := layout.SplitTimerKey(key)
	if _, ok2 := layout.ParseTimer(body); !ok || !ok2 {
		return layout.CorruptRow(key, "malformed")
	}
	return nil
}

// checkHeld compares the counts. Each hold has a record and rows of its own to be found by, so equal counts mean
// that nothing is without.
func (v *verifier) checkHeld() error {
	if v.r.Holds != v.held.records || v.held.places != v.held.timers+v.held.ready {
		return words.Failf(ErrDataLoss, "%d records were written with a time to live, and there are %d deadlines and %d timers", v.held.records, v.r.Holds, v.held.timers+v.held.ready)
	}
	return nil
}

// checkHead checks what the event of a commit of the daemon's own says of the one before. It is called
// agent by agent, oldest first; first: no event before it is kept.
func (v *verifier) checkHead(key []byte, ts CommitTS, body []byte, first bool) error {
	if !slices.Contains(v.meta.used, featureTimers) {
		return nil
	}
	row, ok := layout.ParseEventRow(body)
	if !ok {
		return layout.CorruptRow(key, "malformed")
	}
	head := layout.HeadOf(ts, &row)
	if !first && row.Own.Cause != 0 && head.User != v.held.head.User {
		return words.Failf(ErrDataLoss, "the daemon's own commit %d follows commit %d of its agent, and says %d", ts, v.held.head.User, head.User)
	}
	v.held.head = head
	return nil
}
