package serial

import (
	"cmp"
	"maps"
	"math/rand/v2"
	"slices"

	"github.com/anishathalye/porcupine"
	"statehouse.dev/statehouse/history"
	"statehouse.dev/statehouse/linearizability/verdict"
)

// Porcupine is the second judge. It is given claims and a sequential model, and
// searches for an order of the claims that the model allows and the clock does. It
// judges commits with their conditions, refusals on them, reads of the present and what transactions
// read; streams, histories of keys and reads of the past are left to the first one.
//
// Its cost explodes with commits whose outcome is unknown, not with length. So a
// history is judged twice: all of it, in windows that begin in the state that the
// log shows, and with every outcome that the log decides; and some small samples of
// it without the log, for a log can lie.
//
// How far a search goes is counted in steps of the model, not in seconds: the verdict
// must not depend on the machine.

// What is judged at a time, where Options do not say.
const (
	windowClaims  = 128
	defaultSample = 60
	defaultCount  = 4
	defaultSteps  = 1 << 20
)

// serialOptions of a check. The zero value has defaults.
type Options struct {
	// Samples are judged without the log, each of about SampleSize operations; which,
	// follows from the Seed. Negative: none.
	Samples, SampleSize int
	Seed                uint64
	// SearchSteps bounds each search.
	SearchSteps int
	// Middle: the history is a piece of a longer one.
	Middle *Middle
}

// serialResult is what came of a check.
type Result struct {
	Violations    []verdict.Violation
	Unknown       bool // a search was given up
	DeepestSearch int  // steps of the longest search
}

// porcupineJudge is a check at work.
type porcupineJudge struct {
	steps int // of each search
	Result
}

// serialCheck judges a history. It stops at the first violation.
func Check(h *history.History, o Options) Result {
	p := &porcupineJudge{steps: cmp.Or(o.SearchSteps, defaultSteps)}
	p.check(h, o)
	return p.Result
}

func (p *porcupineJudge) check(h *history.History, o Options) {
	if h.Complete {
		log := make(map[string]*history.Event, len(h.Log))
		for i := range h.Log {
			log[h.Log[i].TxnID] = &h.Log[i]
		}
		c := gatherClaims(h, log, o.Middle)
		if p.broken(c) {
			return
		}
		p.judgeWindows(h, c)
	}
	if len(p.Violations) > 0 {
		return
	}
	switch c := gatherClaims(h, nil, o.Middle); {
	case p.broken(c):
	case h.Complete && c.missing.any(): // commits are missing from it that only the log tells of
	case h.Complete:
		p.judgeSamples(h, c, o)
	case len(c.missing.gaps) > 0 || c.guessed || c.missing.before && !c.dense():
		p.Unknown = true
	default:
		p.judgeBlind(h, c)
	}
}

func (p *porcupineJudge) broken(c *claims) bool {
	p.Violations = append(p.Violations, c.broken...)
	return len(c.broken) > 0
}

// judgeWindows judges all claims, a window at a time. Where one ends and the next
// begins the log says what the state is; that no claim is on the wrong side of the
// cut was checked when the claims were gathered.
func (p *porcupineJudge) judgeWindows(h *history.History, c *claims) {
	s := newStore(h, c)
	for from := 0; from < len(c.placed) && len(p.Violations) == 0; {
		to := min(from+windowClaims, len(c.placed))
		for to < len(c.placed) && !c.placed[to].commit {
			to++ // a window begins with a commit: what it begins in is the state before
		}
		list := c.placed[from:to]
		first := list[0].point
		if list[0].commit {
			first--
		}
		s.advance(first)
		p.judge(&window{placed: list, refused: c.refusedIn(list, from == 0, to == len(c.placed)), know: s.facts, existing: s.existing})
		from = to
	}
}

// judgeBlind judges all claims without a log, at once: without it, where a window
// begins nothing would be known.
func (p *porcupineJudge) judgeBlind(h *history.History, c *claims) {
	s := newStore(h, c)
	p.judge(&window{placed: c.placed, free: c.free, know: s.facts, base: s.ts, points: c.points()})
}

// dense tells whether all commits after the base can be among the claims.
func (c *claims) dense() bool {
	points := c.points()
	return len(points) == 0 || int(points[len(points)-1]-c.base) <= len(points)+len(c.free)
}

// points are the places of all placed commits.
func (c *claims) points() []uint64 {
	var list []uint64
	for _, a := range c.placed {
		if a.commit {
			list = append(list, a.point)
		}
	}
	return list
}

// judgeSamples judges stretches of what happened to a few keys, without the log.
func (p *porcupineJudge) judgeSamples(h *history.History, c *claims, o Options) {
	rng := rand.New(rand.NewPCG(o.Seed, 0x706f726375)) // its own: nobody else's draws depend on it
	size, count := cmp.Or(o.SampleSize, defaultSample), cmp.Or(o.Samples, defaultCount)
	commits := slices.DeleteFunc(slices.Clone(c.placed), func(a *claim) bool { return !a.commit })
	if len(commits) == 0 {
		return
	}
	for i := 0; i < count && len(p.Violations) == 0; i++ {
		names := make(map[history.Name]bool)
		for range 2 {
			commits[rng.IntN(len(commits))].touch(names)
		}
		if w := c.sample(h, names, rng.IntN(len(c.placed)), size); w != nil {
			p.judge(w)
		}
	}
}

// sample cuts claims down to some keys and a stretch around one of them. One that
// does not begin with the history begins in a state that is not known. A commit that
// nobody knows the outcome of says nothing there, and makes the search endless: the
// keys that it writes are left out.
func (c *claims) sample(h *history.History, names map[history.Name]bool, around, size int) *window {
	if around >= size {
		for _, a := range c.free {
			for i := range a.does {
				delete(names, a.does[i].name)
			}
		}
	}
	list := slices.SortedFunc(maps.Keys(names), history.CompareNames)
	placed := project(c.placed, names, list)
	if len(placed) == 0 {
		return nil
	}
	s := newStore(h, c)
	w := &window{know: s.facts, base: s.ts, points: c.points()}
	from := 0
	if around < size {
		w.free = project(c.free, names, list)
	} else if from = max(0, len(placed)*around/len(c.placed)-size/2); from > 0 {
		for from > 0 && !placed[from].commit {
			from--
		}
		w.know = nothing
	}
	w.placed = placed[from:min(from+size, len(placed))]
	w.dropLater()
	return w
}

// nothing is what is known of a key in the middle of a history without its log.
func nothing(history.Name) facts { return facts{} }

// touch adds the names that a claim writes or wants.
func (a *claim) touch(names map[history.Name]bool) {
	for i := range a.does {
		names[a.does[i].name] = true
	}
	for i := range a.sees {
		names[a.sees[i].name] = true
	}
}

// project cuts claims down to some keys, given as a set and sorted. An order of the
// whole is one of the part.
func project(all []*claim, names map[history.Name]bool, list []history.Name) []*claim {
	var out []*claim
	for _, a := range all {
		b := *a
		b.sees, b.does, b.lists = nil, nil, nil
		for _, s := range a.sees {
			if names[s.name] {
				b.sees = append(b.sees, s)
			}
		}
		for _, e := range a.does {
			if names[e.name] {
				b.does = append(b.does, e)
			}
		}
		for _, n := range list {
			if a.missed(n) {
				b.sees = append(b.sees, sight{n, facts{known: knowsExists}})
			}
		}
		if b.commit = len(b.does) > 0; b.commit || len(b.sees) > 0 {
			out = append(out, &b)
		}
	}
	return out
}

// missed tells whether a claim has listed where a key would stand, and not seen it.
func (a *claim) missed(n history.Name) bool {
	for i := range a.lists {
		s := &a.lists[i]
		if s.agent.Namespace == n.Namespace && s.agent.Agent == n.Agent && s.covers(n.Key) && !s.shown[n] {
			return true
		}
	}
	return false
}

// judge has one window judged, each part of it that shares no key with the rest by
// itself: linearizability is local.
func (p *porcupineJudge) judge(w *window) {
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
