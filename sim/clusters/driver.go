package clusters

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"statehouse.dev/statehouse/history"
	"statehouse.dev/statehouse/sim"
	"statehouse.dev/statehouse/sim/askers"
	"statehouse.dev/statehouse/sim/clients"
	"statehouse.dev/statehouse/sim/simdisk"
	"statehouse.dev/statehouse/sim/step"
	"statehouse.dev/statehouse/sim/workload"
)

// Size bounds what takes part in a run, but for Nodes, which says how many there are.
type Size struct {
	Clients, Rounds int
	Calm            bool
	Nodes           int
}

// Generate makes up the run that follows from a seed, and judges it.
func Generate(seed uint64, z Size, o sim.Options) *sim.Result {
	s := Draw(seed, z.Nodes, o.Class)
	if z.Clients > 0 {
		s.clients, s.ops = min(s.clients, z.Clients), min(s.ops, z.Rounds)
	}
	if z.Calm {
		s.deaths, s.troubles, s.changes, s.disturb = 0, 0, 0, 0
	}
	o.Class = s.Class
	w := sim.NewWorld(seed, s.Config, o)
	all := workload.All()
	told := clients.NewRecorder(w)
	for i := range s.clients {
		clients.Launch(w, told, fmt.Sprintf("c%d", i+1), all[s.workloads[i%len(s.workloads)]], clients.Options{
			Rounds: s.ops, Agents: s.agents, Names: s.names, Home: "default", Structs: s.structs,
		})
	}
	if z.Clients == 0 {
		askers.Unleash(w, s.ops)
	}
	newDriver(w, s).run()
	r := w.Finish()
	clients.Judge(r, told)
	return r
}

// driver makes up a run.
type driver struct {
	w       *sim.World
	swarm   Swarm
	pick    *rand.Rand // who moves next
	nemesis *rand.Rand // what goes wrong
	plans   []planned
	mends   []mend
	wishes  []*wish
}

func newDriver(w *sim.World, s Swarm) *driver {
	d := &driver{w: w, swarm: s, pick: simdisk.Stream(w.Seed(), "schedule"), nemesis: simdisk.Stream(w.Seed(), "nemesis")}
	d.planTroubles(3 * s.clients * s.ops)
	return d
}

// maxSteps ends a run whose clients get nowhere: that is a violation of its own.
const maxSteps = 40_000

func (d *driver) run() {
	w := d.w
	for _, n := range w.Nodes() {
		d.step(step.Step{Verb: step.Start, Node: n.Name})
	}
	for !w.Broken() && slices.ContainsFunc(w.Programs(), func(p *sim.Program) bool { return !p.Ended() && !p.Serves() }) {
		if w.Applied() > maxSteps {
			w.Violate("R8", "no-progress", fmt.Sprintf("after %d steps the clients are not done", maxSteps))
			break
		}
		if d.goesWrong() {
			continue
		}
		d.draw(d.choices())
	}
	w.EndPrograms()
}

func (d *driver) step(s step.Step) bool { return d.w.Apply(s) == nil }

// choice is something that may happen next, and how likely it is.
type choice struct {
	weight float64
	do     func()
}

func (d *driver) draw(list []choice) {
	total := 0.0
	for i := range list {
		total += list[i].weight
	}
	at := d.pick.Float64() * total
	for i := range list {
		if at -= list[i].weight; at < 0 {
			list[i].do()
			return
		}
	}
	d.timePasses()
}

// tickTime is what passes between two ticks of a node, about.
const tickTime = 20 * time.Millisecond

// timePasses lets it pass for all nodes, most of the time.
func (d *driver) timePasses() {
	d.step(step.Step{Verb: step.Advance, Duration: tickTime})
	for _, n := range d.w.Nodes() {
		if n.Running && !n.Paused && d.pick.Float64() >= d.swarm.sleepy {
			d.step(step.Step{Verb: step.Tick, Node: n.Name})
		}
	}
}

// choices lists what may happen next, in an order that follows from the world alone.
func (d *driver) choices() (list []choice) {
	s := &d.swarm
	add := func(weight float64, do func()) { list = append(list, choice{weight, do}) }
	for _, p := range d.w.Programs() {
		if p.Runnable() {
			add(s.run, p.Resume)
		}
	}
	for _, c := range d.w.UnderWay() {
		d.callChoices(add, c)
	}
	for _, l := range d.w.Links() {
		if l.Handed && !l.Stands {
			add(s.arrive, func() { d.step(step.Step{Verb: step.Hand, Node: l.From, Peer: l.To}) })
		}
		if l.Waiting > 0 && !l.Stands {
			d.linkChoices(add, &l)
		}
	}
	for _, n := range d.w.Nodes() {
		d.nodeChoices(add, &n)
	}
	for _, w := range d.wishes {
		add(s.operate, func() { d.asksAgain(w) })
	}
	add(s.tick, d.timePasses)
	add(s.pause, func() {
		d.step(step.Step{Verb: step.Advance, Duration: time.Duration(1+d.pick.IntN(100)) * time.Millisecond})
	})
	return list
}

func (d *driver) callChoices(add func(float64, func()), c *sim.Call) {
	s, of := &d.swarm, c.ID()
	do := func(verb step.Verb) func() { return func() { d.step(step.Step{Verb: verb, Of: of}) } }
	switch {
	case !c.Arrived():
		add(s.deliver, do(step.Deliver))
		add(s.loss, do(step.Drop))
		// Nothing repeats the write of an open transaction: see package fuzz.
		if !c.Stream() && c.Copies() == 0 && c.Kind() != history.StageWrite && c.Kind() != history.StageDelete {
			add(s.dup, do(step.Dup))
		}
	case c.Answering():
		add(s.reply, do(step.Reply))
		add(s.loss, do(step.Lose))
	case c.Stream():
		add(s.cut, do(step.Lose))
	default:
		add(s.timeout, do(step.Expire))
	}
	if !c.Done() {
		add(s.timeout, do(step.Timeout))
	}
	if c.Copies() > 0 {
		add(s.again, do(step.Again))
	}
}

func (d *driver) linkChoices(add func(float64, func()), l *sim.LinkView) {
	s := &d.swarm
	do := func(verb step.Verb) func() {
		return func() { d.step(step.Step{Verb: verb, Node: l.From, Peer: l.To}) }
	}
	add(s.arrive, do(step.Deliver))
	add(s.lost, do(step.Drop))
	add(s.doubled, do(step.Dup))
	if l.Waiting > 1 {
		add(s.overtakes, func() {
			d.step(step.Step{Verb: step.Deliver, Node: l.From, Peer: l.To, Nth: 2 + d.pick.IntN(l.Waiting-1)})
		})
	}
}

func (d *driver) nodeChoices(add func(float64, func()), n *sim.NodeView) {
	s := &d.swarm
	do := func(verb step.Verb) func() {
		return func() { d.step(step.Step{Verb: verb, Node: n.Name}) }
	}
	switch {
	case n.Gone:
		return
	case !n.Running:
		weight := s.start
		if n.Again {
			weight *= 8
			add(s.disturb, func() { d.disturbsCopy(n.Name) })
		}
		add(weight, func() { d.start(n) })
	case n.Paused:
	default:
		if n.Asked {
			add(s.plan, do(step.Plan))
		}
		if n.Storing > 0 {
			add(s.synced, do(step.Synced))
		}
		if n.Storing > 1 {
			add(s.synced/4, func() { d.step(step.Step{Verb: step.Synced, Node: n.Name, Nth: 1 + d.pick.IntN(n.Storing-1)}) })
		}
		if n.Behind {
			add(s.fetch, do(step.Fetch))
			add(s.disturb, func() { d.disturbsCopy(n.Name) })
		}
		add(s.flush, do(step.Flush))
		add(s.compact, do(step.Compact))
	}
}
