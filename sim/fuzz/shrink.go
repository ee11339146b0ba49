package fuzz

import (
	"fmt"
	"hash/fnv"
	"slices"
	"time"

	"statehouse.dev/statehouse/history"
	"statehouse.dev/statehouse/linearizability/verdict"
	"statehouse.dev/statehouse/sim"
	"statehouse.dev/statehouse/sim/scenario"
	"statehouse.dev/statehouse/sim/step"
)

// Shrinker makes a failing run small enough to be read: fewer steps, then simpler ones, as
// long as the same check fails (delta debugging, Zeller and Hildebrandt 2002). Where that
// leaves much, another check of the same guarantee will do.
//
// A step that lost those before it does not fit, does nothing, and goes with them: so a
// client can be left out by leaving out its requests.
type Shrinker struct {
	Seed     uint64
	Config   sim.Config
	Class    sim.Class
	Breach   scenario.Breach
	Trials   int              // stop after so many, with what there is; 0: no limit. The result is the same on every machine
	Deadline time.Time        // likewise, but it is not; zero: none
	Now      func() time.Time // for Deadline
	Progress func(steps, runs int)
	Between  func() // is called between two runs, unless nil
	// Run runs steps in place of this process, unless nil, and returns those that fitted.
	Run func(steps []step.Step, c sim.Config) (fitted []step.Step, r *sim.Result)

	steps []step.Step       // the smallest run until now
	found verdict.Violation // by it
	log   []history.Event   // what it committed
	tried map[uint64]bool   // runs, by their digests
	runs  int
}

// briefly is how long a daemon that is known to hang is waited for
// in each of many runs. Pebble sleeps for 100 ms at most.
const briefly = 200 * time.Millisecond

// enough is how many steps a person reads at once.
const enough = 20

// Shrink makes a scenario of a failing run. It fails when the steps, replayed, do not.
func (s *Shrinker) Shrink(steps []step.Step) (*scenario.Scenario, error) {
	meant := s.Breach
	s.tried = make(map[uint64]bool)
	for !s.try(steps, s.Config) {
		switch {
		case s.Breach.Check != "":
			s.Breach.Check = ""
		case s.Breach.Guarantee != "":
			s.Breach.Guarantee = "" // what no step shows, such as a driver that got nowhere, has a cause that is a breach as well
		default:
			return nil, fmt.Errorf("the recorded steps, done again, do not break %s (%s)", meant.Guarantee, meant.Check)
		}
	}
	s.Breach = scenario.Breach{Guarantee: s.found.Guarantee, Check: s.found.Check}
	s.cutTail()
	s.shrink()
	if len(s.steps) > enough {
		s.Breach.Check = ""
		s.shrink()
	}
	s.try(tidy(s.steps), s.Config) // tidying is only renaming; better safe
	small := &scenario.Scenario{
		ID: "shrunk", Title: fmt.Sprintf("%s breaks: %s", s.found.Guarantee, s.found.Check), Class: s.Class, Story: s.found.Sentence,
		Expect: scenario.ExpectOK, Seed: s.Seed, Config: s.Config, Steps: s.steps,
	}
	if s.Run == nil {
		markUnstruck(small)
	}
	return small, nil
}

// passes are gone through until none of them makes the run smaller: what leaves out most is
// tried first.
var passes = []func(*Shrinker){
	func(s *Shrinker) { s.drop(clientOf, nil) },
	func(s *Shrinker) { s.drop(txnOf, nil) },
	(*Shrinker).flows,
	(*Shrinker).carryThrough,
	func(s *Shrinker) { s.drop(callOf, nil) },
	(*Shrinker).dropSingle,
	(*Shrinker).inOneRequest,
	func(s *Shrinker) { s.drop(commitOf, lowerLimits) },
	(*Shrinker).simplify,
	(*Shrinker).simplifyConfig,
	(*Shrinker).rename,
}

func (s *Shrinker) shrink() {
	for before := ""; ; {
		if now := fmt.Sprint(s.steps, s.Config); now == before || s.spent() {
			return
		} else {
			before = now
		}
		for _, pass := range passes {
			pass(s)
			if s.Progress != nil {
				s.Progress(len(s.steps), s.runs)
			}
		}
	}
}

func (s *Shrinker) spent() bool {
	return s.Trials > 0 && s.runs >= s.Trials || !s.Deadline.IsZero() && s.Now().After(s.Deadline)
}

// try runs steps that were not tried before, and reports whether the guarantee breaks. Then
// what fitted of them is the smallest run until now.
func (s *Shrinker) try(steps []step.Step, c sim.Config) bool {
	digest := fnv.New64a()
	fmt.Fprint(digest, steps, c, s.Breach)
	if s.tried[digest.Sum64()] || s.spent() {
		return false
	}
	s.tried[digest.Sum64()] = true
	fitted, r := s.run(steps, c)
	fails := func(v verdict.Violation) bool { return s.Breach.Matches(&v) }
	i := slices.IndexFunc(r.Violations, fails)
	if i < 0 {
		if again := slices.Clone(steps); retime(again, s.log, r.History.Log) {
			fitted, r = s.run(again, c)
			i = slices.IndexFunc(r.Violations, fails)
		}
	}
	if i < 0 {
		return false
	}
	s.steps, s.Config, s.found, s.log = fitted, c, r.Violations[i], r.History.Log
	return true
}

// run runs steps. Those that do not fit are passed over.
func (s *Shrinker) run(steps []step.Step, c sim.Config) (fitted []step.Step, r *sim.Result) {
	if s.Between != nil && s.runs > 0 {
		s.Between()
	}
	if s.runs++; s.Run != nil {
		return s.Run(steps, c)
	}
	o := sim.Options{Class: s.Class}
	if s.found.Check == "hang" {
		o.Idle = briefly
	}
	w := sim.NewWorld(s.Seed, c, o)
	for _, st := range steps {
		if w.Apply(st) == nil {
			fitted = append(fitted, st)
		}
	}
	return fitted, w.Finish()
}

// markUnstruck marks the faults that do not strike in the run that was shrunk: the
// time was up before they were dropped, or they matter by being armed.
func markUnstruck(s *scenario.Scenario) {
	w := sim.NewWorld(s.Seed, s.Config, sim.Options{})
	of := make(map[int]int) // of a step applied, its place in the scenario
	for i := range s.Steps {
		of[w.Applied()] = i
		_ = w.Apply(s.Steps[i]) // as in the runs before: what does not fit is passed over
	}
	for _, fault := range w.Finish().Armed {
		if fault.Struck == 0 {
			s.Steps[of[fault.Step]].Maybe = true
		}
	}
}

// cutTail finds the shortest beginning that fails.
func (s *Shrinker) cutTail() {
	steps := s.steps
	for low, high := 0, len(steps); low < high; { // high fails
		if mid := (low + high) / 2; s.try(steps[:mid], s.Config) {
			high = mid
		} else {
			low = mid + 1
		}
	}
}

// sweep tries a change on many units of a run at a time, then on fewer. change returns the
// run in which the chosen ones are changed.
func (s *Shrinker) sweep(units []string, change func(steps []step.Step, chosen map[string]bool) []step.Step) {
	for size := len(units); size > 0 && !s.spent(); size /= 2 {
		for at := 0; at < len(units); {
			chosen := make(map[string]bool)
			end := min(at+size, len(units))
			for _, u := range units[at:end] {
				chosen[u] = true
			}
			if s.try(change(s.steps, chosen), s.Config) {
				units = slices.Delete(units, at, end)
			} else {
				at = end
			}
		}
	}
}

// drop leaves out units of steps: of is the unit that a call belongs to, and with it what is
// done about the call. adjust, unless nil, makes up for it in what is left.
func (s *Shrinker) drop(of func(call *step.Step) string, adjust func(kept []step.Step, dropped int)) {
	unit := func(steps []step.Step) func(st *step.Step) string {
		calls := callsIn(steps)
		return func(st *step.Step) string {
			if st.Verb != step.Call {
				st = calls[st.Of]
			}
			if st == nil {
				return ""
			}
			return of(st)
		}
	}
	s.sweep(unitsOf(s.steps, unit(s.steps)), func(steps []step.Step, chosen map[string]bool) []step.Step {
		in := unit(steps)
		kept := slices.DeleteFunc(slices.Clone(steps), func(st step.Step) bool { return chosen[in(&st)] })
		if renumber(kept, s.log); adjust != nil {
			adjust(kept, len(chosen))
		}
		return kept
	})
}

// callsIn are the calls among steps, by their ids.
func callsIn(steps []step.Step) map[int]*step.Step {
	calls := make(map[int]*step.Step)
	for i := range steps {
		if steps[i].Verb == step.Call {
			calls[steps[i].ID] = &steps[i]
		}
	}
	return calls
}

// unitsOf lists the units that there are, in the order in which they begin.
func unitsOf(steps []step.Step, unit func(*step.Step) string) (list []string) {
	seen := map[string]bool{"": true}
	for i := range steps {
		if u := unit(&steps[i]); !seen[u] {
			seen[u] = true
			list = append(list, u)
		}
	}
	return list
}

func clientOf(call *step.Step) string { return call.Client }
func txnOf(call *step.Step) string    { return call.In.TxnID }
func callOf(call *step.Step) string   { return fmt.Sprint(call.ID) }

func commitOf(call *step.Step) string {
	if !call.Kind.Info().Commits {
		return ""
	}
	return callOf(call)
}

// carryThrough takes calls to their end at once: the steps that did so are gone.
func (s *Shrinker) carryThrough() {
	sent := func(st *step.Step) string {
		if st.Verb != step.Call || st.Wait {
			return ""
		}
		return callOf(st)
	}
	s.sweep(unitsOf(s.steps, sent), func(steps []step.Step, chosen map[string]bool) []step.Step {
		var next []step.Step
		for _, st := range steps {
			switch {
			case st.Verb == step.Call && chosen[callOf(&st)]:
				st.Wait = true
			case chosen[fmt.Sprint(st.Of)] && st.Verb != step.Again && st.Verb != step.Dup:
				continue
			}
			next = append(next, st)
		}
		return next
	})
}

// dropSingle leaves out single steps, of faults and the writer as well, those that stand
// together first.
func (s *Shrinker) dropSingle() {
	for size := max(len(s.steps)/2, 1); size > 0 && !s.spent(); size /= 2 {
		for at := 0; at < len(s.steps); {
			end := min(at+size, len(s.steps))
			kept := slices.Concat(s.steps[:at], s.steps[end:])
			if renumber(kept, s.log); !s.try(kept, s.Config) {
				at = end
			}
		}
	}
}
