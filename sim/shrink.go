package sim

import (
	"fmt"
	"slices"
	"time"

	"statehouse.dev/statehouse/history"
	"statehouse.dev/statehouse/linearizability/verdict"
	"statehouse.dev/statehouse/sim/simdisk"
)

// Shrinker makes a failing run small enough to be read: fewer steps, then simpler
// ones, as long as the same promise breaks in the same way (delta debugging,
// Zeller and Hildebrandt 2002).
type Shrinker struct {
	Seed     uint64
	Config   Config
	Class    Class
	Breach   Breach
	Deadline time.Time        // stop there, with what there is; zero: none
	Now      func() time.Time // for Deadline
	Progress func(steps, runs int)
	Between  func() // is called between two runs, unless nil

	runs int
}

// replay does steps, passing over those that do not fit any more.
func replay(seed uint64, c Config, class Class, steps []Step) *Result {
	w := NewWorld(seed, c, Options{})
	for _, s := range steps {
		_ = w.Apply(s)
	}
	r := w.Finish()
	r.Class = class
	return r
}

// simplifyConfig tries the defaults.
func (s *Shrinker) simplifyConfig(steps []Step) {
	drawn := s.Config
	if s.Config = (Config{}); !s.fails(steps) {
		s.Config = drawn
	}
}

func (s *Shrinker) fails(steps []Step) bool {
	if s.late() {
		return false
	}
	if s.Between != nil && s.runs > 0 {
		s.Between()
	}
	s.runs++
	r := replay(s.Seed, s.Config, s.Class, steps)
	return slices.ContainsFunc(r.Violations, func(v verdict.Violation) bool { return s.Breach.matches(&v) })
}

func (s *Shrinker) late() bool { return !s.Deadline.IsZero() && s.Now().After(s.Deadline) }

// Shrink makes a story of a failing run. It fails when the steps, replayed, do not.
func (s *Shrinker) Shrink(steps []Step) (*Scenario, error) {
	if !s.fails(steps) {
		return nil, fmt.Errorf("the recorded steps, done again, do not break %s (%s)", s.Breach.Guarantee, s.Breach.Check)
	}
	steps = s.truncate(steps)
	s.simplifyConfig(steps)
	for before := len(steps) + 1; len(steps) < before && !s.late(); {
		before = len(steps)
		steps = s.dropGroups(steps, func(st *Step) string { return st.Client }) // clients
		steps = s.dropGroups(steps, callOf)
		steps = s.dropChunks(steps)
		steps = s.simplify(steps)
		if s.Progress != nil {
			s.Progress(len(steps), s.runs)
		}
	}
	story := &Scenario{
		ID: "shrunk", Title: fmt.Sprintf("%s breaks: %s", s.Breach.Guarantee, s.Breach.Check), Class: s.Class,
		Expect: ExpectOK, Seed: s.Seed, Config: s.Config, Steps: tidy(steps),
	}
	if !s.fails(story.Steps) && !s.late() { // tidying is only renaming; better safe
		story.Steps = steps
	}
	story.markUnstruck()
	return story, nil
}

// markUnstruck marks the faults that do not strike in the run that was shrunk: the
// time was up before they were dropped, or they matter by being armed.
func (s *Scenario) markUnstruck() {
	w := NewWorld(s.Seed, s.Config, Options{})
	of := make(map[int]int) // of a step applied, its place in the story
	for i := range s.Steps {
		of[len(w.steps)] = i
		_ = w.Apply(s.Steps[i]) // as in the runs before: what does not fit is passed over
	}
	w.Finish()
	for _, at := range w.unstruck() {
		s.Steps[of[at]].Maybe = true
	}
}

// truncate finds the shortest beginning that fails.
func (s *Shrinker) truncate(steps []Step) []Step {
	low, high := 0, len(steps) // high fails
	for low < high {
		mid := (low + high) / 2
		if s.fails(steps[:mid]) {
			high = mid
		} else {
			low = mid + 1
		}
	}
	return slices.Clone(steps[:high])
}

// callOf groups the steps that are about one call.
func callOf(st *Step) string {
	switch {
	case st.Verb == Call:
		return fmt.Sprint(st.ID)
	case st.Of != 0:
		return fmt.Sprint(st.Of)
	}
	return ""
}

// dropGroups drops whole groups of steps, many at a time at first.
func (s *Shrinker) dropGroups(steps []Step, group func(*Step) string) []Step {
	var names []string
	for i := range steps {
		if g := group(&steps[i]); g != "" && !slices.Contains(names, g) {
			names = append(names, g)
		}
	}
	for size := max(len(names)/2, 1); ; size /= 2 {
		for at := 0; at < len(names) && !s.late(); {
			gone := names[at:min(at+size, len(names))]
			kept := slices.DeleteFunc(slices.Clone(steps), func(st Step) bool {
				g := group(&st)
				return g != "" && slices.Contains(gone, g)
			})
			if s.fails(kept) {
				steps, names = kept, slices.Delete(names, at, at+len(gone))
			} else {
				at += size
			}
		}
		if size <= 1 {
			return steps
		}
	}
}

// dropChunks drops runs of steps, long ones first.
func (s *Shrinker) dropChunks(steps []Step) []Step {
	for size := max(len(steps)/2, 1); ; size /= 2 {
		for at := 0; at < len(steps) && !s.late(); {
			kept := slices.Concat(steps[:at], steps[min(at+size, len(steps)):])
			if s.fails(kept) {
				steps = kept
			} else {
				at += size
			}
		}
		if size <= 1 {
			return steps
		}
	}
}

// simplify tries simpler forms of each step.
func (s *Shrinker) simplify(steps []Step) []Step {
	for i := 0; i < len(steps) && !s.late(); i++ {
		for _, simpler := range s.simplerRuns(steps, i) {
			if s.fails(simpler) {
				steps = simpler
			}
			if i >= len(steps) {
				break
			}
		}
	}
	return steps
}

// simplerRuns lists what could stand in place of step i.
func (s *Shrinker) simplerRuns(steps []Step, i int) [][]Step {
	var list [][]Step
	with := func(change func(*Step)) {
		next := slices.Clone(steps)
		change(&next[i])
		list = append(list, next)
	}
	st := &steps[i]
	switch st.Verb {
	case Call:
		if !st.Wait {
			list = append(list, carriedThrough(steps, i))
		}
		if len(st.In.Metadata)+len(st.In.Keys)+len(st.In.Heads) > 0 {
			with(func(x *Step) { x.In.Metadata, x.In.Keys, x.In.Heads = nil, nil, nil })
		}
		for j := range st.In.Keys {
			with(func(x *Step) { x.In.Keys = slices.Delete(slices.Clone(x.In.Keys), j, j+1) })
		}
		for j := range st.In.Heads {
			with(func(x *Step) { x.In.Heads = slices.Delete(slices.Clone(x.In.Heads), j, j+1) })
		}
		for j := range st.In.Writes {
			if len(st.In.Writes) > 1 {
				with(func(x *Step) { x.In.Writes = slices.Delete(slices.Clone(x.In.Writes), j, j+1) })
			}
			if st.In.Writes[j].Expected != nil {
				with(func(x *Step) { x.In.Writes = slices.Clone(x.In.Writes); x.In.Writes[j].Expected = nil })
			}
		}
		if st.Kind == history.Begin && st.In.Limit != 0 {
			with(func(x *Step) { x.In.Limit = 0 })
		}
	case Crash:
		for _, mode := range []simdisk.CrashMode{"", simdisk.KeepAll, simdisk.Torn} {
			if st.Crash != (simdisk.CrashOptions{Mode: mode}) {
				with(func(x *Step) { x.Crash = simdisk.CrashOptions{Mode: mode} })
			}
		}
	case Fault:
		if st.Fault.Nth > 1 {
			with(func(x *Step) { x.Fault.Nth = 1 })
		}
		if st.Crash != (simdisk.CrashOptions{}) {
			with(func(x *Step) { x.Crash = simdisk.CrashOptions{} })
		}
	}
	return list
}

// carriedThrough is a run in which the call at i is taken to its end at once, and
// the steps that did so are gone.
func carriedThrough(steps []Step, i int) []Step {
	next := slices.Clone(steps[:i+1])
	next[i].Wait = true
	id := steps[i].ID
	return append(next, slices.DeleteFunc(slices.Clone(steps[i+1:]), func(st Step) bool {
		return st.Of == id && st.Verb != Again
	})...)
}

// tidy gives calls, clients and transactions small names, in order.
func tidy(steps []Step) []Step {
	ids, clients := map[int]int{0: 0}, map[string]string{"": ""}
	// Steps about a call that is gone do nothing.
	there := make(map[int]bool)
	out := slices.DeleteFunc(slices.Clone(steps), func(st Step) bool {
		if st.Verb == Call {
			there[st.ID] = true
		}
		return st.Of != 0 && !there[st.Of]
	})
	for i := range out {
		st := &out[i]
		if st.Verb == Call {
			if _, known := clients[st.Client]; !known {
				clients[st.Client] = fmt.Sprintf("c%d", len(clients))
			}
			ids[st.ID] = len(ids)
			st.ID = ids[st.ID]
		}
		st.Client, st.Of, st.In.PageOf = clients[st.Client], ids[st.Of], ids[st.In.PageOf]
	}
	return out
}
