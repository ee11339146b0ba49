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

// Gone is why the value of a version is no longer there, which is for good.
type Gone struct{ Erased, Pruned bool }

// Any reports whether the value is gone.
func (g Gone) Any() bool { return g.Erased || g.Pruned }

// Explains reports whether a reader may have been shown a value as gone, where the log, which was
// read after it, has g: what was gone then is gone still, and what was dropped can have been
// erased since.
func (g Gone) Explains(shown Gone) bool {
	return !shown.Any() || g.Any() && (g.Erased || !shown.Erased) && !(shown.Erased && shown.Pruned)
}

// Shown reports whether a reader may have been shown a value so: as it was written, or as gone.
// Of a value that the log no longer has, nothing else is known.
func (g Gone) Shown(in *history.Input, shown string, inexact bool, as Gone, written string) bool {
	switch {
	case !g.Explains(as):
		return false
	case as.Any():
		return shown == "" && !inexact
	case g.Any() && written == "":
		return true
	}
	return SameRead(in, shown, inexact, written)
}
