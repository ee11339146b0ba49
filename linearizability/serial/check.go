package serial

import (
	"cmp"

	"github.com/anishathalye/porcupine"

	"statehouse.dev/statehouse/history"
	"statehouse.dev/statehouse/linearizability/verdict"
)

// What is judged at a time, where Options do not say.
const (
	windowSize    = 128 // constraints
	defaultSample = 60
	defaultCount  = 4
	defaultSteps  = 1 << 20
)

// Options of a check. The zero value has defaults.
type Options struct {
	// Samples are judged without the log, each of about SampleSize operations; which,
	// follows from the Seed. Negative: none.
	Samples, SampleSize int
	Seed                uint64
	// SearchSteps bounds each search.
	SearchSteps int
	// Middle: the history is a section of a longer one.
	Middle *Middle
}

// Result is what came of a check.
type Result struct {
	Violations    []verdict.Violation
	Unknown       bool // a search was given up
	DeepestSearch int  // steps of the longest search
}

// judge is one check at work.
type judge struct {
	steps int // of each search
	Result
}

// Check judges a history. It stops at the first violation.
func Check(h *history.History, o Options) Result {
	p := &judge{steps: cmp.Or(o.SearchSteps, defaultSteps)}
	p.check(h, o)
	return p.Result
}

func (p *judge) check(h *history.History, o Options) {
	if h.Complete {
		log := make(map[string]*history.Event, len(h.Log))
		for i := range h.Log {
			log[h.Log[i].TxnID] = &h.Log[i]
		}
		c := constraintsOf(h, log, o.Middle)
		if p.broken(c) {
			return
		}
		p.judgeWindows(h, c)
	}
	if len(p.Violations) > 0 {
		return
	}
	switch c := constraintsOf(h, nil, o.Middle); {
	case p.broken(c):
	case h.Complete && c.missing.any(): // commits are missing from it that only the log tells of
	case h.Complete:
		p.judgeSamples(h, c, o)
	case len(c.missing.gaps) > 0 || c.guessed || c.missing.unasked || c.missing.before && !c.dense():
		p.Unknown = true
	default:
		p.judgeBlind(h, c)
	}
}

func (p *judge) broken(c *constraints) bool {
	p.Violations = append(p.Violations, c.broken...)
	return len(c.broken) > 0
}

// judgeWindows judges all constraints, a window at a time. Where one ends and the next
// begins the log says what the state is; checkRealTime has found that no constraint is on the
// wrong side of the cut.
func (p *judge) judgeWindows(h *history.History, c *constraints) {
	s := newLogState(h, c)
	for from := 0; from < len(c.placed) && len(p.Violations) == 0; {
		to := min(from+windowSize, len(c.placed))
		for to < len(c.placed) && !c.placed[to].commit {
			to++ // a window begins with a commit: what it begins in is the state before
		}
		list := c.placed[from:to]
		first := list[0].point
		if list[0].commit {
			first--
		}
		s.advance(first)
		p.search(&window{placed: list, refused: c.refusedIn(list, from == 0, to == len(c.placed)), know: s.facts, existing: s.existing})
		from = to
	}
}

// judgeBlind judges all constraints without a log, at once: without it, nothing is known of
// the state in which a window would begin.
func (p *judge) judgeBlind(h *history.History, c *constraints) {
	s := newLogState(h, c)
	p.search(&window{placed: c.placed, free: c.free, know: s.facts, base: s.ts, points: c.points()})
}

// dense reports whether all commits after the base can be among the constraints.
func (c *constraints) dense() bool {
	points := c.points()
	return len(points) == 0 || int(points[len(points)-1]-c.base) <= len(points)+len(c.free)
}

// points are the places of all placed commits.
func (c *constraints) points() []uint64 {
	var list []uint64
	for _, a := range c.placed {
		if a.commit {
			list = append(list, a.point)
		}
	}
	return list
}

// search has Porcupine judge a window, each part of it that shares no key with the rest by
// itself: linearizability is local.
func (p *judge) search(w *window) {
	for _, part := range w.split() {
		s := newSearch(part, w, p.steps)
		ok := porcupine.CheckOperations(s.model(), s.operations())
		switch {
		case s.left == 0:
			p.Unknown = true
		case !ok:
			p.Violations = append(p.Violations, s.explain())
			return
		}
		p.DeepestSearch = max(p.DeepestSearch, p.steps-s.left)
	}
}
