package model

import (
	"strings"

	"statehouse.dev/statehouse/history"
)

// SameRead reports whether a reader may have been shown a value so, as it was written. A
// reader of google.protobuf.Struct gets doubles: a number that is none is shown as the
// nearest one, and then the answer must say that it is inexact.
func SameRead(in *history.Input, shown string, inexact bool, written string) bool {
	switch {
	case !in.Doubles:
		return !inexact && history.SameValue(shown, written)
	case isDigest(shown) && isDigest(written):
		return true // they may differ by no more than rounding
	case inexact:
		return history.Rounded(shown) == history.Rounded(written) && !history.Doubles(written)
	}
	return history.SameValue(shown, written) || history.Rounded(shown) == history.Carried(written)
}

func isDigest(value string) bool { return strings.HasPrefix(value, "digest:") }
