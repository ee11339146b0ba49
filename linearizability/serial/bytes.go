package serial

import (
	"strings"

	"statehouse.dev/statehouse/history"
	"statehouse.dev/statehouse/linearizability/serial/values"
)

// Values may be bytes. Whoever asks for them as such is shown what was written. Others are shown an object,
// which may have been written as one, too: of that it is known how it is shown, and not what it is.

const bytesMember = `{"$bytes":`

// showing adds to facts the value that an operation was told.
func (c *constraints) showing(f facts, op *history.Operation, value string) facts {
	if op.In.NoValues {
		return f
	}
	f.value = c.canonical(value)
	if _, _, is := history.AsBytes(f.value); !op.In.Native && (is || strings.HasPrefix(f.value, bytesMember)) {
		f.known |= knowsShown
	} else {
		f.known |= knowsValue
	}
	return f
}

// sameValue reports whether two facts can be of one value.
func (f *facts) sameValue(g *facts) bool {
	const either = knowsValue | knowsShown
	switch x, y := f.known&either, g.known&either; {
	case x == 0 || y == 0:
		return true
	case x == y:
		return f.value == g.value
	case x == knowsValue:
		return values.AsObject(f.value) == g.value
	}
	return f.value == values.AsObject(g.value)
}
