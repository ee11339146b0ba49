package engine

import (
	"bytes"
	"slices"

	"statehouse.dev/statehouse/engine/words"
)

// What verify holds the rows of holds to: each record whose newest version was written with a hold
// has one, each hold has its timer, and there are no others. And the events of the daemon's own
// commits name the agent's last commit before them that was another's.

type heldChecks struct {
	records, timers uint64 // records whose newest version was written with a hold; timer rows
	ready, places   uint64 // rows of what is ready; what there should be of both
	last            []byte // the record that was seen last
	head            agentHead
}

// checkRecord is called in key order: of a key, the newest version first.
func (v *verifier) checkRecord(key, body []byte) error {
	if n := len(key) - numberSize; n > 0 && !bytes.Equal(key[:n], v.held.last) {
		v.held.last = append(v.held.last[:0], key[:n]...)
		if row, ok := parseRecordRow(body); ok && row.hold.kind != 0 {
			v.held.records++
		}
	}
	return v.checkBase(key, body)
}

// checkHold compares a hold with its record and its timer.
func (v *verifier) checkHold(key, body []byte) error {
	prefix, ok := splitHoldKey(key)
	h, ok2 := parseHold(body)
	if !ok || !ok2 || h.moved > v.r.Commits {
		return corruptRow(key, "malformed")
	}
	it, err := newRowIter(v.db, []byte(prefix), successor([]byte(prefix)))
	if err != nil {
		return err
	}
	if it.first() {
		if at, row, ok := recordAt(it); ok && (at != h.version || row.hold != h.recordHold) {
			it.err = corruptRow(key, "of another version than the current one")
		}
	} else if it.err == nil {
		it.err = corruptRow(key, "of no record")
	}
	if err := it.close(); err != nil {
		return err
	}
	v.held.places += uint64(len(h.places(prefix)))
	for _, at := range h.places(prefix) {
		if body, err = getRow(v.db, at); err != nil {
			return err
		}
		if t, ok := parseTimer(body); !ok || t.kind != h.kind || t.version != h.version {
			return corruptRow(at, "missing, or not of its hold")
		}
	}
	return nil
}

func (v *verifier) checkReady(key, body []byte) error {
	_, _, ok := splitReady(key)
	if t, ok2 := parseTimer(body); !ok || !ok2 || t.kind != causeReady {
		return corruptRow(key, "malformed")
	}
	return nil
}

func (v *verifier) checkTimer(key, body []byte) error {
	_, _, ok := splitTimerKey(key)
	if _, ok2 := parseTimer(body); !ok || !ok2 {
		return corruptRow(key, "malformed")
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
	row, ok := parseEventRow(body)
	if !ok {
		return corruptRow(key, "malformed")
	}
	head := headOf(ts, &row)
	if !first && row.own.cause != 0 && head.user != v.held.head.user {
		return words.Failf(ErrDataLoss, "the daemon's own commit %d follows commit %d of its agent, and says %d", ts, v.held.head.user, head.user)
	}
	v.held.head = head
	return nil
}
