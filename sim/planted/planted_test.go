package planted

import (
	"go/parser"
	"go/token"
	"slices"
	"testing"
)

// TestBugsFit holds every bug to the code as it is: its places are there, once.
func TestBugsFit(t *testing.T) {
	root, err := Root(t.Context(), ".")
	if err != nil {
		t.Fatal(err)
	}
	seen := make(map[string]bool)
	for _, b := range All() {
		if seen[b.Name] {
			t.Errorf("two bugs are called %s", b.Name)
		}
		seen[b.Name] = true
		if _, err := b.Apply(root); err != nil {
			t.Error(err)
		}
	}
}

// TestBugsStandSideBySide: few need a program of their own, since each costs a build.
func TestBugsStandSideBySide(t *testing.T) {
	root, err := Root(t.Context(), ".")
	if err != nil {
		t.Fatal(err)
	}
	all := slices.DeleteFunc(All(), func(b Bug) bool { return b.By == ByPython || b.By == ByTest })
	o, alone, err := Combine(root, all)
	if err != nil {
		t.Fatal(err)
	}
	for name, why := range alone { // printed: order cannot matter
		t.Logf("%s stands alone: %s", name, why)
	}
	if len(alone) > len(all)/20 {
		t.Errorf("%d of %d bugs need a program of their own", len(alone), len(all))
	}
	for path, text := range o { // each on its own: order cannot matter
		if _, err := parser.ParseFile(token.NewFileSet(), path, text, 0); err != nil {
			t.Error(err)
		}
	}
}
