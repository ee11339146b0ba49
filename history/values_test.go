package history

import (
	"strings"
	"testing"
)

// FuzzCanonical: jsontext makes of a value what encoding/json makes of it. Digests are of that.
func FuzzCanonical(f *testing.F) {
	for _, text := range []string{
		`{}`, `[]`, `null`, `true`, `"a"`, `""`, `{"a":[1,-0,0.50,1e+9,-2.5E-3],"b":{"":null}}`, "\"日本語\x7f\"", `{"b":1,"a":2,"B":3}`, `{"a":1,"a":2}`, `{ }`, `[1, 2]`, ` 1`, "1\n",
		`"a\n\b\f\r\t\u0001\/"`, `"<"`, `"&"`, "\"\u2028\"", "\"\u2029\"", "\"\xff\"", `"\ud800"`, `"\ud83d\ude00"`, "{\"\U0001f600\":1,\"\uffff\":2}", `{"\ud83d\ude00":1,"\uffff":2}`, `"\ufffd"`,
		`"`, `{`, `[1`, `{"a":1,}`, `01`, `-`, `1.`, `nul`, `nullx`, ``, `1 2`, `{"a":1}x`, "[\"a\nb\"]", `digest:00:1`, strings.Repeat("[", 20_000),
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got, want := Canonical(text), rewritten(text)
		if got != want {
			t.Errorf("%q becomes %q, and by encoding/json %q", text, got, want)
		}
		if again := Canonical(got); again != got {
			t.Errorf("%q becomes %q, and that %q", text, got, again)
		}
	})
}

// TestNormal: spellings of one value have one form, and other values another.
func TestNormal(t *testing.T) {
	for text, want := range map[string]string{ // any order
		"1": "1", "1.0": "1", "10e-1": "1", "1E0": "1", "-0": "0", "0.0e7": "0", "1200": "1200", "1.2e3": "1200", "0.1": "1e-1", "1.10": "11e-1", "-5e-3": "-5e-3", "1e+2": "100", "-12": "-12",
		"9007199254740993": "9007199254740993", "9007199254740993.0": "9007199254740993", "-9223372036854775808": "-9223372036854775808", "9.223372036854776e18": "9223372036854776000",
		"0.10000000000000001": "10000000000000001e-17", "1e999999999": "1e999999999", "10e-100000000000000000001": "1e-100000000000000000000",
		"1e309": "1" + strings.Repeat("0", 309), "1e310": "1e310", "1" + strings.Repeat("0", 310): "1e310", "12" + strings.Repeat("0", 308) + ".0": "12" + strings.Repeat("0", 308),
		` {"b":[1.0, {"z":1,"a":2.50}],"a":"1.0"} `: `{"a":"1.0","b":[1,{"a":25e-1,"z":1}]}`,
		`{"a\"1.0":1.0,"b":"\\","c":2.0}`:           `{"a\"1.0":1,"b":"\\","c":2}`,
		`{"\u00e9":"\/"}`:                           `{"é":"/"}`,
		"digest:01.0:1":                             "digest:01.0:1", "": "", "nonsense 1.0": "nonsense 1.0",
	} {
		if got := Normal(text); got != want {
			t.Errorf("%s becomes %s, want %s", text, got, want)
		}
		if got := Normal(Normal(text)); got != want {
			t.Errorf("%s becomes %s, and that %s", text, want, got)
		}
	}
}

func TestRounded(t *testing.T) {
	same := [][2]string{
		{`{"n":9007199254740993}`, `{"n":9007199254740992}`}, {`{"n":9.223372036854776e18}`, `{"n":9223372036854775808}`}, {`[0.1]`, `[0.1000000000000000055511151231257827021181583404541015625]`},
		{`[1e-400]`, `[0]`}, {`[1e400]`, `[10e399]`},
	}
	for _, c := range same {
		if Rounded(c[0]) != Rounded(c[1]) {
			t.Errorf("%s and %s: %s and %s", c[0], c[1], Rounded(c[0]), Rounded(c[1]))
		}
		if c[0] != `[1e400]` && Normal(c[0]) == Normal(c[1]) {
			t.Errorf("%s and %s are one value", c[0], c[1])
		}
	}
	if Rounded(`[9007199254740992]`) == Rounded(`[9007199254740994]`) {
		t.Error("two doubles are one")
	}
}
