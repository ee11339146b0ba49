package serial

import (
	"fmt"
	"strings"

	"statehouse.dev/statehouse/linearizability/serial/values"
)

// facts are what is known of a key's state. With the log that is all of it; without, it begins
// with nothing and grows with what is seen.
type facts struct {
	known   uint8 // which of the rest
	exists  bool
	version uint64
	ts      uint64
	value   string
}

const (
	knowsExists = 1 << iota
	knowsVersion
	knowsTS
	knowsValue
	// knowsShown: value is what a reader was shown who knows no bytes, and what was written may be bytes.
	knowsShown
)

// meet joins what is known with what is seen; false when they disagree.
func (f facts) meet(g facts) (facts, bool) {
	both := f.known & g.known
	if both&knowsExists != 0 && f.exists != g.exists || both&knowsVersion != 0 && f.version != g.version ||
		both&knowsTS != 0 && f.ts != g.ts || !f.sameValue(&g) {
		return f, false
	}
	fresh := g.known &^ f.known
	if f.known&knowsValue != 0 {
		fresh &^= knowsShown
	}
	if fresh&knowsExists != 0 {
		f.exists = g.exists
	}
	if fresh&knowsVersion != 0 {
		f.version = g.version
	}
	if fresh&knowsTS != 0 {
		f.ts = g.ts
	}
	if fresh&(knowsValue|knowsShown) != 0 {
		f.value = g.value
	}
	if f.known |= fresh; f.known&knowsValue != 0 {
		f.known &^= knowsShown
	}
	return f, true
}

// expects is what a condition wants; 0: the key does not exist, as one that was deleted does
// not.
func expects(version uint64) facts {
	if version == 0 {
		return facts{known: knowsExists}
	}
	return facts{known: knowsVersion, version: version}
}

// on applies an effect to what a key was; false when the version that it was
// answered does not follow.
func (e *effect) on(before facts) (facts, bool) {
	after := e.facts
	if e.delta != "" && before.known&knowsExists != 0 && (!before.exists || before.known&knowsValue != 0) && !values.Follow(before.value, before.exists, after.value, e.pointer, e.delta) {
		return before, false
	}
	switch {
	case e.blur || e.head || before.known&knowsVersion == 0:
		return after, true
	case after.known&knowsVersion != 0 && after.version != before.version+1:
		return before, false
	}
	after.known, after.version = after.known|knowsVersion, before.version+1
	return after, true
}

func (f facts) String() string {
	var out []string
	if f.known&knowsExists != 0 && !f.exists {
		out = append(out, "absent")
	}
	if f.known&knowsVersion != 0 {
		out = append(out, fmt.Sprintf("version %d", f.version))
	}
	if f.known&knowsTS != 0 {
		out = append(out, fmt.Sprintf("of commit %d", f.ts))
	}
	if f.known&(knowsValue|knowsShown) != 0 {
		out = append(out, f.value)
	} else if f.known&knowsExists != 0 && f.exists {
		out = append(out, "something")
	}
	if len(out) == 0 {
		return "anything"
	}
	return strings.Join(out, ", ")
}
