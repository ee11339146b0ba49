package planted

import (
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
