package sim

import (
	"bytes"
	"reflect"
	"runtime"
	"strings"
	"testing"
)

// single gives a test the one thread that worlds are made for.
func single(t *testing.T) {
	t.Helper()
	if underRace {
		t.Skip("worlds are single-threaded; make sim runs this")
	}
	before := runtime.GOMAXPROCS(1)
	t.Cleanup(func() { runtime.GOMAXPROCS(before) })
}

// seeds that a test of everyday goes through.
const seeds = 40

// TestPromises makes up runs and judges them.
func TestPromises(t *testing.T) {
	single(t)
	vacuous := 0
	for seed := range uint64(seeds) {
		r := Generate(seed+1, Options{})
		for _, v := range r.Violations {
			t.Errorf("seed %d (%s): %s %s: %s", seed+1, r.Class, v.Guarantee, v.Check, v.Sentence)
		}
		if r.Vacuous() {
			vacuous++
		}
	}
	if vacuous > seeds/4 {
		t.Errorf("%d of %d runs did next to nothing", vacuous, seeds)
	}
}

// TestNotation prints every step of some runs, parses it, and gets the same step.
func TestNotation(t *testing.T) {
	single(t)
	for seed := range uint64(20) {
		for _, s := range Generate(seed+1, Options{}).Steps {
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
	single(t)
	for seed := range uint64(20) {
		r := Generate(seed+1, Options{})
		var text bytes.Buffer
		if err := r.Story("x", "x").Write(&text); err != nil {
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

// TestDisturbed takes the processor from goroutines in the middle of what they do: the
// runs are the same.
func TestDisturbed(t *testing.T) {
	single(t)
	for seed := range uint64(seeds) {
		calm, disturbed := Generate(seed+1, Options{}), Generate(seed+1, Options{Disturb: seed + 1})
		for i := range calm.Digests {
			if i >= len(disturbed.Digests) || calm.Digests[i] != disturbed.Digests[i] {
				t.Fatalf("seed %d: step %d (%s) went otherwise when disturbed", seed+1, i+1, calm.Steps[min(i, len(calm.Steps)-1)])
			}
		}
		if calm.Sum != disturbed.Sum {
			t.Fatalf("seed %d: the steps went alike, the log or the verdict did not", seed+1)
		}
	}
}

// TestScenarioIsStrict: what a story must not say.
func TestScenarioIsStrict(t *testing.T) {
	good := "scenario: a\ntitle: b\nclass: recoverable\nexpect: ok\nsteps: [start]\n"
	if _, err := ReadScenario(strings.NewReader(good)); err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{
		good + "colour: red\n",
		strings.Replace(good, "recoverable", "lucky", 1),
		strings.Replace(good, "[start]", "[]", 1),
		strings.Replace(good, "[start]", "[jump]", 1),
		strings.Replace(good, "[start]", "[c1 get nothing]", 1),
		strings.Replace(good, "expect: ok", "expect: violation", 1),
		good + "---\n" + good,
	} {
		if _, err := ReadScenario(strings.NewReader(bad)); err == nil {
			t.Errorf("this is taken for a scenario:\n%s", bad)
		}
	}
}
