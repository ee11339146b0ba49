package page

import (
	"testing"

	"pgregory.net/rapid"

	"statehouse.dev/statehouse/engine"
)

func TestPageTokenRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := Token{engine.CommitTS(rapid.Uint64().Draw(t, "ts")), rapid.String().Draw(t, "last"), rapid.StringMatching("[0-9a-f]{12}").Draw(t, "epoch")}
		scope := rapid.SliceOfN(rapid.StringN(0, 4, -1), 0, 5).Draw(t, "scope")
		s := want.Encode(scope...)
		got, at, err := Parse(s, engine.At{}, scope...)
		if err != nil || got != want || at.CommitTS == nil || *at.CommitTS != want.TS || at.Time != nil {
			t.Fatalf("%+v became %+v, at %v: %v", want, got, at, err)
		}
		if ts, known := Point(s); ts != want.TS || !known {
			t.Fatalf("%+v goes on at %d, %v", want, ts, known)
		}
		// Any character changed, and it is another request's or nobody's.
		i := rapid.IntRange(0, len(s)-1).Draw(t, "at")
		c := rapid.SampledFrom([]byte("ABCxyz019-_=+ \x00")).Draw(t, "character")
		changed := s[:i] + string(c) + s[i+1:]
		if other, _, err := Parse(changed, engine.At{}, scope...); err == nil && other == want && changed != s && i < len(s)-1 {
			t.Fatalf("%q is taken for %q", changed, s)
		}
	})
}
