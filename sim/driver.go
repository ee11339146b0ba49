package sim

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"statehouse.dev/statehouse/client"
	"statehouse.dev/statehouse/history"
	"statehouse.dev/statehouse/sim/simdisk"
	"statehouse.dev/statehouse/sim/workload"
)

// program is a client process: a workload's program in a coroutine.
type program struct {
	name string
	*task
	wake time.Duration // it sleeps until then; 0: it does not
}

// simContext ends at a moment of simulated time. Nobody waits on its Done.
type simContext struct {
	context.Context
	w        *World
	deadline time.Duration
}

func (c simContext) Err() error {
	if c.w.over || c.w.elapsed >= c.deadline {
		return context.DeadlineExceeded
	}
	return nil
}

// driver makes up a run: at every step it draws, from streams that follow from
// the seed, who moves next and what goes wrong. What it draws becomes steps, which
// are all that the world ever sees.
type driver struct {
	w        *World
	mix      mix
	pick     *rand.Rand // who moves next
	nemesis  *rand.Rand // what goes wrong
	programs []*program
	deaths   []int // numbers of operations at which the daemon is to die
	faults   []int // likewise, at which something else goes wrong
}

// Generate makes up the run that follows from a seed, and judges it.
func Generate(seed uint64, o Options) *Result {
	m := drawMix(seed, o)
	w := NewWorld(seed, m.config, o)
	newDriver(w, m).begin().run()
	r := w.Finish()
	r.Class = m.class
	return r
}

func newDriver(w *World, m mix) *driver {
	return &driver{w: w, mix: m, pick: simdisk.Stream(w.seed, "schedule"), nemesis: simdisk.Stream(w.seed, "nemesis")}
}

// Options says how runs are made up.
type Options struct {
	Class   Class // empty: drawn
	Trace   func(format string, args ...any)
	Command string // that makes this run again, for the report
	// Disturb is the seed of moments at which goroutines lose the processor, as they do
	// on a busy machine: the run must be the same. 0: at none.
	Disturb uint64
}

// begin starts the clients and the daemon, and draws when things go wrong.
func (d *driver) begin() *driver {
	all := workload.All()
	for i := range d.mix.clients {
		l := all[d.mix.workloads[i%len(d.mix.workloads)]]
		d.programs = append(d.programs, d.launch(fmt.Sprintf("c%d", i+1), l))
	}
	d.schedule(d.mix.clients * d.mix.ops)
	d.step(Step{Verb: Start})
	return d
}

// schedule draws when in a run of so many operations things go wrong.
func (d *driver) schedule(total int) {
	for range d.mix.deaths {
		d.deaths = append(d.deaths, 1+d.nemesis.IntN(total))
	}
	for range d.mix.faults {
		d.faults = append(d.faults, 1+d.nemesis.IntN(total))
	}
}

func (d *driver) launch(name string, l workload.Workload) *program {
	w := d.w
	rng := simdisk.Stream(w.seed, "client", name)
	ids := simdisk.Stream(w.seed, "ids", name)
	p := &program{name: name}
	sleep := func(ctx context.Context, pause time.Duration) error {
		p.wake = w.elapsed + pause
		if !p.park(func() bool { return w.elapsed >= p.wake || ctx.Err() != nil }) {
			return context.Canceled
		}
		p.wake = 0
		return ctx.Err()
	}
	c, err := client.New(conn{w, name}, client.Config{
		Timeout: -1, AttemptTimeout: -1, PageSize: 1 + rng.IntN(4),
		Now: w.wallClock, Sleep: sleep,
		Rand: func(b []byte) {
			for i := range b {
				b[i] = byte(ids.Uint32())
			}
		},
	})
	if err != nil {
		panic("sim: the client's configuration: " + err.Error())
	}
	env := &workload.Env{
		Client: c, Rand: rng, Name: name, Ops: 1, Agents: d.mix.agents, Pause: sleep, Epoch: epoch,
		Within: func(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
			return simContext{ctx, w, w.elapsed + d}, func() {}
		},
	}
	p.task = w.spawn(func(*task) {
		for range d.mix.ops {
			if w.over || p.killed {
				return
			}
			ctx := simContext{context.Background(), w, w.elapsed + 20*time.Second}
			if err := l.Run(ctx, env); err != nil {
				w.violate("G3", "workload-"+l.Name, 0, name+": "+err.Error())
				return
			}
		}
	})
	return p
}

// choice is something that may happen next, and how likely it is.
type choice struct {
	weight float64
	do     func()
}

// flushEvery keeps Pebble's memtable, which has 256 KiB, from filling up by itself:
// when it is full is not the same in two runs.
const flushEvery = 64

// maxSteps ends a run whose clients get nowhere: that is a violation of its own.
const maxSteps = 20_000

func (d *driver) run() {
	w := d.w
	for len(w.violations) == 0 && d.alive() {
		if len(w.steps) > maxSteps {
			w.violate("G9", "no-progress", 0, fmt.Sprintf("after %d steps the clients are not done", maxSteps))
			break
		}
		if d.goesWrong() {
			continue
		}
		d.draw(d.choices())
	}
	if d.mix.class == Detectable && len(w.violations) == 0 && d.nemesis.IntN(3) > 0 {
		d.harm()
	}
	w.over = true
	for _, p := range d.programs {
		w.kill(p.task)
	}
}

func (d *driver) alive() bool {
	for _, p := range d.programs {
		if !p.ended {
			return true
		}
	}
	return false
}

func (d *driver) step(s Step) bool { return d.w.Apply(s) == nil }

// draw does one of the choices. With none left, time passes.
func (d *driver) draw(list []choice) {
	total := 0.0
	for i := range list {
		total += list[i].weight
	}
	if total == 0 {
		d.passTime()
		return
	}
	at := d.pick.Float64() * total
	for i := range list {
		if at -= list[i].weight; at < 0 {
			list[i].do()
			return
		}
	}
	list[len(list)-1].do()
}

// passTime goes to the next moment at which somebody wakes.
func (d *driver) passTime() {
	pause := 100 * time.Millisecond
	for _, p := range d.programs {
		if !p.ended && p.wake > d.w.elapsed {
			pause = min(pause, p.wake-d.w.elapsed)
		}
	}
	d.step(Step{Verb: Advance, Duration: max(pause-stepTime, 0)})
	if d.w.daemon != nil {
		d.step(Step{Verb: Tick})
	}
}

// choices lists what may happen next, in an order that follows from the world
// alone.
func (d *driver) choices() []choice {
	w, m := d.w, &d.mix
	var list []choice
	add := func(weight float64, do func()) { list = append(list, choice{weight, do}) }
	for _, p := range d.programs {
		if p.runnable() {
			add(m.run, func() { w.resume(p.task) })
		}
	}
	waiting := false
	for _, c := range d.underWay() {
		of := c.op.ID
		switch {
		case !c.arrived:
			add(m.deliver, func() { d.step(Step{Verb: Deliver, Of: of}) })
			add(m.loss, func() { d.step(Step{Verb: Drop, Of: of}) })
			// Nobody repeats the write of an open transaction: not TCP, and not the client,
			// since a late copy could undo a later write of the same key.
			if !c.stream() && c.copies == 0 && c.op.Kind != history.StageWrite && c.op.Kind != history.StageDelete {
				add(m.dup, func() { d.step(Step{Verb: Dup, Of: of}) })
			}
		case len(c.msgs) > 0 || c.answered:
			add(m.reply, func() { d.step(Step{Verb: Reply, Of: of}) })
			add(m.loss, func() { d.step(Step{Verb: Lose, Of: of}) })
		case c.stream():
			add(m.cut, func() { d.step(Step{Verb: Lose, Of: of}) })
		default:
			waiting = true
		}
		if !c.done {
			add(m.timeout, func() { d.step(Step{Verb: Timeout, Of: of}) })
		}
		if c.copies > 0 {
			add(m.again, func() { d.step(Step{Verb: Again, Of: of}) })
		}
	}
	d.daemonChoices(add, waiting)
	return list
}

func (d *driver) daemonChoices(add func(float64, func()), waiting bool) {
	w, m := d.w, &d.mix
	if w.daemon == nil {
		add(m.start, d.start)
		return
	}
	if w.inflight {
		add(m.settle, func() { d.step(Step{Verb: Settle}) })
	} else if waiting || w.queued() {
		add(m.plan, func() { d.step(Step{Verb: Plan}) })
	}
	add(m.tick, func() { d.step(Step{Verb: Tick}) })
	if flush := m.flush; flush > 0 || w.unflushed >= flushEvery {
		if w.unflushed >= flushEvery {
			flush = 50
		}
		add(flush, func() { d.step(Step{Verb: Flush}) })
	}
	add(m.compact, func() { d.step(Step{Verb: Compact}) })
	add(m.pause, func() {
		d.step(Step{Verb: Advance, Duration: time.Duration(1+d.pick.IntN(200)) * time.Millisecond})
	})
}

// underWay lists the calls that something may still happen to.
func (d *driver) underWay() []*call {
	w := d.w
	kept := w.open[:0]
	for _, c := range w.open {
		if !c.done || c.copies > 0 || !c.arrived {
			kept = append(kept, c)
		}
	}
	w.open = kept
	return kept
}
