package mutant

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// edited are mistakes in the fixture, each as pairs of old and new text: in functions of
// every shape.
var edited = []struct {
	name  string
	texts []string
}{
	{"plain", []string{"return n < limit", "return n <= limit"}},
	{"the-same-function-again", []string{"return n < limit", "return n > limit"}},
	{"blank-parameter-and-variadic", []string{"if i < n {", "if i <= n {"}},
	{"generic", []string{"return list[i]\n", "return list[len(list)-1-i]\n"}},
	{"method-of-a-generic-type", []string{"for _, x := range list {", "for _, x := range list[1:] {"}},
	{"named-results", []string{"		return 0, err\n", "		err = nil\n		return\n"}},
	{"no-names", []string{`{ seen += "!" }`, `{ seen += "?" }`}},
	{"a-helper-and-an-import", []string{"strings.ToUpper(w)", "quoted(w)", "\nvar seen string", "\nfunc quoted(s string) string { return strconv.Quote(s) }\n\nvar seen string", `	"strings"` + "\n", `	"strconv"` + "\n" + `	"strings"` + "\n", "words(_ string, n int", "words(_ string, n   int", "	out := \"\"\n", "	out := strings.TrimSpace(\"\")\n"}},
	{"a-constant", []string{"const limit = 2", "const limit = 3"}},
	{"a-signature", []string{"func class(n int) string", "func class(n int) (s string)"}},
}

// TestVariantsSideBySide: in one program each does what it does in a program of its own.
func TestVariantsSideBySide(t *testing.T) {
	file := fixture + "/main.go"
	raw, err := os.ReadFile(filepath.Join(root(t), file))
	if err != nil {
		t.Fatal(err)
	}
	var variants []Variant
	for _, e := range edited {
		text := string(raw)
		for i := 0; i < len(e.texts); i += 2 {
			if strings.Count(text, e.texts[i]) != 1 {
				t.Fatalf("%s: %q is there %d times", e.name, e.texts[i], strings.Count(text, e.texts[i]))
			}
			text = strings.Replace(text, e.texts[i], e.texts[i+1], 1)
		}
		variants = append(variants, Variant{e.name, map[string]string{file: text}})
	}
	o, alone, err := Combine(root(t), variants)
	if err != nil {
		t.Fatal(err)
	}
	if len(alone) != 2 || alone["a-constant"] == "" || alone["a-signature"] == "" {
		t.Errorf("these stand alone: %v", alone)
	}
	program := built(t, o)
	plain := run(t, built(t, Overlay{}), 0)
	if off := run(t, program, 0); off != plain {
		t.Errorf("with none on it prints\n%swant\n%s", off, plain)
	}
	for i, v := range variants {
		if alone[v.Name] != "" {
			continue
		}
		want := run(t, built(t, Overlay(v.Files)), 0)
		if got := run(t, program, uint32(i+1)); got != want || want == plain {
			t.Errorf("%s prints\n%swant\n%s", v.Name, got, want)
		}
	}
}
