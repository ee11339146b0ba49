package engine

import (
	"statehouse.dev/statehouse/engine/jsonedit"
	"statehouse.dev/statehouse/engine/words"
)

// Merge applies the write's value, a JSON Merge Patch (RFC 7396), to the record's value. A record that
// is not there counts as {}.
type Merge struct{}

func (Merge) hasValue() bool { return true }

func (m Merge) check(w *Write, _ *Limits) (Evaluation, error) {
	if isBytes(w.Value) {
		return nil, words.Failf(ErrInvalid, "a merge patch is a JSON object, not bytes").With("field", "merge_json")
	}
	return m, w.Name.Normalize()
}

func (Merge) fingerprint(b []byte) []byte { return append(b, 'm') }

func (Merge) evaluate(v *evaluation, op *askedOp) error {
	value, err := v.document(op)
	if err != nil {
		return err
	}
	_, err = v.put(op.name, jsonedit.Merge(value, op.value))
	return err
}

func (Merge) result(r *results, op *askedOp) (OpResult, error) { return r.changed(op) }
