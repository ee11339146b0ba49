package engine

import (
	"sync/atomic"
	"time"
)

// Observer is told how long the engine's work takes. Without one no clock is read for it. Its
// functions are called by whoever does the work, so they must be quick, and safe for
// concurrent use.
type Observer struct {
	// Clock counts from any moment. It is not Env.Now, which may jump.
	Clock func() time.Duration
	// Waited is told how long a proposal has waited for the writer.
	Waited func(time.Duration)
	// Stepped is told of each step when all in it are answered.
	Stepped func(StepTimes)
	// Synced is told how long a sync of the write-ahead log took.
	Synced func(time.Duration)
}

// StepTimes is how long a step of the writer took.
type StepTimes struct {
	Proposals, Commits int // taken from the queue, and accepted of those
	Phases
	Answer time.Duration
}

// Phases are how long a commit was in each: Queue is its own, the others are its step's.
type Phases struct {
	Queue, Plan, Apply, Sync time.Duration
}

// moment is now by the observer's clock; 0 without one.
func (e *Engine) moment() time.Duration {
	if o := e.env.Observe; o != nil {
		return o.Clock()
	}
	return 0
}

// moments are when the phases of a step ended.
type moments struct{ taken, planned, applied, synced time.Duration }

// waited notes that a step takes proposals from the queue.
func (e *Engine) waited(m *moments, taken []*proposal) {
	o := e.env.Observe
	if o == nil {
		return
	}
	m.taken = o.Clock()
	for _, p := range taken {
		o.Waited(m.taken - p.queued)
	}
}

// phases are those of a step, of which each proposal learns before it is answered.
func (e *Engine) phases(fl *inflight) Phases {
	m := &fl.moments
	phases := Phases{Plan: m.planned - m.taken, Apply: m.applied - m.planned, Sync: m.synced - m.applied}
	if e.env.Observe != nil {
		for i := range fl.answers {
			p := fl.answers[i].p
			p.ticket.phases = phases
			p.ticket.phases.Queue = m.taken - p.queued
		}
	}
	return phases
}

// stepped tells of a step whose proposals are answered.
func (e *Engine) stepped(fl *inflight, phases Phases) {
	if o := e.env.Observe; o != nil {
		o.Stepped(StepTimes{Proposals: len(fl.answers), Commits: len(fl.commits), Phases: phases, Answer: o.Clock() - fl.moments.synced})
	}
}

// queueAge is how long the one whose turn it is has waited; 0 without an observer.
func (e *Engine) queueAge() time.Duration {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.queue.len() == 0 {
		return 0
	}
	return e.moment() - e.queue.next().queued
}

// stalls counts how often Pebble has writes wait, and for how long.
type stalls struct {
	count, began, total atomic.Int64
}

func (s *stalls) begin(now time.Duration) {
	s.count.Add(1)
	s.began.Store(int64(now))
}

func (s *stalls) end(now time.Duration) { s.total.Add(int64(now) - s.began.Load()) }

// sync does what a sync is, and tells the observer how long it took.
func (o *Observer) sync(do func() error) error {
	began := o.Clock()
	err := do()
	o.Synced(o.Clock() - began)
	return err
}
