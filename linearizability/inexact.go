package linearizability

import (
	"encoding/json"
	"strings"
)

// shownAs reports whether a reader may have been shown want as got. A reader of
// google.protobuf.Struct gets doubles: where it is told that not all numbers are exact,
// each may be the nearest one. What has become a digest can no longer be rounded, and is
// believed.
func shownAs(got string, inexact bool, want string) bool {
	if same := sameValue(got, want); !inexact || same {
		return same && !inexact
	}
	if !strings.HasPrefix(want, "{") {
		return want != ""
	}
	a, okA := withDoubles(got)
	b, okB := withDoubles(want)
	return okA && okB && a == b
}

// withDoubles is JSON text with all its numbers rounded.
func withDoubles(text string) (string, bool) {
	var v any
	if json.Unmarshal([]byte(text), &v) != nil {
		return "", false
	}
	out, err := json.Marshal(v)
	return string(out), err == nil
}
