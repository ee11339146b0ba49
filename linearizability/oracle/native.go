package oracle

import (
	"statehouse.dev/statehouse/history"
	"statehouse.dev/statehouse/linearizability/oracle/evaluate"
	"statehouse.dev/statehouse/linearizability/oracle/model"
)

// shownAs reports whether a reader may have been shown a value so, as it was written. Bytes are shown as
// bytes to whoever asks for them, and to others as an object that has them.
func shownAs(in *history.Input, shown string, inexact bool, written string) bool {
	if history.IsBytes(written) && !in.Native {
		return !inexact && history.SameValue(shown, evaluate.Object(written))
	}
	return model.SameRead(in, shown, inexact, written)
}
