package redact

import (
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// names draws names that have much in common, of few letters, and some of any bytes.
var someNames = rapid.SliceOfN(rapid.OneOf(
	rapid.StringOfN(rapid.SampledFrom([]rune("ab/")), 0, 6, -1),
	rapid.StringN(0, 3, -1),
	rapid.Map(rapid.SliceOfN(rapid.Byte(), 0, 2), func(b []byte) string { return string(b) }),
), 0, 60)

// TestPseudonyms: equality, order and the prefix relation are kept, both ways, for
// every pair.
func TestPseudonyms(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		names := someNames.Draw(t, "names")
		holdsPseudonyms(t, names)
	})
}

// More children than one digit counts, and than two do.
func TestPseudonymsOfManyChildren(t *testing.T) {
	var names []string
	for i := range 256 {
		names = append(names, string([]byte{byte(i)}), string([]byte{'x', byte(i), 'y'}))
	}
	holdsPseudonyms(t, names)
	for n, want := range map[int]int{0: 1, 1: 1, 36: 1, 37: 2, 36 * 36: 2, 36*36 + 1: 3} { // any order
		if got := digits(n); got != want {
			t.Errorf("%d numbers take %d digits, not %d", n, got, want)
		}
	}
}

// A name of many that are prefixes of each other is no deep recursion.
func TestPseudonymsOfDeepNames(t *testing.T) {
	var names []string
	for i := range 5000 {
		names = append(names, strings.Repeat("a", i))
	}
	p := NewPseudonyms(names)
	if got, _ := p.Of(names[4999]); len(got) != 4999 {
		t.Errorf("%d bytes", len(got))
	}
}

func holdsPseudonyms(t rapid.TB, names []string) {
	p := NewPseudonyms(names)
	if got, known := p.Of(""); !known || got != "" {
		t.Fatalf("the empty string becomes %q", got)
	}
	names = append(names, "")
	of := make(map[string]string)
	for _, a := range names {
		pseudonym, known := p.Of(a)
		if !known {
			t.Fatalf("%q has none", a)
		}
		of[a] = pseudonym
	}
	for _, a := range names {
		for _, b := range names {
			x, y := of[a], of[b]
			if strings.Compare(a, b) != strings.Compare(x, y) {
				t.Fatalf("%q and %q become %q and %q: another order", a, b, x, y)
			}
			if strings.HasPrefix(b, a) != strings.HasPrefix(y, x) {
				t.Fatalf("%q and %q become %q and %q: which is a prefix of which?", a, b, x, y)
			}
		}
	}
	if _, known := p.Of("a name that is not there"); known {
		t.Fatal("there is a pseudonym of what was not given")
	}
}

// What a pseudonym is depends on the set of names only, not on how it was given.
func TestPseudonymsAreAFunctionOfTheSet(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		names := someNames.Draw(t, "names")
		shuffled := append(rapid.Permutation(names).Draw(t, "shuffled"), names...)
		p, q := NewPseudonyms(names), NewPseudonyms(shuffled)
		for _, a := range names {
			x, _ := p.Of(a)
			if y, _ := q.Of(a); x != y {
				t.Fatalf("%q is %q and %q", a, x, y)
			}
		}
	})
}
