package linearizability

import "testing"

func TestShownAs(t *testing.T) {
	const stored = `{"a":[9007199254740993,1.5],"b":"x"}`
	for _, c := range []struct {
		got     string
		inexact bool
		want    string
		right   bool
	}{
		{stored, false, stored, true},
		{stored, true, stored, false}, // told to be what it is not
		{"", true, "", false},
		{`{"a":[9007199254740992,1.5],"b":"x"}`, true, stored, true},
		{`{"b":"x","a":[9007199254740992,15e-1]}`, true, stored, true},
		{`{"a":[9007199254740992,1.5],"b":"x"}`, false, stored, false}, // changed, and not told so
		{`{"a":[9007199254740994,1.5],"b":"x"}`, true, stored, false},  // not the nearest
		{`{"a":[9007199254740992,1.6],"b":"x"}`, true, stored, false},
		{`{"a":[9007199254740992,1.5],"b":"y"}`, true, stored, false},
		{`{"n":0}`, true, `{"n":1e-400}`, true},
		{"hmac:one", true, "hmac:two", true}, // redacted: nobody can tell
		{"hmac:one", false, "hmac:two", false},
		{`{"a":1}`, true, "", false},
	} {
		if got := shownAs(c.got, c.inexact, c.want); got != c.right {
			t.Errorf("%s for %s, inexact %v: %v", c.got, c.want, c.inexact, got)
		}
	}
}
