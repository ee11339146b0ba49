package engine

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"statehouse.dev/statehouse/engine/layout"
	"statehouse.dev/statehouse/engine/words"
)

// A sequence is the records of an agent whose keys are a prefix and sequenceDigits digits. An append
// gives the next number: one more than the largest that a key of the sequence ever had, however it
// was written, and whether or not the record is still there. A record leaves a row when it is deleted,
// pruned or erased, so no number is given twice.

// Append writes its value under the next key of a sequence, whose prefix is the key of the write.
type Append struct{}

// sequenceDigits is how many digits a number has in a key, so that keys are in the order of their
// numbers.
const sequenceDigits = 16

const lastInSequence = 9_999_999_999_999_999

func (Append) hasValue() bool { return true }

func (a Append) check(w *Write, _ *Limits) (Evaluation, error) {
	if err := w.Name.Normalize(); err != nil {
		return nil, err
	}
	if len(w.Name.Key)+sequenceDigits > MaxKeyBytes {
		return nil, words.Failf(ErrInvalid, "the prefix of a sequence has at most %d bytes: a number of %d digits follows", MaxKeyBytes-sequenceDigits, sequenceDigits).With("field", "key")
	}
	if w.Expected != nil {
		return nil, words.Failf(ErrInvalid, "an append is to a key that was never written, so it has no expected version").With("field", "expected_version")
	}
	return a, nil
}

func (Append) fingerprint(b []byte) []byte { return append(b, 'a') }

func (Append) evaluate(v *evaluation, op *askedOp) error {
	key := sequenceKey(op.name.AgentName(), op.name.Key)
	n, again := v.sequences[key]
	if !again {
		var err error
		if n, err = v.pl.lastNumber(op.name, key); err != nil {
			return err
		}
	}
	if n == lastInSequence {
		return onKey(evaluationf("the sequence %q of agent %q is at its end: its last number is %d", op.name.Key, op.name.Agent, n), op.name)
	}
	name := op.name
	name.Key += fmt.Sprintf("%0*d", sequenceDigits, n+1)
	w := op.partOp
	w.prefix = string(layout.RecordPrefix(name))
	v.set(name, w)
	if v.sequences == nil {
		v.sequences = make(map[string]uint64, 1)
	}
	v.sequences[key] = n + 1
	return nil
}

// lastNumber is the last number that was given in a sequence; 0 if none was.
func (pl *planner) lastNumber(sequence RecordName, key string) (uint64, error) {
	known := pl.evaluated.sequences
	key = pl.state.cached(key)
	if n, found := known.get(key); found {
		return n, nil
	}
	n, err := pl.searchLast(sequence)
	if err != nil {
		return 0, err
	}
	for _, c := range pl.step { // which the store does not have
		for i := range c.p.agents {
			if c.p.agents[i].agent == sequence.AgentName() {
				n = max(n, lastNumberIn(c.p.agents[i].ops, sequence.Key))
			}
		}
	}
	known.put(key, n)
	return n, nil
}

// mostBeside is how many keys that are no numbers a search for the last number steps over.
const mostBeside = 1000

// searchLast finds the last number of a sequence in the store.
func (pl *planner) searchLast(sequence RecordName) (uint64, error) {
	upTo := strings.Repeat("9", sequenceDigits)
	for range mostBeside {
		key, err := pl.state.lastKey(sequence.AgentName(), sequence.Key, sequence.Key+upTo)
		if err != nil || key == "" {
			return 0, err
		}
		rest := key[len(sequence.Key):]
		if n, ok := sequenceNumber(rest); ok {
			return n, nil
		}
		if upTo = numberBelow(rest); upTo == "" {
			return 0, nil
		}
	}
	return 0, onKey(evaluationf("beside the numbers of the sequence %q of agent %q there are more than %d other keys: choose a prefix that no other key begins with",
		sequence.Key, sequence.Agent, mostBeside), sequence)
}

// numberBelow is the largest text of sequenceDigits digits that is before a text that is none; "" if
// none is.
func numberBelow(s string) string {
	digits := 0
	for digits < min(len(s), sequenceDigits) && isDigit(s[digits]) {
		digits++
	}
	head := s[:digits]
	switch {
	case digits == sequenceDigits:
		return head
	case len(s) == digits || s[digits] < '0': // what goes on with a digit is after it
		n, _ := strconv.ParseUint("0"+head, 10, 64)
		if n == 0 {
			return ""
		}
		head = fmt.Sprintf("%0*d", digits, n-1)
	}
	return head + strings.Repeat("9", sequenceDigits-digits)
}

// sequenceNumber reads what follows the prefix in a key of a sequence.
func sequenceNumber(s string) (n uint64, ok bool) {
	if len(s) != sequenceDigits {
		return 0, false
	}
	for i := range len(s) {
		if !isDigit(s[i]) {
			return 0, false
		}
		n = n*10 + uint64(s[i]-'0')
	}
	return n, true
}

func lastNumberIn(ops []partOp, prefix string) (last uint64) {
	for i := range ops {
		if rest, found := strings.CutPrefix(ops[i].Key, prefix); found {
			if n, ok := sequenceNumber(rest); ok {
				last = max(last, n)
			}
		}
	}
	return last
}

// sequenceKey is what the record prefixes of a sequence begin with.
func sequenceKey(a AgentName, prefix string) string {
	return string(append(layout.AgentPrefix(layout.RecordTag, a), prefix...))
}

// wrote keeps the last numbers current after a key was planned.
func (pl *planner) wrote(op *partOp) {
	known := pl.evaluated.sequences
	if len(known.young)+len(known.old) == 0 || len(op.Key) <= sequenceDigits {
		return
	}
	at := len(op.Key) - sequenceDigits
	n, ok := sequenceNumber(op.Key[at:])
	if !ok {
		return
	}
	// A record prefix is that of its sequence, the number and the terminator.
	key := pl.state.cached(op.prefix[:len(op.prefix)-1-sequenceDigits])
	if last, found := known.get(key); found && n > last {
		known.put(key, n)
	}
}

// checkSequences refuses a write of a key that an append might get.
func checkSequences(writes []*Write) error {
	appended := make(map[RecordName]bool)
	for _, w := range writes {
		if _, is := w.Eval.(Append); is {
			appended[w.Name] = true
		}
	}
	for _, w := range writes {
		n := w.Name
		if _, is := w.Eval.(Append); is || len(appended) == 0 || len(n.Key) <= sequenceDigits {
			continue
		}
		if _, is := sequenceNumber(n.Key[len(n.Key)-sequenceDigits:]); !is {
			continue
		}
		if n.Key = n.Key[:len(n.Key)-sequenceDigits]; appended[n] {
			return words.Failf(ErrInvalid, "the transaction appends to %q and names key %q itself", n.Key, w.Name.Key).With("field", "key")
		}
	}
	return nil
}

func (Append) result(r *results, op *askedOp) (OpResult, error) {
	key := sequenceKey(op.name.AgentName(), op.name.Key)
	left, found := r.sequences[key]
	if !found {
		left = r.appended(op.name)
		if r.sequences == nil {
			r.sequences = make(map[string][]KeyVersion)
		}
	}
	if len(left) == 0 {
		return OpResult{}, nil // an erasure took the name
	}
	r.sequences[key] = left[1:]
	return OpResult{Name: left[0].Name, Version: left[0].Version}, nil
}

// appended are the keys that the request's appends to a sequence got, in their order: the last ones,
// since no number before was as large.
func (x *results) appended(sequence RecordName) (keys []KeyVersion) {
	n := 0
	for i := range x.p.asked {
		if _, is := x.p.asked[i].eval.(Append); is && x.p.asked[i].name == sequence {
			n++
		}
	}
	for _, kv := range x.versions {
		if rest, found := strings.CutPrefix(kv.Name.Key, sequence.Key); found && kv.Name.AgentName() == sequence.AgentName() {
			if _, ok := sequenceNumber(rest); ok {
				keys = append(keys, kv)
			}
		}
	}
	slices.SortFunc(keys, func(a, b KeyVersion) int { return strings.Compare(a.Name.Key, b.Name.Key) })
	return keys[max(len(keys)-n, 0):]
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }
