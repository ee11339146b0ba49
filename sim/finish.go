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
	"statehouse.dev/statehouse/sim/simdisk"
)

// Result is what became of a run.
type Result struct {
	Class      Class
	Seed       uint64
	Config     Config
	Violations []verdict.Violation // none: every promise was kept, as far as was checked
	Judged     linearizability.Result
	History    *history.History
	Steps      []Step
	Digests    []uint64 // one a step
	Sum        uint64   // of everything
	Stats      Stats
	Did        []Did // of a scenario: what was done, in its own steps
	unstruck   []int // the places in Steps of faults that never struck
	// Detected: the store was damaged, and the daemon said so. What it had is not
	// asked of it any more.
	Detected bool
}

// Failed tells whether a promise was broken.
func (r *Result) Failed() bool { return len(r.Violations) > 0 }

// Judging is how the history of a run is judged.
func (r *Result) Judging() linearizability.Options {
	return linearizability.Options{Seed: r.Seed, Samples: 2, SampleSize: 60}
}

// Finish heals the world, ends what is under way, cuts the power one last time,
// and judges what everybody was told against what is left.
func (w *World) Finish() *Result {
	w.finale()
	r := &Result{
		Class: Recoverable, Seed: w.seed, Config: w.config, // the class is for the caller to say
		Violations: w.violations, History: &w.history, Steps: w.steps, Digests: w.digests, Stats: w.stats, Detected: w.lossFound > 0 && w.daemon == nil,
		unstruck: w.unstruck(),
	}
	r.Stats.Steps = len(w.steps)
	if w.history.Complete {
		r.Judged = linearizability.Check(&w.history, r.Judging())
		r.Violations = append(r.Violations, r.Judged.Violations...)
		if r.Judged.Verdict == verdict.Unknown && len(r.Violations) == 0 {
			r.Violations = append(r.Violations, verdict.Violation{
				Guarantee: "G3", Check: "not-judged", Sentence: "the history could not be judged in time: that is a failure, not a pass",
			})
		}
	}
	// What a program saw by itself is not in the steps, so it cannot be shrunk: it
	// comes last.
	slices.SortStableFunc(r.Violations, func(a, b verdict.Violation) int {
		return cmp.Compare(strings.Count(a.Check, "workload-"), strings.Count(b.Check, "workload-"))
	})
	w.sumHistory()
	r.Sum = w.sum
	return r
}

// finale is what every run ends with. It is not among the steps of a story.
func (w *World) finale() {
	told := len(w.steps)
	if w.trace != nil {
		w.trace("the end: every fault is healed, the power is cut once more, and everything is read")
	}
	defer func() { w.steps = w.steps[:told] }()
	w.disk.Heal()
	w.disk.SetCapacity(0)
	w.capacity = 0
	w.quiesce()
	if w.pristine != nil {
		w.auditHarmed()
	}
	switch {
	case w.daemon == nil:
	case w.config.Unsynced: // of a loss of power it promises less
		_ = w.Apply(Step{Verb: Kill})
	default:
		_ = w.Apply(Step{Verb: Crash, Crash: simdisk.CrashOptions{Mode: simdisk.DropAll}})
	}
	_ = w.Apply(Step{Verb: Start})
	if w.daemon == nil {
		if w.lossFound == 0 { // else the damage was found, as it must be
			w.violate("G9", "does-not-start", 0, "every fault is healed, yet the daemon does not start: "+w.why)
		}
		return
	}
	w.audit(false)
	_ = w.Apply(Step{Verb: Stop})
	w.verify()
}

// quiesce ends every call: what is under way arrives, what waits is answered.
// That it is, is a promise too (G9).
func (w *World) quiesce() {
	for range len(w.order) + 64 {
		if w.daemon == nil {
			break
		}
		for _, c := range w.order {
			if !c.arrived && !c.done {
				_ = w.Apply(Step{Verb: Deliver, Of: c.op.ID})
			}
		}
		verb := Plan
		if w.inflight {
			verb = Settle
		}
		if w.Apply(Step{Verb: verb}) != nil {
			break
		}
	}
	for _, c := range w.order {
		for !c.done && (len(c.msgs) > 0 || c.answered) && w.Apply(Step{Verb: Reply, Of: c.op.ID}) == nil {
		}
		if c.done {
			continue
		}
		if c.op.Kind == history.Watch && c.arrived && w.daemon != nil && w.pristine == nil && c.gen == w.daemon.generation {
			c.op.Rest = uint64(w.daemon.service.Engine().Published())
		}
		if c.arrived && !c.stream() && w.daemon != nil && w.pristine == nil && c.gen == w.daemon.generation {
			w.violate("G9", "no-answer", c.op.ID, fmt.Sprintf("call #%d is never answered: nothing waits for the writer, and no fault is left", c.op.ID))
		}
		_ = w.Apply(Step{Verb: Timeout, Of: c.op.ID})
	}
}

// auditHarmed reads everything of a store that was harmed. Each answer must be
// right or a refusal; whether it was is judged later, by the log of the store as
// it was before, which is put back in the end.
func (w *World) auditHarmed() {
	if w.daemon == nil {
		_ = w.Apply(Step{Verb: Start})
	}
	if w.daemon != nil {
		w.audit(true)
	}
	if w.daemon != nil {
		_ = w.Apply(Step{Verb: Kill})
	}
	w.disk, w.pristine = w.pristine, nil
	w.disk.Heal()
	w.disk.SetCapacity(0)
	w.attach()
}

// observer is the client that looks at everything at the end.
const observer = "observer"

// audit reads the log, and everything else the way a client would.
func (w *World) audit(harmed bool) {
	ask := func(kind history.Kind, in history.Input) *history.Operation {
		c, err := w.issue(observer, w.nextID(), kind, in)
		if err != nil {
			return &history.Operation{}
		}
		w.carryThrough(c)
		return c.op
	}
	events := make(map[uint64]*history.Event)
	var last uint64
	for _, ns := range ask(history.ListSpaces, history.Input{}).Out.Keys {
		op := ask(history.Replay, history.Input{Namespace: ns, AllAgents: true})
		if op.Outcome != history.OK && harmed {
			w.probe("harm found by a read")
			continue
		}
		if op.Outcome != history.OK {
			w.violate("G5", "log-unreadable", op.ID, "the log of namespace "+ns+" cannot be replayed: "+op.Error.Message)
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
		w.auditNamespace(ns, ask)
	}
	if harmed {
		return
	}
	for ts := uint64(1); ts <= last; ts++ {
		if ev := events[ts]; ev != nil {
			w.history.Log = append(w.history.Log, *ev)
		}
	}
	w.history.Complete = true
}

func (w *World) auditNamespace(ns string, ask func(history.Kind, history.Input) *history.Operation) {
	for _, a := range ask(history.ListAgents, history.Input{Namespace: ns}).Out.Agents {
		ask(history.Scan, history.Input{Namespace: ns, Agent: a.Agent})
		keys := ask(history.ListKeys, history.Input{Namespace: ns, Agent: a.Agent}).Out.Keys
		if len(keys) > 0 {
			ask(history.KeyHistory, history.Input{Namespace: ns, Agent: a.Agent, Key: keys[0]})
		}
	}
	// What each commit that anybody asked for has become.
	for _, name := range w.askedFor(ns) {
		ask(history.GetTxn, history.Input{TxnID: name})
	}
}

// askedFor lists the transactions that somebody tried to commit in a namespace.
func (w *World) askedFor(ns string) []string {
	var list []string
	for _, c := range w.order {
		in := &c.op.In
		if c.op.Kind == history.Transact && len(in.Writes) > 0 && in.Writes[0].Namespace == ns && c.op.Outcome == history.Unknown {
			list = append(list, in.TxnID)
		}
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// verify runs the offline check of the store.
func (w *World) verify() {
	if w.daemon != nil {
		return
	}
	env := engine.Env{
		FS: w.disk, Now: w.wallClock, Rand: func([]byte) {}, Await: w.await,
		Halt: func(err error) { w.violate("G7", "verify", 0, "verify halted: "+err.Error()) },
	}
	if _, err := engine.Verify(env, dataDir, nil); err != nil {
		w.violate("G8", "verify", 0, "verify finds the store damaged, and nobody harmed it: "+firstLine(strings.TrimSpace(err.Error())))
	}
}

// sumHistory adds the log and the verdict to the digest.
func (w *World) sumHistory() {
	for i := range w.history.Log {
		ev := &w.history.Log[i]
		w.sum = simdisk.Derive(w.sum, fmt.Sprint(ev.CommitTS, ev.CommitTime, ev.TxnID, ev.Ops))
	}
	for _, v := range w.violations {
		w.sum = simdisk.Derive(w.sum, v.Check, firstLine(v.Sentence))
	}
}

// Vacuous tells whether a run did so little that it proves nothing.
func (r *Result) Vacuous() bool {
	return r.Stats.Acked < 10 || r.Stats.Operations < 100 || len(r.Stats.Deaths) < 2
}
