package engine

import (
	"bytes"
	"fmt"

	"statehouse.dev/statehouse/engine/layout"
	"statehouse.dev/statehouse/engine/words"
)

// How long a record was written to last stands in its row, and goes into a backup with it. That its
// deadline was moved since is in no commit: so the rows of the system of a segment have the holds
// that were moved since its stretch began. A restore makes the rows of holds anew, of both.

// movedKind is the kind of those rows. Only a backup has them: the body is pairs of strings, the
// names in a hold's key and its row.
const movedKind = "moved"

const movedBytes = 32 << 10 // about, of the body of one

// nextMoved returns the next holds that were moved since the stretch began, as a row of the system.
func (x *Export) nextMoved() ([]Row, error) {
	var body []byte
	var name string
	for x.moved != nil && len(body) < movedBytes {
		ok := false
		if x.moved.moves == 0 {
			ok = x.moved.first()
		} else {
			ok = x.moved.next()
		}
		if !ok {
			if err := x.endMoved(); err != nil {
				return nil, err
			}
			break
		}
		h, ok := layout.ParseHold(x.moved.body)
		if !ok {
			x.moved.corrupt()
			return nil, x.endMoved()
		}
		if h.Moved == 0 || h.Moved < x.of.After {
			continue
		}
		key := x.moved.key()
		if body == nil {
			name = fmt.Sprintf("%x", layout.DigestOf(key))
		}
		body = layout.AppendString(layout.AppendString(body, string(key[1:])), string(x.moved.body))
	}
	if body == nil {
		return nil, nil
	}
	return []Row{rowOf(systemKey(movedKind, name), body)}, nil
}

func (x *Export) endMoved() error {
	if x.moved == nil {
		return nil
	}
	err := x.moved.close()
	x.moved = nil
	return err
}

// movedKey is where a restore keeps a hold that was moved, until it knows which version is the
// current one: a key that no record has, since names are not empty.
func movedKey(names []byte) []byte {
	return append([]byte{layout.HoldTag, layout.Terminator}, names...)
}

// addMoved keeps holds that were moved.
func (r *Restore) addMoved(body []byte) error {
	d := layout.Decoder{Rest: body}
	for len(d.Rest) > 0 && !d.Failed {
		key := movedKey(d.Raw())
		r.set(key, bytes.Clone(d.Raw()))
	}
	if d.Failed {
		return words.Failf(ErrDataLoss, "the deadlines that were moved are malformed")
	}
	if r.batch.Len() >= exportBytes {
		return r.apply()
	}
	return nil
}

// finishHolds makes the rows of holds: of each record whose current version was written with one.
func (r *Restore) finishHolds() error {
	if err := r.apply(); err != nil {
		return err
	}
	it, err := newRowIter(r.e.db, []byte{layout.RecordTag}, []byte{layout.RecordTag + 1})
	if err != nil {
		return err
	}
	var last []byte
	for ok := it.first(); ok; ok = it.next() {
		prefix := it.key()[:max(len(it.key())-layout.NumberSize, 0)]
		if bytes.Equal(prefix, last) {
			continue
		}
		last = append(last[:0], prefix...)
		v, row, good := recordAt(it)
		if !good {
			break
		}
		if row.Hold.Kind == 0 {
			continue
		}
		if it.err = r.finishHold(string(prefix), v, &row); it.err != nil {
			break
		}
	}
	if err := it.close(); err != nil {
		return err
	}
	_ = r.batch.DeleteRange(movedKey(nil), []byte{layout.HoldTag, layout.Terminator + 1}, nil) // in memory
	return nil
}

func (r *Restore) finishHold(prefix string, v Version, row *layout.RecordRow) error {
	h := row.Hold.HoldAfter(row.CommitTime, v)
	if end := r.check.last; r.stopped && !h.Deadline.After(end) && h.Kind != CauseDue && h.Kind != layout.CauseReady {
		// The record was there at the end, so its deadline had been moved; and the segment, which goes on, has
		// the holds of later. By then it was at most this.
		h.Deadline, h.Moved = layout.DeadlineAfter(end, h.TTL), r.check.head.ts
	}
	key := movedKey([]byte(prefix[1:]))
	body, err := getRow(r.e.db, key)
	if err != nil {
		return err
	}
	if body != nil {
		moved, ok := layout.ParseHold(body)
		if !ok {
			return layout.CorruptRow(key, "malformed")
		}
		if moved.Version == v && moved.Kind == h.Kind {
			h = &moved
			h.Moved = min(h.Moved, r.check.head.ts)
		}
	}
	r.e.rows.appendHold(r.batch, prefix, nil, h)
	if r.batch.Len() >= exportBytes {
		return r.apply()
	}
	return nil
}
