package sim

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"statehouse.dev/statehouse/history"
	"statehouse.dev/statehouse/sim/simdisk"
)

// Reenact makes up a run in which clients ask a piece of what they asked in a
// captured history. Which piece, who moves when and what goes wrong follows from the
// seed.
func Reenact(s *Script, seed uint64, o Options) *Result {
	rng := simdisk.Stream(seed, "script")
	m := drawMix(seed, o)
	p := s.cut(rng)
	m.clients, m.ops = len(p.clients), max(1, p.size/len(p.clients))
	m.workloads = nil
	switch rng.IntN(3) {
	case 0: // only the schedule
		m.class, m.deaths, m.faults, m.loss, m.dup, m.timeout = Recoverable, 0, 0, 0, 0, 0
	case 1: // and crashes
		m.class, m.faults = Recoverable, 0
	}
	w := NewWorld(seed, m.config, o)
	d := &driver{w: w, mix: m, pick: simdisk.Stream(seed, "schedule"), nemesis: simdisk.Stream(seed, "nemesis")}
	d.schedule(m.clients * m.ops)
	a := &actors{s: s, d: d, known: known{versions: make(map[history.Name]uint64), heads: make(map[history.Name]uint64)}}
	d.step(Step{Verb: Start})
	a.setUp(p.setup)
	for i, units := range p.clients {
		if len(units) > 0 {
			a.launch(fmt.Sprintf("c%d", i+1), units, simdisk.Stream(seed, "client", fmt.Sprint(i)))
		}
	}
	d.run()
	r := w.Finish()
	r.Class = m.class
	return r
}

// actors are the clients of a reenactment. What they know of the store they share:
// conditions that held in the capture are set so that they can hold again.
type actors struct {
	s     *Script
	d     *driver
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
func (a *actors) setUp(writes []history.Write) {
	for i := 0; i < len(writes); i += 20 {
		w := a.d.w
		id := w.nextID()
		in := history.Input{TxnID: w.names.fresh(), Writes: writes[i:min(i+20, len(writes))]}
		if w.Apply(Step{Verb: Call, Client: "setup", ID: id, Kind: history.Transact, In: in, Wait: true}) == nil {
			a.known.learn(w.calls[id].op)
		}
	}
}

// actor is one client.
type actor struct {
	*actors
	p    *program
	rng  *rand.Rand
	txns map[string]string // names in the world, by ids of the capture
	ids  map[int]int       // numbers of calls, likewise
}

func (a *actors) launch(name string, units []*unit, rng *rand.Rand) {
	x := &actor{actors: a, p: &program{name: name}, rng: rng, txns: make(map[string]string), ids: make(map[int]int)}
	a.d.programs = append(a.d.programs, x.p)
	x.p.task = a.d.w.spawn(func(*task) {
		for _, u := range units {
			for _, op := range u.ops {
				if a.d.w.over || x.p.killed {
					return
				}
				x.play(op)
			}
		}
	})
}

// play asks what was asked, and again when nobody answers, as clients do.
func (x *actor) play(op *history.Operation) {
	commits := op.Kind == history.Commit || op.Kind == history.Transact
	for try := range 4 {
		c := x.ask(op)
		if c == nil {
			return
		}
		x.known.learn(c.op)
		x.ids[op.ID] = c.op.ID
		if c.op.Outcome != history.Unknown || !commits && try > 0 {
			return
		}
		x.sleep(time.Duration(20<<try) * time.Millisecond)
	}
}

func (x *actor) sleep(pause time.Duration) {
	w := x.d.w
	x.p.wake = w.elapsed + pause
	x.p.park(func() bool { return w.elapsed >= x.p.wake })
	x.p.wake = 0
}

// patience of a client with one request.
const patience = 5 * time.Second

// ask makes one request and waits for its end; nil when it does not fit this world.
func (x *actor) ask(op *history.Operation) *call {
	w := x.d.w
	id := w.nextID()
	if w.Apply(Step{Verb: Call, Client: x.p.name, ID: id, Kind: op.Kind, In: x.input(op)}) != nil {
		return nil
	}
	c := w.calls[id]
	if op.Kind == history.Watch {
		return nil // it goes on beside what follows
	}
	deadline := w.elapsed + patience
	x.p.wake = deadline
	x.p.park(func() bool { return c.done || w.elapsed >= deadline })
	x.p.wake = 0
	if !c.done && !w.over {
		_ = w.Apply(Step{Verb: Timeout, Of: id})
	}
	return c
}

// input is what was asked, in terms of this world.
func (x *actor) input(op *history.Operation) history.Input {
	in := op.In
	id := in.TxnID
	if op.Kind == history.Begin {
		id = op.Out.TxnID
		delete(x.txns, id) // one that is asked for again is another
	}
	if id != "" {
		if _, known := x.txns[id]; !known {
			x.txns[id] = x.d.w.names.fresh()
		}
		in.TxnID = x.txns[id]
	}
	in.PageOf = x.ids[in.PageOf]
	in.Value = x.s.value(in.Value)
	in.Writes = slices.Clone(in.Writes)
	for i := range in.Writes {
		w := &in.Writes[i]
		w.Value, w.Expected = x.s.value(w.Value), x.expected(op, w.Name, w.Expected)
	}
	in.Expected = x.expected(op, history.Name{Namespace: in.Namespace, Agent: in.Agent, Key: in.Key}, in.Expected)
	in.Keys, in.Heads = slices.Clone(in.Keys), slices.Clone(in.Heads)
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
func (x *actor) expected(op *history.Operation, n history.Name, was *uint64) *uint64 {
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
func (x *actor) times(in *history.Input) {
	clip := func(ts *uint64) *uint64 {
		if ts == nil || *ts <= x.known.ts {
			return ts
		}
		return new(x.known.ts - min(x.known.ts, x.rng.Uint64N(4)))
	}
	in.At, in.From, in.To = clip(in.At), clip(in.From), clip(in.To)
	in.AtTime, in.FromTime, in.ToTime = 0, 0, 0 // of another clock
}
