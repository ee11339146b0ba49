// Package askers holds clients that ask what agents ask of a store besides reads and writes: they increment
// and append, work under leases, write what expires or is due and claim it, fork, clear and restore, find and compare. They send
// requests without a client library, so that whatever the daemon takes can be asked, and check nothing:
// every request is in the history, which the judges see.
//
// [Unleash] starts some in a world; which, and what they ask, follows from its seed.
package askers

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"statehouse.dev/statehouse/history"
	"statehouse.dev/statehouse/sim"
	"statehouse.dev/statehouse/sim/simdisk"
	"statehouse.dev/statehouse/sim/step"
)

// asker is a client that asks what agents ask besides reads and writes, and without a client library: it
// increments and appends, works under leases, writes what expires, forks, finds and compares.
type asker struct {
	w    *sim.World
	p    *sim.Program
	r    *rand.Rand
	name string

	token uint64   // of the lease that it believes to hold; 0: none
	seen  []uint64 // commits that it heard of

	claims []claim // that it believes to hold
	old    bool    // it asks for Structs where it does not ask for bytes
	forks  []string
}

// share of the runs in which there are askers, and of askers that ask for Structs.
const asking, oldAsker = 0.3, 0.1

const patience = 3 * time.Second

// Unleash starts some, or none, each of which does so many things.
func Unleash(w *sim.World, rounds int) {
	r := simdisk.Stream(w.Seed(), "askers")
	if r.Float64() >= asking {
		return
	}
	for i := range 1 + r.IntN(3) {
		name := fmt.Sprintf("asker%d", i+1)
		w.Launch(name, func(p *sim.Program) {
			a := &asker{w: w, p: p, r: simdisk.Stream(w.Seed(), "asker", name), name: name}
			a.old = a.chance(oldAsker)
			for range rounds {
				if p.Over() {
					return
				}
				a.round()
			}
		})
	}
}

func (a *asker) chance(p float64) bool { return a.r.Float64() < p }

// send carries a request through, and answers what was told; nil: the run is over.
func (a *asker) send(kind history.Kind, in history.Input) *history.Operation {
	s := step.Step{Verb: step.Call, Client: a.name, Kind: kind, In: in}
	if in.Lineage && a.chance(0.4) { // which shows more than the agent that it names
		s.Token = a.w.KeyFor(s, a.r.IntN(1<<20))
	}
	op := a.p.Send(s, patience)
	if op != nil && op.Outcome == history.OK {
		if ts := op.NewestCommit(); ts > 0 {
			a.seen = append(a.seen, ts)
		}
	}
	return op
}

const askedAgent = "shared"

func (a *asker) key(list ...string) history.Name {
	return history.Name{Namespace: "default", Agent: askedAgent, Key: list[a.r.IntN(len(list))]}
}

// transact sends operations, and now and then sends them again, as whoever heard no answer.
func (a *asker) transact(in history.Input) *history.Operation {
	in.TxnID = a.w.FreshTxn()
	in.Native = history.EvaluatesAny(in.Writes) && a.chance(0.4) // of what else there is no value to be shown
	if a.chance(0.3) {
		in.Metadata = map[string]string{"actor": a.name}
	}
	op := a.send(history.Transact, in)
	for again := 0; op != nil && again < 2 && (op.Outcome == history.Unknown || a.chance(0.1)); again++ {
		op = a.send(history.Transact, in)
	}
	return op
}

func (a *asker) writes(list ...history.Write) *history.Operation {
	return a.transact(history.Input{Writes: list})
}

// round does one thing.
func (a *asker) round() {
	switch a.r.IntN(21) {
	case 0, 1:
		a.evaluate()
	case 2, 3:
		a.append()
	case 4, 5, 6:
		a.work()
	case 7:
		a.expire()
	case 8, 9:
		a.look()
	case 10:
		a.observe()
	case 11, 12:
		a.family()
	case 13, 14, 15:
		a.wake()
	case 16, 17:
		a.blob()
	case 18:
		a.show()
	case 19:
		a.descent()
	default:
		_ = a.p.Sleep(context.Background(), time.Duration(a.r.IntN(300))*time.Millisecond)
	}
}

// evaluate increments, merges, and writes what is absent.
func (a *asker) evaluate() {
	n := a.key("count", "count", "doc", "exp-1")
	inc := history.Write{Name: n, Op: history.Increment, With: &history.Arguments{
		Pointer: []string{"/n", "/n", "/deep/m", "/by/" + a.name}[a.r.IntN(4)], Delta: []string{"1", "1", "0.1", "-3", "1e2"}[a.r.IntN(5)],
	}}
	if a.chance(0.2) {
		inc.With.Max = "20"
	}
	merge := history.Write{Name: n, Op: history.Merge, Value: fmt.Sprintf(`{"m":%d,"gone":null,"deep":{"by":%q}}`, a.r.IntN(9), a.name)}
	absent := history.Write{Name: a.key("once-1", "once-2", "count"), Op: history.IfAbsent, Value: a.value(fmt.Sprintf(`{"by":%q,"n":%d}`, a.name, a.r.IntN(99)))}
	switch a.r.IntN(6) {
	case 0, 1:
		a.writes(inc)
	case 2:
		a.writes(merge)
	case 3:
		a.writes(inc, inc, merge)
	case 4:
		a.writes(absent)
	case 5:
		a.writes(history.Write{Name: a.key("count", "once-1", "once-2"), Delete: true})
	}
}

// append adds to a conversation, and now and then deletes of it.
func (a *asker) append() {
	w := history.Write{Name: a.key("log-"), Op: history.Append, Value: a.value(fmt.Sprintf(`{"by":%q,"n":%d}`, a.name, a.r.IntN(1000)))}
	switch a.r.IntN(6) {
	case 0:
		a.writes(w, w)
	case 1:
		op := a.writes(w)
		if op != nil && op.Outcome == history.OK && len(op.Out.Results) > 0 {
			a.writes(history.Write{Name: history.Name{Namespace: "default", Agent: askedAgent, Key: op.Out.Results[0].Key}, Delete: true})
		}
	case 2:
		w.With = &history.Arguments{TTL: uint64(100 + a.r.IntN(2000))}
		a.writes(w)
	default:
		a.writes(w)
	}
}
