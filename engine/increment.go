package engine

import (
	"statehouse.dev/statehouse/engine/jsonedit"
	"statehouse.dev/statehouse/engine/jsonform"
	"statehouse.dev/statehouse/engine/layout"
	"statehouse.dev/statehouse/engine/words"
)

// Increment adds to a number in a record's value. The sum is exact. A record or a member that is not
// there counts as 0, and is made.
type Increment struct {
	Pointer string // a JSON Pointer (RFC 6901), not empty
	Delta   string // a JSON number
	// Min and Max are JSON numbers that the sum must not be below and above; "": no bound.
	Min, Max string

	sum *jsonedit.Sum
}

func (i Increment) hasValue() bool { return false }

func (i Increment) check(w *Write, _ *Limits) (Evaluation, error) {
	if err := w.Name.Normalize(); err != nil {
		return nil, err
	}
	at, err := jsonedit.ParsePointer(i.Pointer)
	switch {
	case err != nil:
		return nil, words.Failf(ErrInvalid, "%v", err).With("field", "increment.pointer")
	case len(at) == 0:
		return nil, words.Failf(ErrInvalid, "an increment needs a pointer to a member, such as /count: a value is an object, not a number").With("field", "increment.pointer")
	case len(at) > jsonform.MaxValueDepth:
		return nil, words.Failf(ErrInvalid, "the pointer leads %d deep, more than a value is, %d", len(at), jsonform.MaxValueDepth).With("field", "increment.pointer")
	}
	i.sum = &jsonedit.Sum{At: at}
	if i.sum.Delta, err = jsonedit.ParseNumber(i.Delta); err != nil {
		return nil, words.Failf(ErrInvalid, "%v", err).With("field", "increment.delta")
	}
	if i.sum.Min, err = bound("increment.min", i.Min); err != nil {
		return nil, err
	}
	if i.sum.Max, err = bound("increment.max", i.Max); err != nil {
		return nil, err
	}
	if i.sum.Min != nil && i.sum.Max != nil && i.sum.Min.Compare(*i.sum.Max) > 0 {
		return nil, words.Failf(ErrInvalid, "the least sum is above the largest").With("field", "increment.min")
	}
	return i, nil
}

func bound(field, s string) (*jsonedit.Number, error) {
	if s == "" {
		return nil, nil
	}
	n, err := jsonedit.ParseNumber(s)
	if err != nil {
		return nil, words.Failf(ErrInvalid, "%v", err).With("field", field)
	}
	return &n, nil
}

func (i Increment) fingerprint(b []byte) []byte {
	b = layout.AppendString(append(b, 'i'), i.sum.At.String())
	b = layout.AppendString(b, i.sum.Delta.String())
	for _, bound := range []*jsonedit.Number{i.sum.Min, i.sum.Max} {
		if bound == nil {
			b = layout.AppendString(b, "")
		} else {
			b = layout.AppendString(b, bound.String())
		}
	}
	return b
}

func (i Increment) evaluate(v *evaluation, op *askedOp) error {
	value, err := v.document(op)
	if err != nil {
		return err
	}
	value, err = jsonedit.Add(value, i.sum)
	if err != nil {
		return onKey(evaluationf("key %q of agent %q: %v", op.name.Key, op.name.Agent, err), op.name).With("pointer", i.Pointer)
	}
	_, err = v.put(op.name, value)
	return err
}

func (i Increment) result(r *results, op *askedOp) (OpResult, error) { return r.changed(op) }

// document returns the value of the key of op, which is to be changed; {} if there is no record.
func (v *evaluation) document(op *askedOp) ([]byte, error) {
	was, err := v.record(op.name, op.prefix)
	switch {
	case err != nil:
		return nil, err
	case !was.exists:
		return []byte("{}"), nil
	case was.gone != 0:
		return nil, onKey(evaluationf("key %q of agent %q: its value was erased", op.name.Key, op.name.Agent), op.name)
	case isBytes(was.value):
		return nil, onKey(evaluationf("key %q of agent %q: its value is bytes, not JSON", op.name.Key, op.name.Agent), op.name)
	}
	return was.value, nil
}
