package repro

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"statehouse.dev/statehouse/history"
	"statehouse.dev/statehouse/sim"
	"statehouse.dev/statehouse/sim/fuzz"
	"statehouse.dev/statehouse/sim/simdisk"
	"statehouse.dev/statehouse/sim/step"
)

// Reenact makes up a run in which clients ask a piece of what they asked in a
// captured history. Which piece, who moves when and what goes wrong follows from the
// seed.
func Reenact(s *Script, seed uint64, o sim.Options) *sim.Result {
	rng := simdisk.Stream(seed, "script")
	swarm := fuzz.Draw(seed, o.Class)
	p := s.cut(rng)
	switch rng.IntN(3) {
	case 0:
		swarm.OnlySchedule()
	case 1:
		swarm.WithoutFaults()
	}
	o.Class = swarm.Class
	w := sim.NewWorld(seed, swarm.Config, o)
	d := fuzz.NewDriver(w, swarm, len(p.clients)*max(1, p.size/len(p.clients)))
	c := &clients{s: s, w: w, known: known{versions: make(map[history.Name]uint64), heads: make(map[history.Name]uint64)}}
	_ = w.Apply(step.Step{Verb: step.Start})
	c.setUp(p.setup)
	for i, units := range p.clients {
		if len(units) > 0 {
			c.launch(fmt.Sprintf("c%d", i+1), units, simdisk.Stream(seed, "client", fmt.Sprint(i)))
		}
	}
	d.Run()
	return w.Finish()
}

// clients are those of a reenactment. What they know of the store they share:
// conditions that held in the capture are set so that they can hold again.
type clients struct {
	s     *Script
	w     *sim.World
	known known
}

type known struct {
	ts       uint64
	versions map[history.Name]uint64
	heads    map[history.Name]uint64 // by agent
}

func (k *known) learn(op *history.Operation) {
	if op.Outcome != history.OK {
		return
	}
	k.ts = max(k.ts, op.Out.CommitTS, op.Out.ReadTS)
	for _, v := range op.Out.Versions {
		k.versions[v.Name] = max(k.versions[v.Name], v.Version)
		a := history.Name{Namespace: v.Namespace, Agent: v.Agent}
		k.heads[a] = max(k.heads[a], op.Out.CommitTS)
	}
}

// setUp makes the state that the piece begins with.
func (c *clients) setUp(writes []history.Write) {
	for part := range slices.Chunk(writes, 20) {
		op, err := c.w.Do("setup", history.Transact, history.Input{TxnID: c.w.FreshTxn(), Writes: part})
		if err == nil {
			c.known.learn(op)
		}
	}
}

// client is one of them.
type client struct {
	*clients
	p    *sim.Program
	rng  *rand.Rand
	txns map[string]string // names in the world, by ids of the capture
	ids  map[int]int       // numbers of calls, likewise
}

func (c *clients) launch(name string, units []*unit, rng *rand.Rand) {
	c.w.Launch(name, func(p *sim.Program) {
		x := &client{clients: c, p: p, rng: rng, txns: make(map[string]string), ids: make(map[int]int)}
		for _, u := range units {
			for _, op := range u.ops {
				if p.Over() {
					return
				}
				x.ask(op)
			}
		}
	})
}

// patience is how long a client waits for one answer.
const patience = 5 * time.Second

// ask asks what was asked, and again when no answer comes, as clients do.
func (x *client) ask(op *history.Operation) {
	commits := op.Kind == history.Commit || op.Kind == history.Transact
	for try := range 4 {
		now := x.p.Ask(op.Kind, x.input(op), patience)
		if now == nil {
			return
		}
		x.known.learn(now)
		x.ids[op.ID] = now.ID
		if now.Outcome != history.Unknown || !commits && try > 0 {
			return
		}
		if x.p.Sleep(context.Background(), time.Duration(20<<try)*time.Millisecond) != nil {
			return // the run is over
		}
	}
}

// input is what was asked, in terms of this world.
func (x *client) input(op *history.Operation) history.Input {
	in := op.In
	id := in.TxnID
	if op.Kind == history.Begin {
		id = op.Out.TxnID
		delete(x.txns, id) // one that is asked for again is another
	}
	if id != "" {
		if _, known := x.txns[id]; !known {
			x.txns[id] = x.w.FreshTxn()
		}
		in.TxnID = x.txns[id]
	}
	in.PageOf = x.ids[in.PageOf]
	in.Value = writable(in.Value)
	in.Writes = slices.Clone(in.Writes)
	for i := range in.Writes {
		w := &in.Writes[i]
		w.Value, w.Expected = writable(w.Value), x.expected(op, w.Name, w.Expected)
	}
	in.Expected = x.expected(op, in.Name(), in.Expected)
	in.Keys, in.Heads = slices.Clone(in.Keys), slices.Clone(in.Heads)
	in.Reads, in.Timeout = x.reads(op, in.Reads), nil
	for i := range in.Keys {
		in.Keys[i].Expected = *x.expected(op, in.Keys[i].Name, &in.Keys[i].Expected)
	}
	for i := range in.Heads {
		h := &in.Heads[i]
		if h.Expected != 0 {
			h.Expected = x.known.heads[history.Name{Namespace: h.Namespace, Agent: h.Agent}]
		}
	}
	x.times(&in)
	return in
}

// expected is the version that a condition names: the one that is known now, where
// it held then and names any; an older one, where it did not.
func (x *client) expected(op *history.Operation, n history.Name, was *uint64) *uint64 {
	if was == nil || *was == 0 {
		return was
	}
	now := max(1, x.known.versions[n])
	if op.Outcome == history.Fail && now > 1 {
		now--
	}
	return &now
}

// times are places in the log: as far back as this one goes.
func (x *client) times(in *history.Input) {
	clip := func(ts *uint64) *uint64 {
		if ts == nil || *ts <= x.known.ts {
			return ts
		}
		return new(x.known.ts - min(x.known.ts, x.rng.Uint64N(4)))
	}
	in.At, in.From, in.To = clip(in.At), clip(in.From), clip(in.To)
	in.AtTime, in.FromTime, in.ToTime = 0, 0, 0 // of another clock
}
