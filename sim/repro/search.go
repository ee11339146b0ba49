package repro

import (
	"time"

	"statehouse.dev/statehouse/linearizability/verdict"
	"statehouse.dev/statehouse/sim"
	"statehouse.dev/statehouse/sim/fuzz"
	"statehouse.dev/statehouse/sim/scenario"
)

// Search looks for a run that breaks the same guarantee as a captured history does,
// one try after the other, each of which follows from its number alone.
type Search struct {
	Script *Script
	Target scenario.Breach
	// Try is the number of the next try: a search goes on where another ended.
	Try uint64
	// Deadline ends it; Now is the clock for that.
	Deadline time.Time
	Now      func() time.Time
	// Progress, unless nil, is told after every try.
	Progress func(tries uint64)

	faults map[string]int
}

// Found is a run that a search has found.
type Found struct {
	Result    *sim.Result
	Violation verdict.Violation // the one that was looked for, or the nearest
	Try       uint64
	Exact     bool // the same check of the same guarantee
	Captured  bool // clients did what they did in the capture; else what the simulator's do
}

// own reports whether a try is one of the simulator's own workloads: one in five,
// since what was captured may lead up to the bug only by way of what was not.
func own(try uint64) bool { return try%5 == 4 }

// do makes one try.
func (s *Search) do(try uint64) (r *sim.Result, captured bool) {
	if own(try) {
		return fuzz.Generate(try, sim.Options{}), false
	}
	return Reenact(s.Script, try, sim.Options{}), true
}

// grace is how much longer is looked for the very check when another of the same
// build's runs has broken something else: as a share of the time that took, and at
// least this long.
const grace = 20 * time.Second

// Run searches until it has found what it looks for, or the deadline has passed;
// nil: nothing was found.
func (s *Search) Run() *Found {
	s.faults = make(map[string]int)
	began := s.Now()
	var near *Found
	end := s.Deadline
	for ; s.Now().Before(end); s.Try++ {
		r, captured := s.do(s.Try)
		for kind, n := range r.Stats.Faults { // added up: order cannot matter
			s.faults[kind] += n
		}
		if s.Progress != nil {
			s.Progress(s.Try + 1)
		}
		f := s.nearest(r)
		if f == nil {
			continue
		}
		f.Try, f.Captured = s.Try, captured
		if f.Exact {
			s.Try++
			return f
		}
		if near == nil {
			near = f
			now := s.Now()
			if until := now.Add(max(grace, now.Sub(began)/2)); until.Before(end) {
				end = until
			}
		} else if f.Violation.Guarantee == s.Target.Guarantee && near.Violation.Guarantee != s.Target.Guarantee {
			near = f
		}
	}
	return near
}

// Faults that were injected in its tries, by kind.
func (s *Search) Faults() map[string]int { return s.faults }

// nearest is the violation of a run that is most like the target.
func (s *Search) nearest(r *sim.Result) *Found {
	if !r.Failed() {
		return nil
	}
	best := &r.Violations[0]
	for i := range r.Violations {
		switch v := &r.Violations[i]; {
		case s.Target.Matches(v):
			return &Found{Result: r, Violation: *v, Exact: true}
		case v.Guarantee == s.Target.Guarantee && best.Guarantee != s.Target.Guarantee:
			best = v
		}
	}
	return &Found{Result: r, Violation: *best}
}
