package engine

import (
	"errors"

	"statehouse.dev/statehouse/engine/words"
)

// IfAbsent writes its value if there is no record, and otherwise leaves the one that there is.
type IfAbsent struct{}

func (IfAbsent) hasValue() bool { return true }

func (i IfAbsent) check(w *Write, _ *Limits) (Evaluation, error) {
	if w.Expected != nil {
		return nil, words.Failf(ErrInvalid, "a write that is left out if the key exists has no expected version").With("field", "expected_version")
	}
	return i, w.Name.Normalize()
}

func (IfAbsent) fingerprint(b []byte) []byte { return append(b, 'n') }

func (IfAbsent) evaluate(v *evaluation, op *askedOp) error {
	was, err := v.record(op.name, op.prefix)
	if err == nil && !was.exists {
		v.set(op.name, op.partOp)
	}
	return err
}

// result: if the commit did not write the key, the record is the one of that moment.
func (IfAbsent) result(r *results, op *askedOp) (OpResult, error) {
	if wrote := r.of(op.name); wrote.Version > 0 {
		return wrote, nil
	}
	rec, err := Snapshot{e: r.e, ts: r.ts}.Get(op.name)
	if errors.Is(err, ErrDataLoss) || errors.Is(err, ErrStorage) {
		return OpResult{}, err
	}
	return OpResult{Name: op.name, Version: rec.Version, Value: rec.Value, Existed: true}, nil
}
