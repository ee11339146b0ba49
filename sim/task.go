package sim

import (
	"context"
	"iter"
)

// task is a coroutine: the program of a client, or the handler of a request. One
// runs at a time, until it parks or ends; so between two parks everything it does
// is one step of the world.
type task struct {
	next   func() (struct{}, bool)
	stop   func()
	yield  func(struct{}) bool
	ready  func() bool // what it is parked for; nil: it has not begun
	ended  bool
	killed bool
}

// spawn makes a task that has not begun to run.
func (w *World) spawn(body func(t *task)) *task {
	t := &task{}
	t.next, t.stop = iter.Pull(func(yield func(struct{}) bool) {
		t.yield = yield
		body(t)
	})
	return t
}

// runnable reports whether a resume would get anywhere.
func (t *task) runnable() bool { return !t.ended && (t.ready == nil || t.ready()) }

// resume runs a task until it parks or ends.
func (w *World) resume(t *task) {
	before := w.programs.current
	w.programs.current = t
	_, alive := t.next()
	w.programs.current = before
	t.ended = !alive
}

// kill ends a task: whatever it waits for fails from now on, and it unwinds.
func (w *World) kill(t *task) {
	if t.ended {
		return
	}
	t.killed = true
	before := w.programs.current
	w.programs.current = t
	t.stop()
	w.programs.current = before
	t.ended = true
}

// park waits until ready says so. It returns false when the task is being killed.
func (t *task) park(ready func() bool) bool {
	for !t.killed && !ready() {
		t.ready = ready
		if !t.yield(struct{}{}) {
			t.killed = true
		}
	}
	return !t.killed
}

// await is the engine's Env.Await: the only place where a request may wait.
func (w *World) await(ctx context.Context, ready <-chan struct{}) error {
	done := func() bool { return closed(ready) || ctx.Err() != nil }
	t := w.programs.current
	if t == nil {
		panic("sim: a request waits outside of any task")
	}
	if !t.park(done) {
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
