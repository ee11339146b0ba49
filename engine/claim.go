package engine

import (
	"encoding/binary"
	"time"

	"statehouse.dev/statehouse/engine/layout"
	"statehouse.dev/statehouse/engine/words"
)

// MaxClaim is how many records a claim may take at most.
const MaxClaim = 1000

// claimBytes is what the values of a claim's records may take together, so that the answer has room
// for them: the first is taken in any case.
const claimBytes = 1 << 20

// Claim takes records that are due and that no worker holds, whose keys begin with the key of the
// write, which may be empty: those of its agent, or without one of all agents of the namespace.
// Those that have been ready for longest come first. Each is held by a lease. Of a request it is the
// only operation.
type Claim struct {
	Holder string // for people
	TTL    time.Duration
	Limit  int // 0: one
}

// Complete ends the wake-up of the record that its write names. Error: ErrLeaseLost, if it is not
// claimed under the token.
type Complete struct{ Token Version }

// Claimed is a record that a claim took.
type Claimed struct {
	Record Record // as of the commit
	DueAt  time.Time
	Lease  Lease
}

func (Claim) hasValue() bool    { return false }
func (Complete) hasValue() bool { return false }

func (c Claim) check(w *Write, _ *Limits) (Evaluation, error) {
	if _, err := (Acquire{c.Holder, c.TTL}).check(&Write{Name: RecordName{Agent: "any", Key: "any"}}, nil); err != nil {
		return nil, err
	}
	if c.Limit < 0 || c.Limit > MaxClaim {
		return nil, words.Failf(ErrInvalid, "a claim takes at most %d records, not %d", MaxClaim, c.Limit).With("field", "limit")
	}
	if w.Name.Agent != "" {
		return c, checkRange(w)
	}
	w.Name.Agent = "any"
	err := checkRange(w)
	w.Name.Agent = ""
	return c, err
}

func (c Complete) check(w *Write, _ *Limits) (Evaluation, error) {
	if c.Token == 0 {
		return nil, words.Failf(ErrInvalid, "a record is completed under the token of its claim, which is above 0").With("field", "token")
	}
	if w.Expected != nil {
		return nil, words.Failf(ErrInvalid, "an operation on a lease has no expected version").With("field", "expected_version")
	}
	err := w.Name.Normalize()
	w.Name = wakeOf(w.Name)
	return c, err
}

func (c Claim) fingerprint(b []byte) []byte {
	b = binary.AppendUvarint(append(b, 'c'), uint64(c.Limit))
	return layout.AppendString(binary.AppendUvarint(b, uint64(c.TTL)), c.Holder)
}

func (c Complete) fingerprint(b []byte) []byte {
	return binary.AppendUvarint(append(b, 'e'), uint64(c.Token))
}

func (c Claim) evaluate(v *evaluation, op *askedOp) error {
	taken, bytes := 0, 0
	return v.pl.ready(op.name, func(wake RecordName) (more bool, err error) {
		_, key := SplitHidden(wake.Key)
		name := RecordName{Namespace: wake.Namespace, Agent: wake.Agent, Key: key}
		rec, err := v.record(name, string(layout.RecordPrefix(name)))
		if err != nil {
			return false, err
		}
		if bytes += len(rec.value); taken > 0 && bytes > claimBytes {
			return false, nil
		}
		was, err := v.record(wake, string(layout.RecordPrefix(wake)))
		if err != nil {
			return false, err
		}
		assertf(was.exists && was.held == layout.CauseReady, "the wake-up of %q is claimed, and not ready", key)
		value := wakeValue{parseWake(was.value).DueAt, c.Holder, c.TTL.Milliseconds()}
		v.set(wake, value.op(layout.RecordHold{Kind: CauseLapsed, TTL: c.TTL}))
		taken++
		return taken < max(c.Limit, 1), nil
	})
}

func (c Complete) evaluate(v *evaluation, op *askedOp) error {
	if _, err := v.heldLease(op, c.Token); err != nil {
		return err
	}
	v.remove(op.name)
	return nil
}

// result: the wake-ups of the commit are what it took, and its versions the tokens.
func (c Claim) result(r *results, op *askedOp) (OpResult, error) {
	one := OpResult{Name: op.name}
	for _, v := range r.versions {
		kind, key := SplitHidden(v.Name.Key)
		if kind != HiddenDue {
			continue
		}
		text, err := r.valueAt(v)
		if err != nil {
			return one, err
		}
		rec, err := Snapshot{e: r.e, ts: r.ts}.Get(RecordName{Namespace: v.Name.Namespace, Agent: v.Name.Agent, Key: key})
		if err = lastingError(err); err != nil {
			return one, err
		}
		one.Claimed = append(one.Claimed, Claimed{rec, parseWake(text).DueAt, Lease{
			Agent: v.Name.AgentName(), Name: claimPrefix + key, Token: v.Version, Holder: c.Holder, TTL: c.TTL, AcquiredTS: r.ts,
		}})
	}
	return one, nil
}

func (Complete) result(r *results, op *askedOp) (OpResult, error) { return r.of(op.name), nil }

// checkClaims refuses a claim beside other operations: how many results it has is not known before.
func checkClaims(writes []*Write) error {
	for _, w := range writes {
		if _, is := w.Eval.(Claim); is && len(writes) > 1 {
			return words.Failf(ErrInvalid, "a claim is the only operation of its transaction").With("field", "claim")
		}
	}
	return nil
}
