package engine

import (
	"context"
	"sync"
	"sync/atomic"
)

// MarkEvery is how many commits that do not concern a Watch may pass before it is woken,
// so that it can move its cursor, unless Tuning says otherwise.
const MarkEvery = 256

// WatchesPerMark is how many watches may be open before marks become rarer: each time as
// many are more, another MarkEvery commits pass. So what marks cost a commit has a bound,
// however many watches there are.
const WatchesPerMark = 64

// Watch follows published commits. A commit wakes only the watches whose filter names one
// of its agents: otherwise, with a thousand watches, each commit would cost a thousand
// reads of the log.
type Watch struct {
	e     *Engine
	about AgentName
	armed <-chan struct{}
}

// Watch begins to follow the commits that f may match. The caller must Close it.
func (e *Engine) Watch(f Filter) (*Watch, error) {
	if err := f.normalize(); err != nil {
		return nil, err
	}
	w := &Watch{e: e, about: AgentName{Namespace: f.Namespace, Agent: f.Agent}}
	if f.Whole {
		w.about = AgentName{}
	}
	e.watches.add(w.about)
	return w, nil
}

// Published returns the last commit to read up to. A commit published after the call, and
// of interest to w, ends the next Wait.
func (w *Watch) Published() CommitTS {
	// First: a commit in between must end the wait.
	w.armed = w.e.watches.wait(w.about)
	return w.e.Published()
}

// Wait waits for a commit of interest after the one that Published returned.
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

// Due reports whether a watch that was last told of the commit marked is to be told, at
// cursor, that it has come so far.
func (w *Watch) Due(marked, cursor CommitTS) bool {
	every := w.e.watches.every()
	due := cursor/every > marked/every
	if due {
		w.e.reached.MarkEvery.Add(1)
	}
	return due
}

// Close ends the watch.
func (w *Watch) Close() { w.e.watches.remove(w.about) }

// watches are the open watches by topic: an agent, a whole namespace (the agent is empty)
// or everything (both are empty).
type watches struct {
	mu     sync.Mutex
	topics map[AgentName]*topic
	open   atomic.Int64 // written under mu

	markEvery CommitTS // Tuning.MarkEvery
}

// every is after how many commits all watches are woken.
func (w *watches) every() CommitTS {
	return w.markEvery * CommitTS(1+w.open.Load()/WatchesPerMark)
}

type topic struct {
	watches int
	changed chan struct{} // nil while no watch waits
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
	w.open.Add(1)
}

func (w *watches) remove(about AgentName) {
	w.mu.Lock()
	defer w.mu.Unlock()
	t := w.topics[about]
	w.open.Add(-1)
	if t.watches--; t.watches == 0 {
		delete(w.topics, about)
	}
}

func (w *watches) usage() (open, topics int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, t := range w.topics { // a sum
		open += t.watches
	}
	return open, len(w.topics)
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

// wakeAll ends all waits.
func (w *watches) wakeAll() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, t := range w.topics { // all are woken: in which order cannot matter
		t.wake()
	}
}

// wake ends the waits for commits. They are published.
func (w *watches) wake(commits []*commit) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.topics) == 0 || w.marked(commits[0].ts, commits[len(commits)-1].ts) {
		return
	}
	for _, c := range commits {
		for i := range c.p.agents {
			w.wakeAbout(c.p.agents[i].agent)
		}
	}
}

// wakeFor is wake for commits of which only the agents are known.
func (w *watches) wakeFor(first, last CommitTS, agents []AgentName) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.topics) == 0 || w.marked(first, last) {
		return
	}
	for _, a := range agents {
		w.wakeAbout(a)
	}
}

// marked wakes all watches if a mark is among the commits, and those of everything in any case.
func (w *watches) marked(first, last CommitTS) bool {
	if every := w.every(); (first-1)/every != last/every {
		for _, t := range w.topics { // all are woken: in which order cannot matter
			t.wake()
		}
		return true
	}
	w.topics[AgentName{}].wake()
	return false
}

func (w *watches) wakeAbout(a AgentName) {
	w.topics[a].wake()
	w.topics[AgentName{Namespace: a.Namespace}].wake()
}

func (t *topic) wake() {
	if t != nil && t.changed != nil {
		close(t.changed)
		t.changed = nil
	}
}
