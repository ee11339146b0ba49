package model

import (
	"testing"

	"statehouse.dev/statehouse/history"
)

func TestSameRead(t *testing.T) {
	const stored = `{"a":[9007199254740993,1.5],"b":"x"}`
	for _, c := range []struct {
		shown   string
		doubles bool
		inexact bool
		written string
		right   bool
	}{
		{stored, false, false, stored, true},
		{`{"b":"x","a":[9007199254740993,15e-1]}`, false, false, stored, true},
		{`{"a":[9007199254740992,1.5],"b":"x"}`, false, false, stored, false},
		{`{"a":[9007199254740992,1.5],"b":"x"}`, false, true, stored, false},
		{`{"a":[9007199254740992,1.5],"b":"x"}`, true, true, stored, true},
		{`{"a":[9007199254740992,1.5],"b":"x"}`, true, false, stored, false}, // changed, and not told so
		{`{"a":[9007199254740994,1.5],"b":"x"}`, true, true, stored, false},  // not the nearest
		{`{"a":[9007199254740992,1.6],"b":"x"}`, true, true, stored, false},
		{`{"a":[9007199254740992,1.5],"b":"y"}`, true, true, stored, false},
		{`{"n":1}`, true, true, `{"n":1.0}`, false}, // told to be what it is not
		{`{"n":1}`, true, false, `{"n":1.0}`, true},
		{`{"n":0.1}`, true, false, `{"n":0.10000000000000001}`, true},
		{`{"n":1.1805916207174113e+21}`, true, false, `{"n":1180591620717411303424}`, true},
		{`{"n":1e+23}`, true, false, `{"n":1e23}`, true},
		{`{"n":0}`, true, true, `{"n":1e-400}`, true},
		{"digest:1:1", true, true, "digest:2:1", true}, // redacted: nobody can tell
		{"digest:1:1", false, false, "digest:2:1", false},
		{"", true, true, "", false},
		{"", true, false, "", true},
	} {
		in := history.Input{Doubles: c.doubles}
		if got := SameRead(&in, c.shown, c.inexact, c.written); got != c.right {
			t.Errorf("%s for %s, doubles %v, inexact %v: %v", c.shown, c.written, c.doubles, c.inexact, got)
		}
	}
}
