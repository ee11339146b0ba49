package repro

import (
	"cmp"
	"fmt"
	"slices"

	"statehouse.dev/statehouse/history"
	"statehouse.dev/statehouse/linearizability/oracle/model"
)

// Not every commit of a capture can be asked for again. Leases are held, and records expire and fall due,
// by clocks that are not these; an act reaches keys that the capture need not speak of, and so does the
// next number of a sequence; what an operator does, no client asks for. Of such a commit what it did to
// keys is written, so that the ones after it meet the state that they met: an echo. No difference can be
// found in it.

// place is where a commit of the capture is here.
type place struct {
	event *history.Event
	here  uint64            // the last commit of the world that did it; 0: it changed nothing that is seen
	ops   []history.EventOp // what that must have done; nil: it is an echo
}

// visible is what a commit did to keys, each by itself.
func (x *reexecution) visible(ev *history.Event) (list []history.EventOp) {
	for _, o := range x.model.Changes(ev) {
		switch {
		case o.Act != nil: // only a fork stays one operation
			list = append(list, x.model.Inherits(history.AgentName{Namespace: o.Namespace, Agent: o.Agent})...)
		case !model.Hidden(o.Name):
			list = append(list, o)
		}
	}
	return list
}

// onlyEchoes reports whether a commit cannot be asked for again.
func (x *reexecution) onlyEchoes(ev *history.Event, a *attempt) bool {
	if ev.Cause != "" || ev.ByOperator() || slices.ContainsFunc(ev.Ops, func(o history.EventOp) bool { return o.Act != nil }) {
		return true
	}
	if a != nil && a.commit != nil && a.commit.Kind == history.Transact {
		return slices.ContainsFunc(a.commit.In.Writes, func(w history.Write) bool {
			return w.Op != "" && w.Op != history.Increment && w.Op != history.Merge && w.Op != history.IfAbsent
		})
	}
	return slices.ContainsFunc(ev.Ops, func(o history.EventOp) bool { return o.Lease != nil || o.Due })
}

// echo writes what a commit did.
func (x *reexecution) echo(ev *history.Event) error {
	changes, here := x.visible(ev), uint64(0)
	for some := range slices.Chunk(changes, mostWrites) {
		op, err := x.do(history.Transact, history.Input{TxnID: x.w.FreshTxn(), Writes: rewrites(some)})
		if err == nil && op.Outcome != history.OK {
			err = fmt.Errorf("what commit %d did cannot be written: %v", ev.CommitTS, op.Error)
		}
		if err != nil {
			return err
		}
		x.made++
		here = x.made
		for i, v := range op.Out.Versions {
			x.delta[some[i].Name] = some[i].Version - v.Version
		}
	}
	if ev.Cause != "" { // which moves no head where it was captured, and does here
		for _, o := range changes {
			x.moved[history.AgentName{Namespace: o.Namespace, Agent: o.Agent}] = true
		}
	}
	x.places = append(x.places, place{event: ev, here: here})
	return nil
}

// rewrites are writes that do what was done.
func rewrites(ops []history.EventOp) (writes []history.Write) {
	for _, o := range ops {
		writes = append(writes, rewrite(o.Name, o.Delete, o.Value))
	}
	return writes
}

// rewrite is a write that makes a state.
func rewrite(n history.Name, deleted bool, value string) history.Write {
	if value == "" && !deleted { // it was erased or pruned
		value = "{}"
	}
	return history.Write{Name: n, Delete: deleted, Value: writable(value)}
}

// at says that the last commit of the world did an event, and what it must have done.
func (x *reexecution) at(ev *history.Event, ops []history.EventOp) {
	x.places = append(x.places, place{event: ev, here: x.made, ops: ops})
}

// translated is what an event did, in versions and values of the world.
func (x *reexecution) translated(ev *history.Event) []history.EventOp {
	ops := slices.Clone(x.visible(ev))
	for i := range ops {
		ops[i].Version -= x.delta[ops[i].Name]
		if !ops[i].Delete {
			ops[i].Value = writable(ops[i].Value)
		}
	}
	return ops
}

// commitHere is the commit of the world that did what one of the capture did.
func (x *reexecution) commitHere(ts uint64) (here uint64, known bool) {
	i, known := slices.BinarySearchFunc(x.places, ts, place.compare)
	if !known || x.places[i].here == 0 {
		return 0, false
	}
	return x.places[i].here, true
}

// stateHere is the last commit of the world in what was seen after one of the capture: what was seen before the first
// is what was set up.
func (x *reexecution) stateHere(ts uint64) uint64 {
	i, _ := slices.BinarySearchFunc(x.places, ts+1, place.compare)
	for i--; i >= 0; i-- {
		if here := x.places[i].here; here > 0 {
			return here
		}
	}
	return uint64(x.setups)
}

func (p place) compare(ts uint64) int { return cmp.Compare(p.event.CommitTS, ts) }

// timeless are the arguments of an operation without times at which something happens.
func timeless(with *history.Arguments) *history.Arguments {
	if with == nil {
		return nil
	}
	out := *with
	out.TTL, out.DueAt, out.DueIn = 0, 0, nil
	if out == (history.Arguments{}) {
		return nil
	}
	return &out
}
