package engine

import (
	"context"
	"sync"
)

// MarkEvery is how many commits may pass before a Watch is woken although none of
// them was for it, so that it can move its cursor past them.
const MarkEvery = 256

// Watch follows what is published. It is woken by the commits that its filter names
// the agents of, not by all: with a thousand watches each commit would else cost its
// writer a thousand looks into the log.
type Watch struct {
	e     *Engine
	about AgentName
	armed <-chan struct{}
}

// Watch begins to follow the commits that f may match. Close it.
func (e *Engine) Watch(f Filter) (*Watch, error) {
	if err := f.normalize(); err != nil {
		return nil, err
	}
	w := &Watch{e: e, about: AgentName{f.Namespace, f.Agent}}
	if f.Whole {
		w.about = AgentName{}
	}
	e.watches.add(w.about)
	return w, nil
}

// Published is how far there is something to look at. What is published from then
// on, and w may want, ends the next Wait.
func (w *Watch) Published() CommitTS {
	// Before the look: a commit in between must end the wait.
	w.armed = w.e.watches.wait(w.about)
	return w.e.Published()
}

// Wait waits until there is something to look at past what Published told.
func (w *Watch) Wait(ctx context.Context) error {
	if f := w.e.failed.Load(); f != nil {
		return f
	}
	if err := w.e.env.Await(ctx, w.armed); err != nil {
		return err
	}
	if f := w.e.failed.Load(); f != nil {
		return f
	}
	return nil
}

// Close ends it.
func (w *Watch) Close() { w.e.watches.remove(w.about) }

// watches are the open ones by what they are about: an agent, a whole namespace (the
// agent is empty) or everything (both are).
type watches struct {
	mu     sync.Mutex
	topics map[AgentName]*topic
}

type topic struct {
	watches int
	changed chan struct{} // nil while nobody waits
}

func (w *watches) add(about AgentName) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.topics == nil {
		w.topics = make(map[AgentName]*topic)
	}
	t := w.topics[about]
	if t == nil {
		t = &topic{}
		w.topics[about] = t
	}
	t.watches++
}

func (w *watches) remove(about AgentName) {
	w.mu.Lock()
	defer w.mu.Unlock()
	t := w.topics[about]
	if t.watches--; t.watches == 0 {
		delete(w.topics, about)
	}
}

func (w *watches) wait(about AgentName) <-chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	t := w.topics[about]
	if t.changed == nil {
		t.changed = make(chan struct{})
	}
	return t.changed
}

// wake ends the waits for commits, which are published by now.
func (w *watches) wake(commits []*commit) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.topics) == 0 {
		return
	}
	first, last := commits[0].ts, commits[len(commits)-1].ts
	if (first-1)/MarkEvery != last/MarkEvery {
		for _, t := range w.topics { // all are woken: in which order cannot matter
			t.wake()
		}
		return
	}
	w.topics[AgentName{}].wake()
	for _, c := range commits {
		for i := range c.p.agents {
			a := c.p.agents[i].agent
			w.topics[a].wake()
			w.topics[AgentName{Namespace: a.Namespace}].wake()
		}
	}
}

func (t *topic) wake() {
	if t != nil && t.changed != nil {
		close(t.changed)
		t.changed = nil
	}
}
