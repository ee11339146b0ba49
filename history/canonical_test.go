package history

import (
	"encoding/json"
	"strings"
	"testing"
)

// FuzzCanonical: what is taken for canonical is what comes of taking it apart and
// together again.
func FuzzCanonical(f *testing.F) {
	for text, is := range map[string]bool{ // independent of each other: any order
		`{}`: true, `[]`: true, `null`: true, `true`: true, `false`: true, `"a"`: true, `""`: true, `{"a":[1,-0,0.50,1e+9,-2.5E-3],"b":{"":null}}`: true, "\"日本語\x7f\"": true,
		`{"":0,"a":1}`: true, `{"a":1,"B":2}`: false, `{"a":1,"a":2}`: false, `{"":1,"":2}`: false, `{ }`: false, `[1, 2]`: false, ` 1`: false, "1\n": false,
		`"a\n"`: false, `"<"`: false, `"&"`: false, "\"\u2028\"": false, "\"\u2029\"": false, "\"\u2027\"": true, "\"\xff\"": false, `"`: false, `{`: false, `[`: false, `[1`: false, `{"a"`: false, `{"a":`: false, `{"a":1,`: false,
		`{"a":1,}`: false, `[1,]`: false, `01`: false, `-`: false, `1.`: false, `1e`: false, `.5`: false, `+1`: false, `nul`: false, ``: false, `1 2`: false, `{"a":1}x`: false, "[\"a\nb\"]": false, `digest:00:1`: false,
		strings.Repeat("[", 99) + strings.Repeat("]", 99): true, strings.Repeat("[", 101) + strings.Repeat("]", 101): false,
	} {
		if IsCanonical(text) != is {
			f.Errorf("%.60q: is it canonical? want %v", text, is)
		}
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if !IsCanonical(text) {
			return
		}
		if !json.Valid([]byte(text)) {
			t.Errorf("%q is no JSON", text)
		}
		if again := rewritten(text); again != text {
			t.Errorf("%q becomes %q", text, again)
		}
	})
}
