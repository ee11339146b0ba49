package sim

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"statehouse.dev/statehouse/engine"
	"statehouse.dev/statehouse/history"
	"statehouse.dev/statehouse/linearizability"
	"statehouse.dev/statehouse/linearizability/verdict"
	"statehouse.dev/statehouse/server/access"
	"statehouse.dev/statehouse/sim/bounds"
	"statehouse.dev/statehouse/sim/simdisk"
	"statehouse.dev/statehouse/sim/step"
)

// Finish heals the world, ends what is under way, cuts the power one last time,
// and judges what clients were told against what is left.
func (w *World) Finish() *Result {
	if w.peers != nil {
		w.finaleOfNodes()
	} else {
		w.finale()
	}
	w.each(w.checkRefused)
	w.checkRevoked()
	r := &Result{
		Class: cmp.Or(w.class, Recoverable), Seed: w.seed, Config: w.config,
		Violations: w.rec.violations, History: &w.rec.history, Steps: w.rec.steps, Digests: w.rec.digests, Stats: w.rec.stats, Detected: w.starts.detected,
		Armed: w.faults.list(), Unheard: w.network.unheard,
	}
	if w.rec.history.Complete && len(w.rec.violations) == 0 && w.peers == nil {
		w.judgeWork()
		r.Violations = w.rec.violations
	}
	r.Stats.Steps, r.Stats.Unjudged = len(w.rec.steps), !w.rec.history.Complete
	w.judgeBounds(func(j *bounds.Judge) { j.Operations(w.rec.history.Operations, Observer) })
	r.Violations = w.rec.violations
	if w.rec.history.Complete {
		w.checkSpelling()
		r.Violations = w.rec.violations
		r.Judged = linearizability.Check(&w.rec.history, r.Judging())
		r.Violations = append(r.Violations, r.Judged.Violations...)
		if r.Judged.Verdict == verdict.Unknown && len(r.Violations) == 0 {
			r.Violations = append(r.Violations, verdict.Violation{
				Guarantee: "G3", Check: "not-judged", Sentence: "the history could not be judged in time: that is a failure, not a pass",
			})
		}
	}
	if r.Stats.Unjudged && len(r.Violations) == 0 {
		r.Violations = append(r.Violations, verdict.Violation{
			Guarantee: "G3", Check: "not-judged", Sentence: "the log could not be read at the end, so the history was not judged: that is a failure, not a pass",
		})
	}
	// What a program saw by itself is not in the steps, and harder to make small: it comes
	// last.
	slices.SortStableFunc(r.Violations, func(a, b verdict.Violation) int {
		return cmp.Compare(strings.Count(a.Check, "workload-"), strings.Count(b.Check, "workload-"))
	})
	w.rec.digestEnd()
	r.Sum = w.rec.sum
	return r
}

// finale is what every run ends with. It is not among the steps of a scenario.
func (w *World) finale() {
	applied := len(w.rec.steps)
	if print := w.rec.trace.print; print != nil {
		print("the end: every fault is healed, the power is cut once more, and everything is read")
	}
	defer func() { w.rec.steps = w.rec.steps[:applied] }()
	w.machine.disk.Heal()
	w.machine.disk.SetCapacity(0)
	w.machine.capacity = 0
	_ = w.Apply(step.Step{Verb: step.Tick}) // the daemon looks at the disk, as it does all the time
	w.endCalls()
	if !w.config.Refuse() && w.config.Rate == 0 { // else the limits refuse some of it, healed or not
		w.healed("before the last crash", false)
	}
	w.checkRest()
	defer w.configure(w.config)
	end := w.config
	end.Bounds, end.Rate = end.AtEnd(), 0
	w.configure(end)
	if w.machine.pristine != nil {
		w.auditCorrupt()
	}
	switch {
	case w.process == nil:
	case w.config.Unsynced: // it guarantees nothing after a loss of power
		_ = w.Apply(step.Step{Verb: step.Kill})
	default:
		_ = w.Apply(step.Step{Verb: step.Crash, Crash: simdisk.CrashOptions{Mode: simdisk.DropAll}})
	}
	if w.startForGood(); w.process == nil {
		return
	}
	w.healed("after the last crash", true)
	w.audit(false)
	_ = w.Apply(step.Step{Verb: step.Stop})
	w.verify()
}

// endCalls ends every call: what is under way arrives, what waits is answered.
// That it is, is a guarantee too (G9).
func (w *World) endCalls() {
	for range len(w.network.order) + 64 {
		if w.process == nil {
			break
		}
		for _, c := range w.network.order {
			if !c.arrived && !c.done {
				_ = w.Apply(step.Step{Verb: step.Deliver, Of: c.op.ID})
			}
		}
		if w.Apply(step.Step{Verb: w.writerNext()}) != nil {
			break
		}
	}
	for again := true; again; { // an answer in a session may wait for others to be read
		again = false
		for _, c := range w.network.order {
			again = again || c.in != nil && !c.done && c.answered && w.Apply(step.Step{Verb: step.Reply, Of: c.op.ID}) == nil
		}
	}
	for _, c := range w.network.order {
		for !c.done && c.Answering() && w.Apply(step.Step{Verb: step.Reply, Of: c.op.ID}) == nil {
		}
		if c.done {
			continue
		}
		reached := c.arrived && w.process != nil && c.gen == w.process.generation && w.machine.pristine == nil
		if reached && c.watches() {
			c.op.Rest = uint64(w.process.service.Engine().Published())
		}
		if reached && !c.Stream() {
			w.rec.violate("G9", "no-answer", c.op.ID, fmt.Sprintf("call #%d is never answered: nothing waits for the writer, and no fault is left", c.op.ID))
		}
		_ = w.Apply(step.Step{Verb: step.Timeout, Of: c.op.ID})
	}
	w.endStreams()
}

// auditCorrupt reads everything of a store with a corrupt file. Each answer must be
// right or a refusal; whether it was is judged later, by the log of the store as
// it was before, which is put back in the end.
func (w *World) auditCorrupt() {
	if w.process == nil {
		_ = w.Apply(step.Step{Verb: step.Start})
	}
	if w.process != nil {
		w.audit(true)
		w.auditPoints()
	}
	if w.process != nil {
		_ = w.Apply(step.Step{Verb: step.Kill})
	}
	disk := w.machine.pristine
	w.machine.pristine = nil
	disk.Heal()
	disk.SetCapacity(0)
	w.use(disk)
}

// Observer is the client that looks at everything at the end.
const Observer = "observer"

// ask makes a request of the observer, and carries it through.
func (w *World) ask(kind history.Kind, in history.Input) *history.Operation {
	c, err := w.issue(&step.Step{Verb: step.Call, Client: Observer, ID: w.network.nextID(), Kind: kind, In: in})
	if err != nil {
		return &history.Operation{}
	}
	w.carryThrough(c)
	return c.op
}

// audit reads the log, and everything else the way a client would.
func (w *World) audit(corrupt bool) {
	events := make(map[uint64]*history.Event)
	var last uint64
	for _, ns := range w.ask(history.ListSpaces, history.Input{}).Out.Keys {
		op := w.ask(history.Replay, history.Input{Namespace: ns, AllAgents: true, AllOperations: true, Native: true})
		if op.Outcome != history.OK && corrupt {
			w.rec.probe("harm found by a read")
			w.auditNamespace(ns)
			continue
		}
		if op.Outcome != history.OK {
			w.rec.violate("G5", "log-unreadable", op.ID, "the log of namespace "+ns+" cannot be replayed: "+op.Error.Message)
			return
		}
		for _, b := range op.Batches {
			for _, ev := range b.Events {
				last = max(last, ev.CommitTS)
				if known := events[ev.CommitTS]; known != nil {
					known.Ops = append(known.Ops, ev.Ops...)
				} else {
					events[ev.CommitTS] = &ev
				}
			}
		}
		w.auditNamespace(ns)
	}
	if corrupt {
		return
	}
	for ts := uint64(1); ts <= last; ts++ {
		if ev := events[ts]; ev != nil {
			w.rec.history.Log = append(w.rec.history.Log, *ev)
		}
	}
	w.rec.history.Complete = true
}

func (w *World) auditNamespace(ns string) {
	for _, a := range w.ask(history.ListAgents, history.Input{Namespace: ns}).Out.Agents {
		w.ask(history.Scan, history.Input{Namespace: ns, Agent: a.Agent})
		keys := w.ask(history.ListKeys, history.Input{Namespace: ns, Agent: a.Agent}).Out.Keys
		if len(keys) > 0 {
			w.ask(history.KeyHistory, history.Input{Namespace: ns, Agent: a.Agent, Key: keys[0]})
		}
	}
	// What each commit has become whose client does not know.
	for _, name := range w.askedFor(ns) {
		w.ask(history.GetTxn, history.Input{TxnID: name})
	}
}

// askedFor lists the transactions of a namespace whose commit has an unknown outcome.
func (w *World) askedFor(ns string) []string {
	var list []string
	for _, c := range w.network.order {
		in := &c.op.In
		if c.request.recorded() && c.op.Kind == history.Transact && len(in.Writes) > 0 && in.Writes[0].Namespace == ns && c.op.Outcome == history.Unknown {
			list = append(list, in.TxnID)
		}
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// verify runs the offline check of the store.
func (w *World) verify() {
	if w.process != nil {
		return
	}
	r, err := engine.Verify(w.offline(w.machine.disk), dataDir, nil)
	if err == nil {
		err = engine.ReadSystem(w.offline(w.machine.disk), dataDir, access.Verify)
	}
	switch {
	case err != nil:
		w.rec.violate("G8", "verify", 0, "verify finds the store corrupt, and nothing corrupted it: "+step.FirstLine(strings.TrimSpace(err.Error())))
	case r.Witnessed != r.Commits || r.Lost != 0:
		w.rec.violate("G8", "verify", 0, fmt.Sprintf("a store that was closed has %d commits, and verify reports that the witness saw commit %d, and %d lost", r.Commits, r.Witnessed, r.Lost))
	}
}
