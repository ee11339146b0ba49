package show

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"unicode"

	"gopkg.in/yaml.v3"
)

// TestYAML: a reader of YAML gets what a reader of JSON does, and a terminal nothing to obey.
func TestYAML(t *testing.T) {
	for _, text := range []string{
		`{}`, `[]`, `null`, `true`, `"x"`, `{"a":{},"b":[]}`, `{"a":[{"b":1,"c":[[1,2],[]]},"x"],"d":{"e":{"f":null}}}`,
		`{"yes":"no","n":"null","1":"1","":"","a b":"- x","c: d":"#","~":"~","0x1":"1e3",".inf":".nan","=":"<<"}`,
		`{"e":"\u001b[31m\u009b\u202e\u2028\u0000\ud83e\udd16\udb40\udc01 \n\t\"\\/ é 日本語"}`, `["2026-01-01","12:30:45","0o7","_","-","?","[","{","%a","@a"]`,
	} {
		got, err := AppendYAML(nil, []byte(text))
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if bad := strings.IndexFunc(string(got), func(r rune) bool { return r != '\n' && !unicode.IsPrint(r) }); bad >= 0 {
			t.Errorf("%s: %q", text, got)
		}
		var want, have any
		if err := json.Unmarshal([]byte(text), &want); err != nil {
			t.Fatal(err)
		}
		if err := yaml.Unmarshal(got, &have); err != nil {
			t.Errorf("%s: %v in\n%s", text, err, got)
		}
		again, err := json.Marshal(have)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		var back any
		if err := json.Unmarshal(again, &back); err != nil || !reflect.DeepEqual(back, want) {
			t.Errorf("%s is read as %s from\n%s", text, again, got)
		}
	}
	got, err := AppendYAML(nil, []byte(`[{"n":9007199254740993,"x":1.50,"list":[1]},{}]`))
	if want := "- \"n\": 9007199254740993\n  x: 1.50\n  list:\n    - 1\n- {}\n"; err != nil || string(got) != want {
		t.Errorf("%q, %v", got, err)
	}
	if _, err := AppendYAML(nil, []byte(`{"a":`)); err == nil {
		t.Error("half a value is no error")
	}
}
