package sim

import (
	"fmt"
	"slices"
	"strings"

	"statehouse.dev/statehouse/engine"
	"statehouse.dev/statehouse/history"
	"statehouse.dev/statehouse/server/access"
	"statehouse.dev/statehouse/sim/simdisk"
	"statehouse.dev/statehouse/sim/step"
	"statehouse.dev/statehouse/sim/tamper"
)

// healTime is how many election timeouts after everything is healed all nodes have the same, and a commit is
// answered (R8).
const healTime = 40

// finaleOfNodes is finale in a world of several nodes: everything is healed and what is under way answered;
// then all of them lose power at once, and what clients were told is read from who leads then.
func (w *World) finaleOfNodes() {
	applied := len(w.rec.steps)
	if print := w.rec.trace.print; print != nil {
		print("the end: every fault is healed, what is under way is answered, all nodes lose power, and everything is read")
	}
	defer func() { w.rec.steps = w.rec.steps[:applied] }()
	w.healNodes()
	w.endCallsOfNodes()
	if w.converges("after everything was healed"); w.Broken() {
		return
	}
	for _, n := range w.nodes {
		_ = w.Apply(step.Step{Verb: step.Crash, Node: n.name, Crash: simdisk.CrashOptions{Mode: simdisk.DropAll}})
	}
	w.healNodes()
	if w.converges("after all nodes lost power"); w.Broken() {
		return
	}
	w.node = w.leader()
	w.audit(false)
	w.checkRevoked()
	for ticks := 0; ticks < healTime*electionTicks; ticks++ { // what fell due while it was read is everywhere, too
		if w.flow(); w.same() {
			break
		}
		w.tickAll()
	}
	w.rest()
}

// healNodes heals everything, and starts who does not run.
func (w *World) healNodes() {
	_ = w.Apply(step.Step{Verb: step.Heal})
	for _, n := range w.nodes {
		for _, s := range []step.Step{{Verb: step.Capacity}, {Verb: step.Resume}, {Verb: step.Start}} {
			s.Node = n.name
			_ = w.Apply(s)
		}
		if n.process == nil && !n.gone() {
			w.rec.violate("G9", "does-not-start", 0, fmt.Sprintf("every fault is healed, yet %s does not start: %s", n.name, n.starts.why))
		}
	}
}

// endCallsOfNodes ends every call: what is under way arrives, what waits is answered. That it is, is a
// guarantee too (G9).
func (w *World) endCallsOfNodes() {
	for _, c := range w.network.order {
		if !c.arrived && !c.done {
			_ = w.Apply(step.Step{Verb: step.Deliver, Of: c.op.ID})
		}
	}
	waits := func() bool {
		return slices.ContainsFunc(w.network.order, func(c *Call) bool { return !c.done && !c.answered && !c.Stream() })
	}
	for range healTime * electionTicks {
		if w.flow(); !waits() || w.Broken() {
			break
		}
		w.tickAll()
	}
	for _, c := range w.network.order {
		for !c.done && c.Answering() && w.Apply(step.Step{Verb: step.Reply, Of: c.op.ID}) == nil {
		}
		if c.done {
			continue
		}
		if p := c.node.process; c.arrived && p != nil && c.gen == p.generation {
			if c.watches() {
				c.op.Rest = uint64(p.service.Engine().Published())
			} else if !c.Stream() {
				w.rec.violate("G9", "no-answer", c.op.ID, fmt.Sprintf("call #%d to %s is never answered, and no fault is left", c.op.ID, c.node.name))
			}
		}
		_ = w.Apply(step.Step{Verb: step.Timeout, Of: c.op.ID})
	}
}

// converges holds the nodes to being the same soon, and to taking a commit (R8).
func (w *World) converges(when string) {
	for range healTime * electionTicks {
		w.flow()
		if w.Broken() || w.same() && w.takesCommit() {
			return
		}
		w.tickAll()
		w.removeLost()
	}
	w.rec.violate("R8", "not-live", 0, fmt.Sprintf("%s, %d election timeouts pass, and a commit is not taken, or nodes differ: %s", when, healTime, w.states()))
}

// same reports whether one leads, and all members have published the same, and all that they have.
func (w *World) same() bool {
	lead := w.leader()
	if lead == nil {
		return false
	}
	ts, hash := lead.process.service.Engine().Head()
	for _, n := range w.memberNodes() {
		if !n.takesPart() || n.process.service == nil {
			return false
		}
		e := n.process.service.Engine()
		if other, chain := e.Head(); other != ts || chain != hash || e.Published() != ts {
			return false
		}
	}
	return true
}

// removeLost removes members whose disks are lost, as an operator does. Nobody else can be the same.
func (w *World) removeLost() {
	for _, n := range w.memberNodes() {
		if n.gone() {
			_ = w.Apply(step.Step{Verb: step.Remove, Node: n.name})
		}
	}
}

// takesCommit sends a commit to who leads, and reports whether it is answered OK.
func (w *World) takesCommit() bool {
	w.names.healed++
	name := history.Name{Namespace: defaultSpace, Agent: "healed", Key: "k"}
	defer w.about(w.leader())()
	op := w.ask(history.Transact, history.Input{TxnID: fmt.Sprintf("healed%d", w.names.healed), Writes: []history.Write{{Name: name, Value: fmt.Sprintf(`{"n":%d}`, w.names.healed)}}})
	// An id from before outcomes that were dropped, by a clock that was ahead, is refused for good. That takes a leader, too.
	if tooOld := op.Error != nil && op.Error.Code == "TXN_TOO_OLD"; op.Outcome != history.OK && !tooOld {
		return false
	}
	w.rec.stats.Operations--
	if op.Outcome == history.OK {
		w.rec.stats.Acked-- // they say what the run did
	}
	for range 2 * electionTicks {
		if w.flow(); w.same() {
			return true
		}
		w.tickAll()
	}
	return false
}

// states says of each node what it has.
func (w *World) states() string {
	var list []string
	for _, n := range w.nodes {
		if !n.takesPart() || n.process.service == nil {
			list = append(list, fmt.Sprintf("%s does not run, or has no store (no member any more: %v)", n.name, n.gone()))
			continue
		}
		ts, hash := n.process.service.Engine().Head()
		list = append(list, fmt.Sprintf("%s is at commit %d, %.4x, leading %v", n.name, ts, hash, n.process.member.Leads()))
	}
	return strings.Join(list, "; ")
}

// rest stops all nodes and compares their stores: each is what its log says, and their logs are the same (R2).
func (w *World) rest() {
	members := w.memberNodes()
	for _, n := range w.nodes {
		_ = w.Apply(step.Step{Verb: step.Stop, Node: n.name})
	}
	first := ""
	for _, n := range members {
		at, err := w.atRest(n)
		switch {
		case err != nil:
			w.rec.violate("G8", "verify", 0, fmt.Sprintf("verify finds the store of %s corrupt, and nothing corrupted it: %s", n.name, step.FirstLine(strings.TrimSpace(err.Error()))))
		case first == "":
			first = at
		case at != first:
			w.rec.violate("R2", "nodes-differ", 0, fmt.Sprintf("at rest the store of %s ends at %s, that of %s at %s", members[0].name, first, n.name, at))
		default:
			w.sameRows(members[0], n)
		}
	}
}

// sameRows compares the stores of two nodes at rest, of which the logs are the same: what the chain does not cover, and
// what was derived from it, is, too.
func (w *World) sameRows(a, b *node) {
	where, err := tamper.Differ(a.machine.disk, b.machine.disk, dataDir)
	switch {
	case err != nil:
		w.rec.violate("G8", "verify", 0, fmt.Sprintf("at rest the store of %s or %s cannot be read, and nothing corrupted it: %v", a.name, b.name, err))
	case where != "":
		w.rec.violate("R2", "rows-differ", 0, fmt.Sprintf("at rest the stores of %s and %s have the same log, yet %s", a.name, b.name, where))
	}
}

// atRest is what a node's store has, all of which holds.
func (w *World) atRest(n *node) (string, error) {
	env := w.offline(n.machine.disk)
	r, err := engine.Verify(env, dataDir, nil)
	if err == nil {
		err = engine.ReadSystem(env, dataDir, access.Verify)
	}
	return fmt.Sprintf("commit %d, %s", r.Commits, r.ChainHash), err
}
