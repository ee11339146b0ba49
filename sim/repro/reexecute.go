// Package repro does captured histories again in a simulated world.
//
// Reexecute does the commits of a history again, one after the other in their order and
// without faults, with the reads between them: a build that answers otherwise than the
// daemon that was captured diverges, and where is said.
//
// When a captured history breaks a guarantee, Search looks for a run that breaks it, too. A
// Script is what the clients of the capture asked; Reenact lets clients ask a piece of it,
// with a schedule and faults that are drawn as in package fuzz. What is found is a run like
// any other, which can be shrunk and kept as a scenario.
package repro

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"statehouse.dev/statehouse/history"
	"statehouse.dev/statehouse/linearizability/oracle/model"
	"statehouse.dev/statehouse/linearizability/verdict"
	"statehouse.dev/statehouse/sim"
	"statehouse.dev/statehouse/sim/step"
)

// Reexecution is what became of doing captured commits again, one after the other in
// their order, in a world without faults.
type Reexecution struct {
	Commits int `json:"commits"`
	// Rebuilt of them are of requests that are not in the history, or rest on what cannot be had again (see
	// echo): they were made of what the log says that they did.
	Rebuilt int    `json:"rebuilt"`
	Reads   int    `json:"reads"` // done again at the place where they were answered
	First   uint64 `json:"first"` // commit_ts, and Last: what was done again
	Last    uint64 `json:"last"`
	// Divergence is the first difference; nil: there is none.
	Divergence *Divergence `json:"divergence,omitempty"`
}

// Divergence is where doing it again gave something else.
type Divergence struct {
	CommitTS uint64 `json:"commit_ts"`
	Op       int    `json:"op,omitempty"`
	What     string `json:"what"`
	Captured string `json:"captured"`
	Now      string `json:"now"`
}

// reexecution is one on the way.
type reexecution struct {
	r      *Reexecution
	w      *sim.World
	txns   map[string]*attempt
	reads  []*history.Operation
	delta  map[history.Name]uint64 // captured version less the world's
	model  *model.Model            // of the capture
	made   uint64                  // commits of the world
	setups int
	places []place                    // of what was done again, in order
	moved  map[history.AgentName]bool // agents whose heads are not where they were
}

// attempt is how a transaction was committed.
type attempt struct {
	commit *history.Operation
	begin  *history.Operation
	staged []*history.Operation
}

// whole reports whether all that was staged for an event is known: of what an answer was
// lost to, or a gap hides, it is not.
func (a *attempt) whole(ev *history.Event) bool {
	staged := make(map[history.Name]*history.Operation) // the last of each key
	for _, op := range a.staged {
		staged[op.In.Name()] = op
	}
	for i := range ev.Ops {
		o := &ev.Ops[i]
		op := staged[o.Name]
		if op == nil || (op.Kind == history.StageDelete) != o.Delete || !history.SameValue(op.In.Value, o.Value) {
			return false
		}
	}
	return a.begin != nil && a.commit.Outcome == history.OK && len(staged) == len(ev.Ops)
}

// Reexecute does the last commits of a history again, at most limit, and the reads
// between them. The history must have its log.
func Reexecute(h *history.History, limit int, progress func(done, of int)) (*Reexecution, error) {
	log := h.Log[max(0, len(h.Log)-limit):]
	x := &reexecution{
		r: &Reexecution{}, txns: make(map[string]*attempt), delta: make(map[history.Name]uint64), moved: make(map[history.AgentName]bool),
		model: model.Fold(h, h.Header.Base != nil, func(verdict.Violation) {}), // what is wrong is for the judge to say
	}
	if len(log) == 0 {
		return x.r, nil
	}
	x.r.First, x.r.Last = log[0].CommitTS, log[len(log)-1].CommitTS
	x.collect(h)
	x.w = sim.NewWorld(1, sim.Config{}, sim.Options{})
	if err := x.w.Apply(step.Step{Verb: step.Start}); err != nil {
		return nil, err
	}
	if err := x.setUp(log); err != nil {
		return nil, err
	}
	for i := range log {
		if progress != nil {
			progress(i, len(log))
		}
		if err := x.commit(&log[i]); err != nil {
			return nil, err
		}
		x.readAt(log[i].CommitTS)
		if x.r.Divergence != nil {
			return x.r, nil
		}
		if i%sim.FlushEvery == sim.FlushEvery-1 {
			_ = x.w.Apply(step.Step{Verb: step.Flush})
		}
	}
	x.compareLogs(x.w.Finish().History.Log)
	return x.r, nil
}

func (x *reexecution) collect(h *history.History) {
	get := func(id string) *attempt {
		if x.txns[id] == nil {
			x.txns[id] = &attempt{}
		}
		return x.txns[id]
	}
	for _, op := range h.Operations {
		switch op.Kind {
		case history.Begin:
			if op.Outcome == history.OK {
				get(op.Out.TxnID).begin = op
			}
		case history.StageWrite, history.StageDelete:
			if op.Outcome == history.OK {
				a := get(op.In.TxnID)
				a.staged = append(a.staged, op)
			}
		case history.Commit, history.Transact:
			if a := get(op.In.TxnID); op.Outcome == history.OK || op.Outcome == history.Unknown && a.commit == nil {
				a.commit = op // what was refused did nothing, whatever else has its id
			}
		case history.Get, history.BatchGet:
			if op.Outcome == history.OK && op.Out.ReadTS >= x.r.First && op.Out.ReadTS <= x.r.Last {
				x.reads = append(x.reads, op)
			}
		}
	}
	x.reads = slices.DeleteFunc(x.reads, x.ofItsOwn)
	slices.SortStableFunc(x.reads, func(a, b *history.Operation) int { return cmp.Compare(a.Out.ReadTS, b.Out.ReadTS) })
}

// ofItsOwn reports whether a read inside a transaction may have met what that had staged.
func (x *reexecution) ofItsOwn(op *history.Operation) (own bool) {
	a := x.txns[op.In.TxnID]
	if a == nil {
		return op.In.TxnID != ""
	}
	op.In.EachName(func(n history.Name) {
		own = own || slices.ContainsFunc(a.staged, func(s *history.Operation) bool {
			return s.Call < op.Call && n == s.In.Name()
		})
	})
	return own
}

// setUp makes the state before the first commit: each key of which anything is said
// is written once.
func (x *reexecution) setUp(log []history.Event) error {
	spoken := make(map[history.Name]bool)
	for i := range log {
		for _, o := range x.visible(&log[i]) {
			spoken[o.Name] = true
		}
		if a := x.txns[log[i].TxnID]; a != nil && a.commit != nil {
			a.commit.In.EachName(func(n history.Name) { spoken[n] = true }) // in its conditions, too
		}
	}
	for _, op := range x.reads {
		op.In.EachName(func(n history.Name) { spoken[n] = true })
	}
	var writes []history.Write
	for _, n := range slices.SortedFunc(maps.Keys(x.model.Keys), history.CompareNames) {
		v := x.model.At(n, log[0].CommitTS-1)
		if v == nil || model.Hidden(n) || !spoken[n] {
			continue
		}
		x.delta[n] = v.Number - 1
		// To delete what is not there makes a version, too.
		if writes = append(writes, rewrite(n, v.Deleted, v.Value)); len(writes) == mostWrites {
			if err := x.setUpWrites(writes); err != nil {
				return err
			}
			writes = nil
		}
	}
	return x.setUpWrites(writes)
}

// mostWrites is how many writes one commit has that sets up or echoes.
const mostWrites = 100

func (x *reexecution) setUpWrites(writes []history.Write) error {
	if len(writes) == 0 {
		return nil
	}
	x.setups++
	x.made++
	op, err := x.do(history.Transact, history.Input{TxnID: x.w.FreshTxn(), Writes: writes})
	if err == nil && op.Outcome != history.OK {
		err = fmt.Errorf("the state that the capture begins with cannot be made: %v", op.Error)
	}
	if x.setups%sim.FlushEvery == 0 {
		_ = x.w.Apply(step.Step{Verb: step.Flush})
	}
	return err
}

// do makes a request and carries it through.
func (x *reexecution) do(kind history.Kind, in history.Input) (*history.Operation, error) {
	return x.w.Do("again", kind, in)
}

// commit does what made an event again.
func (x *reexecution) commit(ev *history.Event) error {
	x.r.Commits++
	a := x.txns[ev.TxnID]
	if x.onlyEchoes(ev, a) {
		x.r.Rebuilt++
		return x.echo(ev)
	}
	name := x.w.FreshTxn()
	var in history.Input
	kind := history.Transact
	switch {
	case a == nil || a.commit == nil || a.commit.Kind == history.Commit && !a.whole(ev):
		x.r.Rebuilt++
		in = history.Input{Metadata: ev.Metadata, Writes: rewrites(ev.Ops)}
	case a.commit.Kind == history.Transact:
		in = x.input(a.commit)
	default:
		kind, in = history.Commit, x.input(a.commit)
		if _, err := x.do(history.Begin, history.Input{TxnID: name}); err != nil {
			return err
		}
		for _, s := range a.staged {
			staged := x.input(s)
			staged.TxnID = name
			if _, err := x.do(s.Kind, staged); err != nil {
				return err
			}
		}
	}
	in.TxnID = name
	op, err := x.do(kind, in)
	if err != nil {
		return err
	}
	x.made++
	if op.Outcome != history.OK || op.Out.CommitTS != x.made {
		d := &Divergence{CommitTS: ev.CommitTS, What: "the commit ends otherwise", Captured: fmt.Sprintf("commit %d", ev.CommitTS), Now: "another one has come between"}
		if a != nil && a.commit != nil {
			d.Op = a.commit.ID
		}
		if op.Error != nil {
			d.Now = op.Error.Code + ": " + op.Error.Message
		}
		x.r.Divergence = d
	}
	x.at(ev, x.translated(ev))
	return nil
}

// input is what was asked, with versions and places as they are here.
func (x *reexecution) input(op *history.Operation) history.Input {
	in := op.In
	version := func(n history.Name, v *uint64) *uint64 {
		if v == nil || *v <= x.delta[n] {
			return v
		}
		return new(*v - x.delta[n])
	}
	in.Value = writable(in.Value)
	in.Expected = version(in.Name(), in.Expected)
	in.Writes, in.Keys, in.Heads = slices.Clone(in.Writes), nil, nil
	in.Reads, in.Timeout, in.MinRead, in.MaxStale = x.readSet(in.Reads), nil, 0, 0
	for i := range in.Writes {
		w := &in.Writes[i]
		w.Value, w.Expected, w.With = writable(w.Value), version(w.Name, w.Expected), timeless(w.With)
	}
	for _, k := range op.In.Keys {
		if k.Lease == "" { // nobody holds leases here
			k.Expected = *version(k.Name, &k.Expected)
			in.Keys = append(in.Keys, k)
		}
	}
	for _, h := range op.In.Heads {
		here, known := x.commitHere(h.Expected)
		if (h.Expected == 0 || known) && !x.moved[history.AgentName{Namespace: h.Namespace, Agent: h.Agent}] {
			h.Expected = here
			in.Heads = append(in.Heads, h)
		}
	}
	return in
}

// readAt does the reads again that were answered as of a commit.
func (x *reexecution) readAt(ts uint64) {
	for len(x.reads) > 0 && x.reads[0].Out.ReadTS <= ts && x.r.Divergence == nil {
		op := x.reads[0]
		x.reads = x.reads[1:]
		in := op.In
		in.At, in.AtTime, in.TxnID, in.MinRead, in.MaxStale = nil, 0, "", 0, 0
		now, err := x.do(op.Kind, in)
		if err != nil || op.Out.ReadTS != ts {
			continue
		}
		x.r.Reads++
		for i := range op.Out.Records {
			was := op.Out.Records[i]
			var is history.Record
			if i < len(now.Out.Records) {
				is = now.Out.Records[i]
			}
			if is.Version > 0 {
				is.Version += x.delta[was.Name]
			}
			if !op.In.NoValues {
				was.Value = writable(was.Value)
			}
			if was.Exists != is.Exists || was.Version != is.Version || !history.SameValue(was.Value, is.Value) {
				x.r.Divergence = &Divergence{CommitTS: ts, Op: op.ID, What: fmt.Sprintf("a read of key %q of agent %q is answered otherwise", was.Key, was.Agent),
					Captured: showState(&was), Now: showState(&is)}
				return
			}
		}
	}
}

func showState(r *history.Record) string {
	if !r.Exists {
		return fmt.Sprintf("absent (version %d)", r.Version)
	}
	return fmt.Sprintf("version %d: %s", r.Version, r.Value)
}

// compareLogs compares the events, but for ids and times, with what they are to be here.
func (x *reexecution) compareLogs(now []history.Event) {
	if x.r.Divergence != nil {
		return
	}
	for _, p := range x.places {
		switch {
		case p.ops == nil: // it was echoed
		case p.here == 0 || p.here > uint64(len(now)):
			x.r.Divergence = &Divergence{CommitTS: p.event.CommitTS, What: "the commit is not in the log", Captured: fmt.Sprint(p.event.Ops), Now: "nothing"}
			return
		case !slices.EqualFunc(now[p.here-1].Ops, p.ops, sameOp):
			x.r.Divergence = &Divergence{CommitTS: p.event.CommitTS, What: "the commit did something else", Captured: fmt.Sprint(p.event.Ops), Now: fmt.Sprint(now[p.here-1].Ops)}
			return
		}
	}
}

func sameOp(now, captured history.EventOp) bool {
	return now.Name == captured.Name && now.Delete == captured.Delete && now.Version == captured.Version &&
		(captured.Erased || captured.Pruned || history.SameValue(now.Value, captured.Value))
}
