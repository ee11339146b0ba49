package history

import (
	"cmp"
	"maps"
	"slices"
	"strings"
)

// Rebuild makes a log of what clients saw, for a history that has none, or not all of it: of
// acknowledged commits, and of events in replays and watches. Where no commit is missing the
// history is complete then. Otherwise it returns what is missing, for what rests on that cannot
// be checked.
func (h *History) Rebuild() (missing []uint64) {
	if h.Complete {
		return nil
	}
	events := make(map[uint64]*Event)
	for i := range h.Log { // what could be read of it
		ev := h.Log[i]
		events[ev.CommitTS] = &ev
	}
	h.takeAcknowledged(events)
	h.takeEvents(events)
	h.takeGone(events)
	first := uint64(1)
	if h.Header.Base != nil {
		first = h.Header.Base.CommitTS + 1
	}
	h.Log = h.Log[:0]
	for _, ts := range slices.Sorted(maps.Keys(events)) {
		if ts < first {
			continue
		}
		ev := events[ts]
		// By agent, as in the log; within one as they were asked for.
		slices.SortStableFunc(ev.Ops, func(a, b EventOp) int {
			return cmp.Or(strings.Compare(a.Namespace, b.Namespace), strings.Compare(a.Agent, b.Agent))
		})
		h.Log = append(h.Log, *ev)
	}
	last := h.lastSeen()
	if n := len(h.Log); n > 0 {
		last = max(last, h.Log[n-1].CommitTS)
	}
	for ts := first; ts <= last && len(missing) < maxMissing; ts++ {
		if events[ts] == nil {
			missing = append(missing, ts)
		}
	}
	h.Complete = len(missing) == 0
	return missing
}

// maxMissing is how many missing commits are told.
const maxMissing = 100

// lastSeen is the last commit that streams showed something of, and, where it may be somebody
// else's, that an answer speaks of.
func (h *History) lastSeen() (last uint64) {
	others := h.Header.Source == SourceClient || len(h.Gaps) > 0
	for _, op := range h.Operations {
		for i := range op.Batches {
			for k := range op.Batches[i].Events {
				last = max(last, op.Batches[i].Events[k].CommitTS)
			}
		}
		if others && op.Outcome == OK {
			last = max(last, op.NewestCommit())
		}
	}
	return last
}

// takeAcknowledged adds commits that somebody was told of, unless what came of them follows from
// what was there.
func (h *History) takeAcknowledged(events map[uint64]*Event) {
	staged := make(map[string][]*Operation) // by transaction
	for _, op := range h.Operations {
		switch {
		case op.Kind == StageWrite || op.Kind == StageDelete:
			staged[op.In.TxnID] = append(staged[op.In.TxnID], op)
		case op.Kind.Info().Commits && op.Outcome == OK && len(op.Out.Versions) > 0 && !slices.ContainsFunc(op.In.Writes, evaluated):
			if ev := eventOf(op, staged[op.In.TxnID]); events[ev.CommitTS] == nil {
				events[ev.CommitTS] = ev
			}
		}
	}
}

func evaluated(w Write) bool { return w.Evaluates() }

// hides reports whether something of what a write does is shown to those only who ask for all
// operations: leases, forks, what becomes due.
func hides(w Write) bool {
	switch w.Op {
	case Fork, Acquire, Release, Claim, Complete, DeleteAgent:
		return true
	}
	return w.With != nil && (w.With.DueAt != 0 || w.With.DueIn != nil)
}

// eventOf is the event that an acknowledgement speaks of. Of the writes of a key the last
// one counts that was asked for before the commit was over; which of several arrived whose
// answers were lost cannot be known.
func eventOf(op *Operation, staged []*Operation) *Event {
	ev := &Event{CommitTS: op.Out.CommitTS, CommitTime: op.Out.CommitTime, TxnID: op.In.TxnID, Metadata: op.In.Metadata}
	last := make(map[Name]Write)
	for _, w := range op.In.Writes {
		last[w.Name] = w
	}
	for _, s := range staged {
		if op.Kind == Commit && s.Outcome != Fail && s.Call < op.End() {
			last[s.In.Name()] = Write{Name: s.In.Name(), Value: s.In.Value, Delete: s.Kind == StageDelete}
		}
	}
	for _, v := range op.Out.Versions { // of a key that was written twice, twice
		w := last[v.Name]
		ev.add(EventOp{Name: v.Name, Version: v.Version, Delete: w.Delete, Value: w.Value})
	}
	return ev
}

// takeEvents adds commits that no one was told the outcome of, and streams showed
// whole: those of a replay or watch of a namespace without a filter. A commit over
// several namespaces is put together of its parts; what is missing of it then
// shows where somebody reads it.
func (h *History) takeEvents(events map[uint64]*Event) {
	acked := maps.Clone(events)
	hidden := slices.ContainsFunc(h.Operations, func(op *Operation) bool { return slices.ContainsFunc(op.In.Writes, hides) })
	for _, op := range h.Operations {
		in := &op.In
		if whole := op.Kind.Info().Stream && in.AllAgents && in.Prefix == "" && !in.NoValues && !in.Doubles && (in.AllOperations || !hidden); !whole {
			continue
		}
		for i := range op.Batches {
			for _, ev := range op.Batches[i].Events {
				if acked[ev.CommitTS] != nil {
					continue
				}
				known := events[ev.CommitTS]
				if known == nil {
					known = &Event{CommitTS: ev.CommitTS, CommitTime: ev.CommitTime, TxnID: ev.TxnID, Metadata: ev.Metadata, Principal: ev.Principal, TraceID: ev.TraceID, Cause: ev.Cause}
					events[ev.CommitTS] = known
				}
				for _, o := range ev.Ops {
					known.add(o)
				}
			}
		}
	}
}

// takeGone adds that a value is gone, where an answer showed it so: what the log would say that is
// read last.
func (h *History) takeGone(events map[uint64]*Event) {
	take := func(ts uint64, n Name, erased, pruned bool) {
		ev := events[ts]
		if ev == nil || !erased && !pruned {
			return
		}
		if i := slices.IndexFunc(ev.Ops, func(o EventOp) bool { return o.Name == n }); i >= 0 {
			o := &ev.Ops[i]
			o.Erased = o.Erased || erased
			o.Pruned = (o.Pruned || pruned) && !o.Erased // of what was dropped the name can be erased, too
		}
	}
	for _, op := range h.Operations {
		for i := range op.Out.Records {
			r := &op.Out.Records[i]
			take(r.CommitTS, r.Name, r.Erased, r.Pruned)
		}
		for i := range op.Batches {
			for k := range op.Batches[i].Events {
				ev := &op.Batches[i].Events[k]
				for _, o := range ev.Ops {
					take(ev.CommitTS, o.Name, o.Erased, o.Pruned)
				}
			}
		}
	}
}

// add adds what the commit did to a key, once.
func (ev *Event) add(o EventOp) {
	if !slices.ContainsFunc(ev.Ops, func(k EventOp) bool { return k.Name == o.Name }) {
		ev.Ops = append(ev.Ops, o)
	}
}
