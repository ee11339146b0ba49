// Package fuzz makes runs up from a seed, and makes small ones of those that fail.
//
// A seed first draws a Swarm: how many clients there are and what they do, how the daemon is
// configured, how likely everything is, and what is left out altogether. A Driver then draws
// step after step, from streams of randomness that follow from the seed: one for who moves
// next, one for the nemesis, which decides what goes wrong and when. What it draws becomes
// steps, and a world sees nothing else: so the steps of a run, applied again, are the run.
//
// Generate makes up a run and judges it. A Shrinker takes the steps of a failing one and
// leaves out what it can. Points and CrashAt sweep a scenario: they cut the power inside
// every operation of the disk, one run each.
package fuzz

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"statehouse.dev/statehouse/history"
	"statehouse.dev/statehouse/sim"
	"statehouse.dev/statehouse/sim/askers"
	"statehouse.dev/statehouse/sim/clients"
	"statehouse.dev/statehouse/sim/intent"
	"statehouse.dev/statehouse/sim/simdisk"
	"statehouse.dev/statehouse/sim/step"
	"statehouse.dev/statehouse/sim/workload"
)

// Driver makes up a run: at every step it draws, from streams that follow from
// the seed, who moves next and what goes wrong. What it draws becomes steps, which
// are all that the world ever sees.
type Driver struct {
	w       *sim.World
	swarm   Swarm
	pick    *rand.Rand // who moves next
	nemesis *rand.Rand // what goes wrong
	tampers *rand.Rand // what is done to the store past the daemon
	deaths  []int      // numbers of operations at which the daemon is to die
	faults  []int      // likewise, at which something else goes wrong
}

// NewDriver makes a driver of a run of about so many operations, and draws when in it
// things go wrong.
func NewDriver(w *sim.World, s Swarm, operations int) *Driver {
	d := &Driver{w: w, swarm: s, pick: simdisk.Stream(w.Seed(), "schedule"), nemesis: simdisk.Stream(w.Seed(), "nemesis"), tampers: simdisk.Stream(w.Seed(), "tamper")}
	for range s.deaths {
		d.deaths = append(d.deaths, 1+d.nemesis.IntN(operations))
	}
	for range s.faults {
		d.faults = append(d.faults, 1+d.nemesis.IntN(operations))
	}
	return d
}

// Generate makes up the run that follows from a seed, and judges it.
func Generate(seed uint64, o sim.Options) *sim.Result {
	return GenerateSmall(seed, Size{}, o)
}

// play starts the clients and the daemon, and goes on until they are done. It returns what
// the clients' users were told.
func play(w *sim.World, s Swarm) *intent.Recorder {
	all := workload.All()
	told := clients.NewRecorder(w)
	sessions := newSessions(w, &s)
	for i := range s.clients {
		name := fmt.Sprintf("c%d", i+1)
		clients.Launch(w, told, name, all[s.workloads[i%len(s.workloads)]], clients.Options{
			Rounds: s.ops, Agents: s.agents, Names: s.names, Home: s.home(name, w.Seed()), Structs: s.structs, Shared: sessions(),
		})
	}
	if s.chaos {
		unleash(w, &s)
	}
	if !s.Config.Refuse() {
		askers.Unleash(w, s.ops)
	}
	d := NewDriver(w, s, s.clients*s.ops)
	d.step(step.Step{Verb: step.Start})
	if slices.ContainsFunc(s.workloads, func(i int) bool { return all[i].Name == workload.Deep }) {
		d.makePast()
	}
	d.Run()
	return told
}

// choice is something that may happen next, and how likely it is.
type choice struct {
	weight float64
	do     func()
}

// maxSteps ends a run whose clients get nowhere: that is a violation of its own.
const maxSteps = 20_000

// Run goes on until the clients are done or a guarantee is broken.
func (d *Driver) Run() {
	w := d.w
	for !w.Broken() && d.alive() {
		if w.Applied() > maxSteps {
			w.Violate("G9", "no-progress", fmt.Sprintf("after %d steps the clients are not done", maxSteps))
			break
		}
		if d.goesWrong() {
			continue
		}
		d.draw(d.choices())
	}
	if d.swarm.Class == sim.Detectable && !w.Broken() && d.nemesis.IntN(3) > 0 {
		d.corrupt()
	} else if !d.swarm.Config.Unsynced && !w.Broken() && d.tampers.IntN(2) == 0 {
		d.step(step.Step{Verb: []step.Verb{step.Kill, step.Stop}[d.tampers.IntN(2)]})
		d.tamper(5, false)
	}
	w.EndPrograms()
}

func (d *Driver) alive() bool {
	return slices.ContainsFunc(d.w.Programs(), func(p *sim.Program) bool { return !p.Ended() && !p.Serves() })
}

func (d *Driver) step(s step.Step) bool { return d.w.Apply(s) == nil }

// draw does one of the choices. With none left, time passes.
func (d *Driver) draw(list []choice) {
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

// passTime goes to the next moment at which a program wakes.
func (d *Driver) passTime() {
	pause := d.w.UntilWake(100 * time.Millisecond)
	d.step(step.Step{Verb: step.Advance, Duration: max(pause-sim.StepTime, 0)})
	if d.w.Running() {
		d.step(step.Step{Verb: step.Tick})
	}
}

// choices lists what may happen next, in an order that follows from the world
// alone.
func (d *Driver) choices() []choice {
	w, s := d.w, &d.swarm
	var list []choice
	add := func(weight float64, do func()) { list = append(list, choice{weight, do}) }
	for _, p := range w.Programs() {
		if p.Runnable() {
			add(s.run, p.Resume)
		}
	}
	waiting := false
	for _, c := range w.UnderWay() {
		of := c.ID()
		switch {
		case c.Arrived() && c.Travels():
			add(s.deliver, func() { d.step(step.Step{Verb: step.Deliver, Of: of}) })
		case !c.Arrived():
			add(s.deliver, func() { d.step(step.Step{Verb: step.Deliver, Of: of}) })
			add(s.loss, func() { d.step(step.Step{Verb: step.Drop, Of: of}) })
			// Nothing repeats the write of an open transaction: not TCP, and not the client,
			// since a late copy could undo a later write of the same key.
			if !c.Stream() && !c.InSession() && c.Copies() == 0 && c.Kind() != history.StageWrite && c.Kind() != history.StageDelete {
				add(s.dup, func() { d.step(step.Step{Verb: step.Dup, Of: of}) })
			}
		case c.Answering():
			add(s.reply, func() { d.step(step.Step{Verb: step.Reply, Of: of}) })
			add(s.loss, func() { d.step(step.Step{Verb: step.Lose, Of: of}) })
		case c.Stream():
			add(s.cut, func() { d.step(step.Step{Verb: step.Lose, Of: of}) })
		default:
			waiting = true
			add(s.timeout, func() { d.step(step.Step{Verb: step.Expire, Of: of}) })
		}
		if !c.Done() {
			add(s.timeout, func() { d.step(step.Step{Verb: step.Timeout, Of: of}) })
		}
		if c.Copies() > 0 {
			add(s.again, func() { d.step(step.Step{Verb: step.Again, Of: of}) })
		}
	}
	d.daemonChoices(add, waiting)
	return list
}

func (d *Driver) daemonChoices(add func(float64, func()), waiting bool) {
	w, s := d.w, &d.swarm
	if !w.Running() {
		add(s.start, d.start)
		return
	}
	if w.InFlight() {
		add(s.settle, func() { d.step(step.Step{Verb: step.Settle}) })
	} else if waiting || w.WriterAsked() {
		add(s.plan, func() { d.step(step.Step{Verb: step.Plan}) })
	}
	if w.Draining() {
		d.drainChoices(add)
	}
	add(s.tick, func() { d.step(step.Step{Verb: step.Tick}) })
	if s.Config.Keys {
		add(s.tick/4, func() { d.step(step.Step{Verb: step.Revoke, Token: sim.Principals()[d.nemesis.IntN(3)]}) })
	}
	if s.imports > 0 && !w.InFlight() {
		add(s.imports, func() { d.step(step.Step{Verb: step.Import, Nth: 1 + d.nemesis.IntN(6)}) })
	}
	if flush := s.flush; flush > 0 || w.Unflushed() >= sim.FlushEvery {
		if w.Unflushed() >= sim.FlushEvery {
			flush = 50
		}
		add(flush, func() { d.step(step.Step{Verb: step.Flush}) })
	}
	add(s.compact, func() { d.step(step.Step{Verb: step.Compact}) })
	add(s.pause, func() {
		d.step(step.Step{Verb: step.Advance, Duration: time.Duration(1+d.pick.IntN(200)) * time.Millisecond})
	})
}
