package turns

import "math/rand/v2"

// Policy says how a schedule is drawn.
type Policy struct {
	Seed uint64
	// Points is how many points a run of the program passes at which there is a choice,
	// about: where PCT changes priorities.
	Points int
}

// policy chooses who goes on.
type policy interface {
	born(t *thread)
	// next returns one of can, which has several; current may be among them. It is the nth
	// choice of the run.
	next(choice int, current *thread, can []*thread) *thread
	// pick returns a number below n.
	pick(n int) int
}

// start draws how to draw. Half of the seeds use PCT (Burckhardt et al., "A Randomized
// Scheduler with Probabilistic Guarantees of Finding Bugs", 2010), which finds a bug that
// needs d orderings with a probability of at least 1/(n k^(d-1)) for n threads and k points.
// The others walk at random, and stay with a thread the longer the rarer they switch.
func (p Policy) start() policy {
	r := rand.New(rand.NewPCG(p.Seed, 13))
	if r.IntN(2) == 0 {
		return &walk{rand: r, stay: [...]int{0, 1, 3, 9}[r.IntN(4)]}
	}
	c := &pct{rand: r, changes: make(map[int]bool)}
	for range r.IntN(5) { // d-1
		c.changes[1+r.IntN(max(p.Points, 1))] = true
	}
	return c
}

// walk chooses at random.
type walk struct {
	rand *rand.Rand
	stay int // of stay+1 times it stays with the thread that it has, stay times
}

func (w *walk) born(*thread)   {}
func (w *walk) pick(n int) int { return w.rand.IntN(n) }

func (w *walk) next(_ int, current *thread, can []*thread) *thread {
	if w.stay > 0 && w.rand.IntN(w.stay+1) > 0 {
		for _, t := range can {
			if t == current {
				return t
			}
		}
	}
	return can[w.rand.IntN(len(can))]
}

// pct lets the thread of the highest priority go on, and takes it from it at some points.
type pct struct {
	rand    *rand.Rand
	changes map[int]bool // at which choices
	lowest  int64
}

func (c *pct) pick(n int) int { return c.rand.IntN(n) }
func (c *pct) born(t *thread) { t.priority = 1 + c.rand.Int64N(1<<40) }

func (c *pct) next(choice int, current *thread, can []*thread) *thread {
	if c.changes[choice] {
		c.lowest--
		current.priority = c.lowest
	}
	best := can[0]
	for _, t := range can[1:] {
		if t.priority > best.priority {
			best = t
		}
	}
	return best
}
