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
