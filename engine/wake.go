package engine

import (
	"encoding/binary"
	"encoding/json"
	"time"

	"statehouse.dev/statehouse/engine/layout"
	"statehouse.dev/statehouse/engine/words"
)

// A record may be due at a time. That it is stands in a hidden record beside it, its wake-up, so that
// the record itself may be written meanwhile. The wake-up is one of three, by the hold that it was
// written with:
//
//	due      it waits for its time; then the daemon's own commit makes it ready
//	ready    a claim may take it
//	lapsed   a worker has claimed it, as a lease: its version is the token. It is ready again by a
//	         release, or by the daemon's own commit when the claim was not renewed in time
//
// It ends with a tombstone: when the worker completes it under the token, and with the record. So
// it is handed out until some worker has completed it, and completed once: what requires a token
// requires the version.

// claimPrefix is how the name of a claim's lease begins; the record's key follows.
const claimPrefix = "due:"

// readyTTL stands for the time to live that nothing has which is ready.
const readyTTL = 1

// wakeValue is the value of a wake-up.
type wakeValue struct {
	DueAt  time.Time `json:"due_at"`
	Holder string    `json:"holder,omitempty"` // of a claim
	TTL    int64     `json:"ttl_ms,omitempty"` // likewise
}

func (w wakeValue) text() []byte {
	text, err := json.Marshal(w)
	assertf(err == nil, "a wake-up has no text: %v", err)
	return text
}

// op is the operation that writes a wake-up.
func (w wakeValue) op(h layout.RecordHold) partOp {
	op := partOp{value: w.text()}
	op.Held = h
	return op
}

func parseWake(text []byte) (w wakeValue) {
	_ = json.Unmarshal(text, &w) // an erased one has none
	return w
}

// readyOf is the operation that makes a wake-up ready, by its value.
func readyOf(value []byte) partOp {
	w := wakeValue{DueAt: parseWake(value).DueAt}
	return w.op(layout.RecordHold{Kind: layout.CauseReady, TTL: readyTTL})
}

// wakeOf is the name of a record's wake-up.
func wakeOf(n RecordName) RecordName {
	n.Key = dueKey(n.Key)
	return n
}

// isWake reports whether a key is of a wake-up.
func isWake(key string) bool {
	kind, _ := SplitHidden(key)
	return kind == HiddenDue
}

// PutDue sets a value, and when the record is due. Nothing but a time that is set anew, a claim that
// is completed, and a delete of the record changes that.
type PutDue struct {
	At time.Time     // zero: In is meant
	In time.Duration // from the commit
}

// MaxDueIn bounds how far ahead a record may be due.
const MaxDueIn = MaxTTL

func (PutDue) hasValue() bool { return true }

func (d PutDue) check(w *Write, _ *Limits) (Evaluation, error) {
	switch {
	case w.TTL != 0:
		return nil, words.Failf(ErrInvalid, "key %q is due, or expires, not both", w.Name.Key).With("field", "ttl_ms")
	case d.At.IsZero() && (d.In < 0 || d.In > MaxDueIn):
		return nil, words.Failf(ErrInvalid, "key %q is due in %v: at most %v", w.Name.Key, d.In, MaxDueIn).With("field", "due_in_ms")
	case !d.At.IsZero() && (d.At.Year() < 1970 || d.At.Year() > 2200):
		return nil, words.Failf(ErrInvalid, "key %q is due in the year %d: from 1970 to 2200", w.Name.Key, d.At.Year()).With("field", "due_at")
	}
	return d, w.Name.Normalize()
}

func (d PutDue) fingerprint(b []byte) []byte {
	b = append(b, 'p')
	if !d.At.IsZero() {
		return layout.AppendTime(append(b, 't'), d.At)
	}
	return binary.AppendUvarint(b, uint64(d.In))
}

func (d PutDue) evaluate(v *evaluation, op *askedOp) error {
	at := d.At.UTC()
	if d.At.IsZero() {
		at = layout.DeadlineAfter(v.time, d.In)
	}
	v.pl.wakes.Store(true)
	v.set(op.name, op.partOp)
	v.set(wakeOf(op.name), wakeValue{DueAt: at}.op(layout.RecordHold{Kind: CauseDue, TTL: max(at.Sub(v.time), 1)}))
	return nil
}

func (PutDue) result(r *results, op *askedOp) (OpResult, error) { return r.of(op.name), nil }

// endWakes adds to a part what becomes of the wake-ups of records that it deletes.
func (pl *planner) endWakes(part *agentPart) error {
	if !pl.wakes.Load() {
		return nil
	}
	var at map[string]int // the operations on wake-ups
	for j := range part.ops {
		if op := &part.ops[j]; isWake(op.Key) {
			if at == nil {
				at = make(map[string]int)
			}
			at[op.prefix] = j
		}
	}
	for j := range part.ops {
		op := &part.ops[j]
		if !op.Tombstone || hidden(op.Key) {
			continue
		}
		end := partOp{prefix: string(layout.RecordPrefix(RecordName{Namespace: part.agent.Namespace, Agent: part.agent.Agent, Key: dueKey(op.Key)}))}
		end.Key, end.Tombstone = dueKey(op.Key), true
		if i, found := at[end.prefix]; found {
			if !part.ops[i].Tombstone { // else an erasure may have made it, and it says so
				part.ops[i] = end
			}
			continue
		}
		h, err := pl.keyHead(end.prefix)
		if err != nil {
			return err
		}
		if h.exists() {
			part.ops = append(part.ops, end)
		}
	}
	return nil
}

// DueAt is when a record is due, or became it, as of now; zero: it has no wake-up.
func (e *Engine) DueAt(n RecordName) (time.Time, error) {
	if !e.wakes.Load() {
		return time.Time{}, nil
	}
	if err := n.Normalize(); err != nil {
		return time.Time{}, err
	}
	n = wakeOf(n)
	rec, err := Snapshot{e: e, ts: e.Published()}.get(n, layout.RecordPrefix(n))
	if err != nil || !rec.Exists {
		return time.Time{}, e.noted(err)
	}
	return parseWake(rec.Value).DueAt, nil
}
