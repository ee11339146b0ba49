package sim

import (
	"bytes"
	"reflect"
	"testing"
)

// TestNotation prints every step of some runs, parses it, and gets the same step.
func TestNotation(t *testing.T) {
	for seed := range uint64(20) {
		r := Generate(seed+1, Options{})
		for _, s := range r.Steps {
			got, err := ParseStep(s.String())
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(got, s) {
				t.Fatalf("%s\nwas %+v\nis  %+v", s, s, got)
			}
		}
	}
}

// TestReplay does the steps of a generated run again, from their text: it is the
// same run.
func TestReplay(t *testing.T) {
	for seed := range uint64(20) {
		r := Generate(seed+1, Options{})
		story := &Scenario{ID: "x", Title: "x", Class: r.Class, Expect: ExpectOK, Seed: seed + 1, Config: r.Config, Steps: r.Steps}
		var text bytes.Buffer
		if err := story.Write(&text); err != nil {
			t.Fatal(err)
		}
		read, err := ReadScenario(&text)
		if err != nil {
			t.Fatal(err)
		}
		again, err := read.Run(Options{})
		if err != nil {
			t.Fatal(err)
		}
		for i := range r.Digests {
			if i >= len(again.Digests) || r.Digests[i] != again.Digests[i] {
				t.Fatalf("seed %d: step %d (%s) of %d went otherwise the second time", seed+1, i+1, r.Steps[min(i, len(r.Steps)-1)], len(r.Digests))
			}
		}
		if again.Sum != r.Sum {
			t.Fatalf("seed %d: the steps went alike, the log or the verdict did not", seed+1)
		}
	}
}
