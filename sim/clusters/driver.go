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
	if s.Config.Keys {
		unlock(w, s.ops)
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
	list    []choice // of the step that is next
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
		for list := d.choices(); !d.draw(list); {
		}
	}
	w.EndPrograms()
}

func (d *driver) step(s step.Step) bool { return d.w.Apply(s) == nil }

// choice is something that may happen next, and how likely it is: a step, of which it has what the choices
// differ in, or what is done. Most of a run's memory was once what its choices took.
type choice struct {
	weight float64
	verb   step.Verb
	of     int
	node   string
	peer   string
	do     func() // instead
}

// draw makes one of the choices, and reports whether anything has come of it: a step that does not fit leaves the
// world as it is, and the choices, too.
func (d *driver) draw(list []choice) bool {
	total := 0.0
	for i := range list {
		total += list[i].weight
	}
	at := d.pick.Float64() * total
	for i := range list {
		c := &list[i]
		if at -= c.weight; at >= 0 {
			continue
		}
		if c.do == nil {
			return d.step(step.Step{Verb: c.verb, Of: c.of, Node: c.node, Peer: c.peer})
		}
		c.do()
		return true
	}
	d.timePasses()
	return true
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
func (d *driver) choices() []choice {
	s := &d.swarm
	d.list = d.list[:0]
	for _, p := range d.w.Programs() {
		if p.Runnable() {
			d.may(s.run, p.Resume)
		}
	}
	for _, c := range d.w.UnderWay() {
		d.callChoices(c)
	}
	for _, l := range d.w.Links() {
		if l.Handed && !l.Stands {
			d.add(choice{weight: s.arrive, verb: step.Hand, node: l.From, peer: l.To})
		}
		if l.Waiting > 0 && !l.Stands {
			d.linkChoices(&l)
		}
	}
	for _, n := range d.w.Nodes() {
		d.nodeChoices(&n)
	}
	for _, w := range d.wishes {
		d.may(s.operate, func() { d.asksAgain(w) })
	}
	if s.revoke > 0 {
		d.may(s.revoke, func() {
			nodes, names := d.w.Nodes(), sim.Principals()
			d.step(step.Step{Verb: step.Revoke, Node: nodes[d.nemesis.IntN(len(nodes))].Name, Token: names[d.nemesis.IntN(len(names)-1)]})
		})
	}
	d.may(s.tick, d.timePasses)
	d.may(s.pause, func() {
		d.step(step.Step{Verb: step.Advance, Duration: time.Duration(1+d.pick.IntN(100)) * time.Millisecond})
	})
	return d.list
}

func (d *driver) add(c choice) { d.list = append(d.list, c) }

func (d *driver) may(weight float64, do func()) { d.add(choice{weight: weight, do: do}) }

func (d *driver) callChoices(c *sim.Call) {
	s := &d.swarm
	add := func(weight float64, verb step.Verb) { d.add(choice{weight: weight, verb: verb, of: c.ID()}) }
	switch {
	case !c.Arrived():
		add(s.deliver, step.Deliver)
		add(s.loss, step.Drop)
		// Nothing repeats the write of an open transaction: see package fuzz.
		if !c.Stream() && c.Copies() == 0 && c.Kind() != history.StageWrite && c.Kind() != history.StageDelete {
			add(s.dup, step.Dup)
		}
	case c.Answering():
		add(s.reply, step.Reply)
		add(s.loss, step.Lose)
	case c.Stream():
		add(s.cut, step.Lose)
	default:
		add(s.timeout, step.Expire)
	}
	if !c.Done() {
		add(s.timeout, step.Timeout)
	}
	if c.Copies() > 0 {
		add(s.again, step.Again)
	}
}

func (d *driver) linkChoices(l *sim.LinkView) {
	s := &d.swarm
	add := func(weight float64, verb step.Verb) {
		d.add(choice{weight: weight, verb: verb, node: l.From, peer: l.To})
	}
	add(s.arrive, step.Deliver)
	add(s.lost, step.Drop)
	add(s.doubled, step.Dup)
	if waiting := l.Waiting; waiting > 1 {
		from, to := l.From, l.To
		d.may(s.overtakes, func() {
			d.step(step.Step{Verb: step.Deliver, Node: from, Peer: to, Nth: 2 + d.pick.IntN(waiting-1)})
		})
	}
}

func (d *driver) nodeChoices(n *sim.NodeView) {
	s := &d.swarm
	add := func(weight float64, verb step.Verb) { d.add(choice{weight: weight, verb: verb, node: n.Name}) }
	switch {
	case n.Gone:
		return
	case !n.Running:
		weight, view := s.start, *n
		if n.Again {
			weight *= 8
			d.may(s.disturb, func() { d.disturbsCopy(view.Name) })
		}
		d.may(weight, func() { d.start(&view) })
	case n.Paused:
	default:
		d.runningChoices(n, add)
	}
}

func (d *driver) runningChoices(n *sim.NodeView, add func(float64, step.Verb)) {
	s, name, storing := &d.swarm, n.Name, n.Storing
	if n.Asked {
		add(s.plan, step.Plan)
	}
	if storing > 0 {
		add(s.synced, step.Synced)
	}
	if storing > 1 {
		d.may(s.synced/4, func() { d.step(step.Step{Verb: step.Synced, Node: name, Nth: 1 + d.pick.IntN(storing-1)}) })
	}
	if n.Behind {
		add(s.fetch, step.Fetch)
		d.may(s.disturb, func() { d.disturbsCopy(name) })
	}
	add(s.flush, step.Flush)
	add(s.compact, step.Compact)
}
