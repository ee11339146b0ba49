package fuzz

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"statehouse.dev/statehouse/history"
	"statehouse.dev/statehouse/linearizability/verdict"
	"statehouse.dev/statehouse/sim"
	"statehouse.dev/statehouse/sim/scenario"
	"statehouse.dev/statehouse/sim/simtest"
	"statehouse.dev/statehouse/sim/step"
)

// lies end a run with an answer that is forged in the daemon's name, by what is forged.
var lies = map[string][]string{
	"a transact": {"start", `x1 #9001 transact t9001 put zz/k 1 &`, "forge #9001"},
}

// liedTo is a made-up run with a lie at its end.
func liedTo(t *testing.T, seed uint64, lie string) *sim.Result {
	t.Helper()
	r := Generate(seed, sim.Options{Class: sim.Recoverable})
	w := sim.NewWorld(seed, r.Config, sim.Options{Class: r.Class})
	for _, st := range r.Steps {
		_ = w.Apply(st) // each fitted before
	}
	for _, text := range append([]string{"heal", "capacity 0"}, lies[lie]...) {
		st, err := step.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		_ = w.Apply(st) // a start does not fit where the daemon runs
	}
	return w.Finish()
}

// TestShrink: runs with a lie in them become scenarios of few steps in which the same check
// fails, the same ones each time, however slow the machine is.
func TestShrink(t *testing.T) {
	simtest.Single(t)
	for lie := range lies { // independent of each other: any order
		for seed := uint64(1); seed <= 3; seed++ {
			r := liedTo(t, seed, lie)
			if !r.Failed() {
				t.Errorf("seed %d: the forged answer to %s is not seen", seed, lie)
				continue
			}
			v := r.Violations[0]
			small := func() *scenario.Scenario {
				s := Shrinker{Seed: seed, Config: r.Config, Class: r.Class, Breach: scenario.Breach{Guarantee: v.Guarantee, Check: v.Check}, Trials: 600}
				got, err := s.Shrink(r.Steps)
				if err != nil {
					t.Fatalf("seed %d, %s: %v", seed, lie, err)
				}
				return got
			}
			got := small()
			if len(got.Steps) > enough {
				t.Errorf("seed %d, %s (%s %s): %d steps are left of %d: %v", seed, lie, v.Guarantee, v.Check, len(got.Steps), len(r.Steps), got.Steps)
			}
			if again, err := got.Run(sim.Options{}); err != nil || !slices.ContainsFunc(again.Violations, func(x verdict.Violation) bool { return x.Guarantee == v.Guarantee }) {
				t.Errorf("seed %d, %s: the scenario does not break %s (%v)", seed, lie, v.Guarantee, err)
			}
			if seed == 1 && fmt.Sprint(small()) != fmt.Sprint(got) {
				t.Errorf("%s: shrunk again, another scenario is left", lie)
			}
		}
	}
}

// TestLessBreaksNothing leaves things out of good runs, as shrinking does: a run of the code as
// it is keeps every guarantee whatever it lost, or shrinking could end at a false alarm.
func TestLessBreaksNothing(t *testing.T) {
	simtest.Single(t)
	for seed := uint64(1); seed <= 10; seed++ {
		r := Generate(seed, sim.Options{})
		random := rand.New(rand.NewPCG(seed, 0))
		for range 4 {
			share := random.Float64()
			steps := slices.DeleteFunc(slices.Clone(r.Steps), func(step.Step) bool { return random.Float64() < share*share })
			renumber(steps, r.History.Log)
			s := Shrinker{Seed: seed, Class: r.Class}
			if _, less := s.run(steps, r.Config); less.Failed() {
				t.Errorf("seed %d, of which %d of %d steps are left: %+v", seed, len(steps), len(r.Steps), less.Violations[0])
			}
		}
	}
}

// TestRenumber: what names a commit or a version goes on naming the same one.
func TestRenumber(t *testing.T) {
	name := history.Name{Namespace: "default", Agent: "a", Key: "k"}
	log := []history.Event{
		{CommitTS: 1, TxnID: "t1", CommitTime: 100, Ops: []history.EventOp{{Name: name, Version: 1}}},
		{CommitTS: 2, TxnID: "t2", CommitTime: 200},
		{CommitTS: 3, TxnID: "t3", CommitTime: 300, Ops: []history.EventOp{{Name: name, Version: 2}}},
	}
	number := func(n uint64) *uint64 { return &n }
	get := step.Step{Verb: step.Call, ID: 9, Kind: history.Get, In: history.Input{Namespace: "default", Agent: "a", Key: "k", At: number(3), AtTime: 301, KeyVersion: 2, Expected: number(2)}}
	steps := []step.Step{{Verb: step.Call, ID: 3, Kind: history.Transact, In: history.Input{TxnID: "t3", Keys: []history.KeyCondition{{Name: name, Expected: 1}}}}, get}
	renumber(steps, log)
	in := &steps[1].In
	if *in.At != 1 || in.KeyVersion != 1 || *in.Expected != 1 || steps[0].In.Keys[0].Expected != 0 || *get.In.At != 3 {
		t.Errorf("at %d, version %d, expected %d and %d", *in.At, in.KeyVersion, *in.Expected, steps[0].In.Keys[0].Expected)
	}
	if after := []history.Event{{CommitTS: 1, TxnID: "t3", CommitTime: 130}}; !retime(steps, log, after) || in.AtTime != 131 {
		t.Errorf("time %d", in.AtTime)
	}
}
