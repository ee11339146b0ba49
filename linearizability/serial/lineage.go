package serial

import (
	"math"

	"statehouse.dev/statehouse/history"
)

// A replay with lineage shows agents one after the other, each up to where the next was forked from it. What it
// says is that each event comes right after the one before of its agent, which is the agent's head until
// then, and that the fork begins with the parent's head of then. Other streams are not among the constraints.

// addLineage adds what such a replay said, if it said all operations.
func (c *constraints) addLineage(op *history.Operation) {
	in := &op.In
	if !in.AllOperations || in.Prefix != "" || in.AllAgents {
		return
	}
	whole := in.From == nil && in.FromTime == 0 && c.base == 0
	l := &lineage{c: c, op: op, whole: whole, heads: make(map[history.AgentName]uint64), over: make(map[history.AgentName]bool)}
	for _, b := range op.Batches {
		for i := range b.Events {
			if ev := &b.Events[i]; ev.CommitTS > c.base && len(ev.Ops) > 0 {
				l.add(ev)
			}
		}
	}
}

// lineage is such a replay, as far as it has been looked at.
type lineage struct {
	c     *constraints
	op    *history.Operation
	whole bool                         // it is from the first commit on
	heads map[history.AgentName]uint64 // the last event of each agent
	over  map[history.AgentName]bool   // of which the fork has been shown
}

func (l *lineage) sees(ts uint64, list ...sight) {
	l.c.placed = append(l.c.placed, &constraint{op: l.op, call: math.MinInt64, ret: l.op.Return, placed: true, point: ts, sees: list})
}

// head adds that an agent's head at a commit was the event of it that was shown last.
func (l *lineage) head(a history.AgentName, ts uint64) {
	l.c.heads[a] = true
	if last, told := l.heads[a]; ts >= l.c.base && (told || l.whole) {
		l.sees(ts, sight{headOf(a.Namespace, a.Agent), facts{known: knowsVersion, version: last}})
	}
}

func (l *lineage) add(ev *history.Event) {
	of := history.AgentName{Namespace: ev.Ops[0].Namespace, Agent: ev.Ops[0].Agent}
	if l.over[of] {
		l.c.breaks(&constraint{op: l.op, point: ev.CommitTS}, "G5", "parent-goes-on", "it shows commit %d of agent %q, after what was forked from it", ev.CommitTS, of.Agent)
	}
	if ev.Cause == "" { // else it moves no head
		l.head(of, ev.CommitTS-1)
		l.heads[of] = ev.CommitTS
	}
	var shown []sight
	for i := range ev.Ops {
		o := &ev.Ops[i]
		switch {
		case o.Act != nil && o.Act.Kind == "forked":
			parent := history.AgentName{Namespace: o.Act.Namespace, Agent: o.Act.Agent}
			l.head(parent, o.Act.CommitTS)
			l.over[parent] = true
		case o.Act != nil || o.Lease != nil || o.Due || o.Name == (history.Name{}):
		default:
			f := facts{known: knowsExists | knowsVersion | knowsTS, exists: !o.Delete, version: o.Version, ts: ev.CommitTS}
			if f.exists && !o.Erased && !o.Pruned {
				f = l.c.showing(f, l.op, o.Value)
			}
			shown = append(shown, sight{o.Name, f})
		}
	}
	if len(shown) > 0 {
		l.sees(ev.CommitTS, shown...)
	}
}
