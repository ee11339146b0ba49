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

// liedTo is a made-up run in which the last reply but some to a call of that kind that can be
// forged is; nil: there is none.
func liedTo(seed uint64, kind history.Kind) *sim.Result {
	r := Generate(seed, sim.Options{})
	calls := callsIn(r.Steps)
	for i := len(r.Steps) - 1; i > len(r.Steps)/2; i-- {
		st := &r.Steps[i]
		if st.Verb != step.Reply || calls[st.Of] == nil || calls[st.Of].Kind != kind {
			continue
		}
		w := sim.NewWorld(seed, r.Config, sim.Options{Class: r.Class})
		for j, st := range r.Steps {
			if j == i {
				st.Verb = step.Forge
			}
			_ = w.Apply(st) // what follows a lie may not fit
		}
		if lied := w.Finish(); lied.Failed() {
			return lied
		}
	}
	return nil
}

// TestShrink: runs with a lie in them become scenarios of few steps in which the same check
// fails, the same ones each time, however slow the machine is.
func TestShrink(t *testing.T) {
	simtest.Single(t)
	shrunk := 0
	for _, kind := range []history.Kind{history.Get, history.Transact, history.Replay} {
		for seed := uint64(1); seed <= 4; seed++ {
			r := liedTo(seed, kind)
			if r == nil {
				continue
			}
			v := r.Violations[0]
			small := func() *scenario.Scenario {
				s := Shrinker{Seed: seed, Config: r.Config, Class: r.Class, Breach: scenario.Breach{Guarantee: v.Guarantee, Check: v.Check}, Trials: 1500}
				got, err := s.Shrink(r.Steps)
				if err != nil {
					t.Fatalf("seed %d, a forged %s: %v", seed, kind, err)
				}
				return got
			}
			got := small()
			shrunk++
			if len(got.Steps) > enough {
				t.Errorf("seed %d, a forged %s (%s %s): %d steps are left of %d: %v", seed, kind, v.Guarantee, v.Check, len(got.Steps), len(r.Steps), got.Steps)
			}
			again, err := got.Run(sim.Options{})
			if err != nil {
				t.Fatal(err)
			}
			if !slices.ContainsFunc(again.Violations, func(x verdict.Violation) bool { return x.Guarantee == v.Guarantee }) {
				t.Errorf("seed %d, a forged %s: the scenario breaks %v, not %s", seed, kind, again.Violations, v.Guarantee)
			}
			if seed == 1 && fmt.Sprint(small()) != fmt.Sprint(got) {
				t.Errorf("a forged %s: shrunk again, another scenario is left", kind)
			}
		}
	}
	if shrunk < 6 {
		t.Errorf("only %d runs were shrunk", shrunk)
	}
}

// TestLessBreaksNothing leaves things out of good runs, as shrinking does: a run of the code as
// it is keeps every guarantee whatever it lost, or shrinking could end at a false alarm.
func TestLessBreaksNothing(t *testing.T) {
	simtest.Single(t)
	for seed := uint64(1); seed <= 15; seed++ {
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
