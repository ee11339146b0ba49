// Package turns runs goroutines one at a time and chooses who is next, so that how they
// interleave follows from a seed and can be repeated.
//
// It has the names of packages sync and sync/atomic that production code uses, with the
// same meaning. In a build for interleaving (package interleave) they stand in their place,
// and channel operations, select and go statements are calls of this package (chan.go). Each
// such operation is a point: the thread that comes to it may be stopped there and another one
// go on. One that lets others go on, an unlock or a close, is followed by a point as well,
// so that what the code does too late after it is seen.
//
// A thread that waits says what for, as a function. If no thread can go on, the run is
// a deadlock. Time does not rescue it: tickers fire only when a program says so (Tick).
//
// Goroutines that are no threads of the run, above all Pebble's, run beside it. What they do
// with these types is real and no point, and what a thread asks of them is one step of it.
package turns

import (
	"context"
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"
	"sync/atomic"
	"time"
)

// maxSteps is how many points a run may pass. No program needs a tenth of it.
const maxSteps = 50_000

// Finding is what is wrong with a schedule.
type Finding struct {
	Kind string `json:"kind"` // deadlock, panic, endless or broken
	Text string `json:"text"`
	// Where each thread that has not ended was, if the run was traced.
	Threads []string `json:"threads,omitempty"`
	// Trace has a line for each switch from one thread to another, if the run was traced.
	Trace []string `json:"trace,omitempty"`
}

// thread is a goroutine of the run.
type thread struct {
	name     string
	children int
	g        uintptr
	wake     chan struct{}
	ready    func() bool // what it waits for; nil: it can go on
	priority int64
	what     string // the operation that it is about to do, and where, if the run is traced
	callers  []uintptr
}

// run is one schedule.
type run struct {
	policy  policy
	threads []*thread // that have not ended
	current atomic.Pointer[thread]
	steps   int
	choices int // points at which several threads could go on
	tracing bool
	asking  bool // what threads wait for is looked at: no points then
	trace   []string
	tickers []*Ticker
	found   *Finding
	over    chan struct{}
}

// running is the run of this process; there is one at a time.
var running atomic.Pointer[run]

// Run carries out one schedule of program, whose first thread is main, and returns what is
// wrong with it, nil if nothing is, and at how many points there was a choice. After a finding
// the threads stay where they are: the process should end.
func Run(main func(), p Policy, traced bool) (*Finding, int) {
	r := &run{policy: p.start(), tracing: traced, over: make(chan struct{})}
	if !running.CompareAndSwap(nil, r) {
		panic("turns: two runs at once")
	}
	defer running.Store(nil)
	first := r.spawn("main", main)
	r.current.Store(first)
	first.wake <- struct{}{}
	<-r.over
	return r.found, r.choices
}

// spawn makes a thread that runs f when it is chosen.
func (r *run) spawn(name string, f func()) *thread {
	t := &thread{name: name, wake: make(chan struct{}, 1), what: "start"}
	r.policy.born(t)
	r.threads = append(r.threads, t)
	started := make(chan struct{})
	go func() {
		t.g = self()
		close(started)
		<-t.wake
		defer func() {
			if p := recover(); p != nil {
				r.fail("panic", fmt.Sprintf("%s: %v\n%s", t.name, p, debug.Stack()))
			}
		}()
		f()
		r.ended(t)
	}()
	<-started
	return t
}

// me is the run and its thread that calls, or nil if another goroutine does.
func me() (*run, *thread) {
	r := running.Load()
	if r == nil {
		return nil, nil
	}
	if t := r.current.Load(); t != nil && t.g == self() && !r.asking {
		return r, t
	}
	return nil, nil
}

// Go starts a thread. The name of a thread says who started it: main.2 is main's second.
func Go(f func()) {
	r, t := me()
	if r == nil {
		go f()
		return
	}
	t.children++
	r.spawn(fmt.Sprintf("%s.%d", t.name, t.children), f)
	point("go")
}

// point lets another thread go on, or not.
func point(what string) {
	if r, t := me(); r != nil {
		r.pass(t, what)
	}
}

// until is a point after which ready holds. It reports false, at once, to a goroutine
// that is no thread of the run.
func until(what string, ready func() bool) bool {
	r, t := me()
	if r == nil {
		return false
	}
	t.ready = ready
	r.pass(t, what)
	t.ready = nil
	return true
}

func (r *run) pass(t *thread, what string) {
	t.what = what
	if r.tracing {
		t.callers = make([]uintptr, 24)
		t.callers = t.callers[:runtime.Callers(3, t.callers)]
	}
	if r.steps++; r.steps > maxSteps {
		r.fail("endless", fmt.Sprintf("the run has not ended after %d points", maxSteps))
	}
	next := r.choose(t)
	if next == t {
		return
	}
	if next == nil {
		r.fail("deadlock", "no thread can go on: a call does not return")
	}
	r.hand(t, next)
	<-t.wake
}

// hand makes next the current thread.
func (r *run) hand(t, next *thread) {
	if r.tracing {
		r.trace = append(r.trace, fmt.Sprintf("%5d  %-10s stops before %s; %s goes on", r.steps, t.name, t.place(), next.name))
	}
	r.current.Store(next)
	next.wake <- struct{}{}
}

// choose returns one of the threads that can go on, or nil.
func (r *run) choose(t *thread) *thread {
	can := make([]*thread, 0, 16)
	r.asking = true
	for _, other := range r.threads {
		if other.ready == nil || other.ready() {
			can = append(can, other)
		}
	}
	r.asking = false
	if len(can) == 0 {
		return nil
	}
	if len(can) == 1 {
		return can[0]
	}
	r.choices++
	return r.policy.next(r.choices, t, can)
}

// ended takes a thread out of the run, which is over with the last.
func (r *run) ended(t *thread) {
	for i, other := range r.threads {
		if other == t {
			r.threads = append(r.threads[:i], r.threads[i+1:]...)
			break
		}
	}
	t.what, t.callers = "its end", nil
	if len(r.threads) == 0 {
		close(r.over)
		return
	}
	next := r.choose(t)
	if next == nil {
		r.fail("deadlock", "no thread can go on: a call does not return")
	}
	r.hand(t, next)
}

// Fail ends the run with a finding. It does not return: what called it may recover from
// panics.
func Fail(format string, args ...any) {
	r, _ := me()
	if r == nil {
		panic(fmt.Sprintf(format, args...))
	}
	r.fail("broken", fmt.Sprintf(format, args...))
}

func (r *run) fail(kind, text string) {
	r.found = &Finding{Kind: kind, Text: text, Trace: r.trace}
	r.asking = true
	for _, t := range r.threads {
		state := "can go on"
		if t.ready != nil && !t.ready() {
			state = "waits"
		}
		r.found.Threads = append(r.found.Threads, fmt.Sprintf("%s %s at %s", t.name, state, t.place()))
	}
	close(r.over)
	select {}
}

const here = "sim/interleave/turns/"

// repository is how the paths of its files begin in this build.
var repository = func() string {
	_, file, _, _ := runtime.Caller(0)
	root, _, _ := strings.Cut(file, here)
	return root
}()

// place is what a thread is about to do, and where in the repository, if that is known.
func (t *thread) place() string {
	frames := runtime.CallersFrames(t.callers)
	for len(t.callers) > 0 {
		f, more := frames.Next()
		path, ours := strings.CutPrefix(f.File, repository)
		if ours && !strings.HasPrefix(path, here) {
			return fmt.Sprintf("%s (%s:%d)", t.what, path, f.Line)
		}
		if !more {
			break
		}
	}
	return t.what
}

// WithTimeout is context.WithTimeout, of which no time passes.
func WithTimeout(ctx context.Context, _ time.Duration) (context.Context, context.CancelFunc) {
	return context.WithCancel(ctx)
}

// AfterFunc is context.AfterFunc.
func AfterFunc(ctx context.Context, f func()) (stop func() bool) {
	if r, _ := me(); r == nil {
		return context.AfterFunc(ctx, f)
	}
	begun, stopped := false, false
	Go(func() {
		until("AfterFunc", func() bool { return stopped || ctx.Err() != nil })
		if !stopped {
			begun = true
			f()
		}
	})
	return func() bool {
		point("stop of AfterFunc")
		first := !begun && !stopped
		stopped = true
		return first
	}
}

// Until waits, in a program, until ready holds.
func Until(ready func() bool) {
	if !until("wait of the program", ready) {
		panic("turns: Until outside of a run")
	}
}

// Point lets another thread go on, in a program.
func Point() { point("point of the program") }
