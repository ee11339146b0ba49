// Package sched decides who runs in a simulated world, so that the same seed gives the same run.
//
// Clients and the handlers of requests are coroutines, tasks: one runs at a time, until it
// parks or ends. Pebble has goroutines of its own, which cannot be made coroutines. They
// are let run until they are quiescent after every step, and what they do that would race
// with a step waits at a barrier until the world lets it pass. A Disturbance takes the
// processor from them in the middle of what they do, so that a test can show that no run
// depends on when they have it.
package sched

import (
	"context"
	"iter"
)

// Tasks are the coroutines of a world.
type Tasks struct {
	current *Task // the one that runs
}

// Task is a coroutine: the program of a client, or the handler of a request. One runs at a
// time, until it parks or ends; so everything that it does between two parks is one step of
// the world.
type Task struct {
	next   func() (struct{}, bool)
	stop   func()
	yield  func(struct{}) bool
	ready  func() bool // what it is parked for; nil: it has not begun
	ended  bool
	killed bool
}

// Spawn makes a task that has not begun to run.
func Spawn(body func(t *Task)) *Task {
	t := &Task{}
	t.next, t.stop = iter.Pull(func(yield func(struct{}) bool) {
		t.yield = yield
		body(t)
	})
	return t
}

// Ended reports whether the task has come to its end.
func (t *Task) Ended() bool { return t.ended }

// Killed reports whether the task is to unwind.
func (t *Task) Killed() bool { return t.killed }

// Runnable reports whether a resume would get anywhere.
func (t *Task) Runnable() bool { return !t.ended && (t.ready == nil || t.ready()) }

// Current is the task that runs.
func (s *Tasks) Current() *Task { return s.current }

// Resume runs a task until it parks or ends.
func (s *Tasks) Resume(t *Task) {
	before := s.current
	s.current = t
	_, alive := t.next()
	s.current = before
	t.ended = !alive
}

// Kill ends a task: whatever it waits for fails from now on, and it unwinds.
func (s *Tasks) Kill(t *Task) {
	if t.ended {
		return
	}
	t.killed = true
	before := s.current
	s.current = t
	t.stop()
	s.current = before
	t.ended = true
}

// Park waits until ready says so. It returns false when the task is being killed.
func (t *Task) Park(ready func() bool) bool {
	for !t.killed && !ready() {
		t.ready = ready
		if !t.yield(struct{}{}) {
			t.killed = true
		}
	}
	return !t.killed
}

// Await is the engine's Env.Await: the only place where a request may wait.
func (s *Tasks) Await(ctx context.Context, ready <-chan struct{}) error {
	done := func() bool { return closed(ready) || ctx.Err() != nil }
	if s.current == nil {
		panic("sim: a request waits outside of any task")
	}
	if !s.current.Park(done) {
		return context.Canceled
	}
	if closed(ready) {
		return nil
	}
	return ctx.Err()
}

func closed(ch <-chan struct{}) bool {
	select {
	case <-ch:
		return true
	default:
		return false
	}
}
