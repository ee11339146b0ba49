package mutant

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
)

func TestWilson(t *testing.T) {
	for _, c := range []struct {
		n, of     int
		low, high float64
	}{{0, 0, 0, 1}, {0, 10, 0, 0.278}, {10, 10, 0.722, 1}, {81, 263, 0.255, 0.366}, {200, 400, 0.451, 0.549}} {
		low, high := Wilson(c.n, c.of)
		if math.Abs(low-c.low) > 0.001 || math.Abs(high-c.high) > 0.001 {
			t.Errorf("%d of %d: %.3f to %.3f, want %.3f to %.3f", c.n, c.of, low, high, c.low, c.high)
		}
	}
}

// TestSampleStays: a mutant more or less changes one of a sample, not all.
func TestSampleStays(t *testing.T) {
	var all []Mutant
	for i := range 1000 {
		all = append(all, Mutant{ID: fmt.Sprint("m", i), Number: uint32(i + 1)})
	}
	drawn := Sample(all, 100, 1)
	again := Sample(slices.Delete(slices.Clone(all), 300, 310), 100, 1)
	same := 0
	for _, m := range drawn {
		if slices.ContainsFunc(again, func(o Mutant) bool { return o.ID == m.ID }) {
			same++
		}
	}
	if same < 95 {
		t.Errorf("%d of 100 are drawn again", same)
	}
	if slices.Equal(drawn, Sample(all, 100, 2)) {
		t.Error("the seed changes nothing")
	}
	middle := 0
	for _, m := range drawn {
		middle += int(m.Number)
	}
	if mean := middle / len(drawn); mean < 400 || mean > 600 {
		t.Errorf("the mean of the numbers is %d: it is not drawn evenly", mean)
	}
}

func TestFixedListIsReadAsWritten(t *testing.T) {
	results := []Result{
		{Mutant: Mutant{ID: "a", Package: "engine", Rule: "drop"}, By: map[Tool]string{Fuzz: "G3 lost-update"}, Seeds: 2},
		{Mutant: Mutant{ID: "b", Package: "engine", Rule: "drop"}, By: map[Tool]string{Fuzz: "G3 lost-update"}, Seeds: 1},
		{Mutant: Mutant{ID: "c", Package: "client", Rule: "drop"}, By: map[Tool]string{Fuzz: "G3 lost-update", Scenarios: "G3 x"}, Seeds: 90, Scenario: "s"},
		{Mutant: Mutant{ID: "d", Package: "client", Rule: "swap"}, By: map[Tool]string{Fuzz: Hang}, Seeds: 1},
		{Mutant: Mutant{ID: "e", Package: "client", Rule: "swap"}},
	}
	var text strings.Builder
	for _, k := range Cheapest(results, 2) {
		fmt.Fprintf(&text, "# note\n\n%s\n", &k)
	}
	list, err := ReadKills(strings.NewReader(text.String()))
	if err != nil {
		t.Fatal(err)
	}
	want := []Kill{{ID: "b", By: Fuzz, Seeds: 1}, {ID: "c", By: Scenarios, Name: "s"}}
	if !slices.Equal(list, want) {
		t.Errorf("%v, want %v", list, want)
	}
	for _, bad := range []string{"a fuzz", "a fuzz none", "a fuzz 0", "a luck 3"} {
		if _, err := ReadKills(strings.NewReader(bad)); err == nil {
			t.Errorf("%q is read", bad)
		}
	}
	if _, err := ReadEquivalents(strings.NewReader("a \n")); err == nil {
		t.Error("a mutant is excluded without a reason")
	}
}
