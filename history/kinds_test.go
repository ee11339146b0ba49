package history

import (
	"slices"
	"testing"
)

// TestKinds: each has a line of its own and a word of its own, which starts with what it is
// about, and stands for it alone.
func TestKinds(t *testing.T) {
	for _, kind := range Kinds() {
		info := kind.Info()
		if back, known := KindOfWord(info.Word); info.Kind != kind || !known || back != kind {
			t.Errorf("%q has the word %q, which stands for %q", kind, info.Word, back)
		}
		if n := len(info.Args); n == 0 || slices.Contains(info.Args[:n-1], OptionsArg) {
			t.Errorf("%q has the arguments %v: options come last", kind, info.Args)
		}
		if slices.Contains(info.Parts, EventsPart) != info.Stream {
			t.Errorf("%q: streams have events, and nothing else has", kind)
		}
	}
	if n := len(Kinds()); len(infoOf) != n || len(kindOfWord) != n {
		t.Errorf("%d kinds have %d names and %d words", n, len(infoOf), len(kindOfWord))
	}
	if (Kind("none").Info().Kind) != "" {
		t.Error("a kind that there is not has a line")
	}
}
