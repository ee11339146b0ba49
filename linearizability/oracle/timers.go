package oracle

import (
	"fmt"
	"slices"

	"statehouse.dev/statehouse/history"
	"statehouse.dev/statehouse/linearizability/oracle/model"
)

// Time in the state. A record that expires and a lease have a deadline, which is counted from the time of
// a commit, and moved by requests that are no commits. Nothing passes but by a commit of the daemon: not
// before the deadline, by the time of that commit, and not after a later commit of a client.

// versioned is a version of a key, or of a lease.
type versioned struct {
	history.Name
	number uint64
}

// hold is what a version has that does not stay.
type hold struct {
	lease    bool
	deadline int64 // the least that it can be now, as far as answers tell
	unsure   bool  // it may be later: answers were lost
	ttl      int64 // as it was written
}

const millisecond = 1_000_000

// findHolds finds which versions have deadlines.
func (j *judge) findHolds(h *history.History) {
	j.holds = make(map[versioned]*hold)
	if b := h.Header.Base; b != nil {
		for i := range b.Records {
			if r := &b.Records[i]; r.ExpiresAt > 0 {
				j.holds[versioned{r.Name, r.Version}] = &hold{deadline: r.ExpiresAt, unsure: true}
			}
		}
	}
	j.anyDue = slices.ContainsFunc(h.Operations, func(op *history.Operation) bool {
		return slices.ContainsFunc(op.In.Writes, func(w history.Write) bool { a := w.Arguments(); return a.DueAt != 0 || a.DueIn != nil })
	})
	if !slices.ContainsFunc(h.Operations, func(op *history.Operation) bool { return history.EvaluatesAny(op.In.Writes) }) {
		return
	}
	j.findWakes(h)
	for i := range j.model.Log {
		ev := &j.model.Log[i]
		t := j.txns[ev.TxnID]
		if t == nil || len(t.attempts) == 0 {
			continue
		}
		if op, _, matched := j.applied(t, ev); matched && history.EvaluatesAny(op.In.Writes) {
			j.holdsOf(t, op, ev)
		}
	}
	for _, op := range h.Operations {
		j.moves(op)
	}
}

// holdsOf are the deadlines that a commit made.
func (j *judge) holdsOf(t *txn, op *history.Operation, ev *history.Event) {
	want, _ := j.wanted(t, op, ev.CommitTS-1)
	for i := range op.In.Writes {
		w, name := &op.In.Writes[i], op.In.Writes[i].Name
		if c := want.evaluated; c != nil && i < len(c.Results) {
			if name = c.Results[i].Name; c.Results[i].Existed {
				continue
			}
		}
		v := j.model.At(name, ev.CommitTS)
		if v == nil || v.TS != ev.CommitTS {
			continue
		}
		at := versioned{name, v.Number}
		switch with := w.Arguments(); {
		case w.Op == history.Increment || w.Op == history.Merge:
			if kept := j.holds[versioned{name, v.Number - 1}]; kept != nil && j.holds[at] == nil {
				j.holds[at] = kept
			}
		case w.Op == history.Acquire || with.TTL != 0 && v.Exists():
			j.holds[at] = &hold{lease: w.Op == history.Acquire, deadline: ev.CommitTime + int64(with.TTL)*millisecond, ttl: int64(with.TTL) * millisecond}
		default:
			delete(j.holds, at)
		}
	}
}

// moves takes down to when an operation moved deadlines, and which it showed: a deadline never falls.
func (j *judge) moves(op *history.Operation) {
	move := func(n history.Name, number uint64, deadline int64) {
		if h := j.holds[versioned{n, number}]; h != nil {
			h.deadline = max(h.deadline, deadline)
		}
	}
	unsure := func(n history.Name) {
		for _, v := range j.model.Keys[n] {
			if h := j.holds[versioned{n, v.Number}]; h != nil {
				h.unsure = true
			}
		}
	}
	for i, r := range op.In.Renewals {
		n := model.LeaseName(r.Namespace, r.Agent, r.Lease)
		if op.Outcome == history.OK && i < len(op.Out.Renewed) && !op.Out.Renewed[i].Lost {
			move(n, r.Token, op.Out.Renewed[i].Deadline)
		} else if op.Outcome == history.Unknown {
			unsure(n)
		}
	}
	if op.Kind == history.RefreshExpiry {
		for i, n := range op.In.Names {
			if op.Outcome == history.OK && i < len(op.Out.Refreshed) {
				move(n, op.Out.Refreshed[i].Version, op.Out.Refreshed[i].ExpiresAt)
			} else if op.Outcome == history.Unknown {
				unsure(n)
			}
		}
	}
	for i := range op.Out.Leases {
		l := &op.Out.Leases[i]
		move(model.LeaseName(l.Namespace, l.Agent, l.Lease), l.Token, l.Deadline)
	}
}

// manyDue is how many may be due at once for the daemon to take several steps; in a world, after how many of one
// time it may leave the rest to the next step.
const (
	manyDue      = 200
	firedInWorld = 8
)

// checkTimers holds the daemon's own commits to the deadlines, and all others to those that had passed.
func (j *judge) checkTimers() {
	active := make(map[history.Name]*hold)
	fired, at := 0, int64(0) // what the daemon has ended at a time
	for i := range j.model.Log {
		ev := &j.model.Log[i]
		if ev.CommitTime != at {
			fired, at = 0, ev.CommitTime
		}
		if ev.Cause != "" {
			j.checkCause(ev, active)
			fired += len(ev.Ops)
		} else if !ev.ByOperator() && fired < firedInWorld {
			j.checkMissed(ev, active)
		}
		for _, o := range j.model.Changes(ev) {
			if h := j.holds[versioned{o.Name, o.Version}]; h != nil {
				active[o.Name] = h
			} else {
				delete(active, o.Name)
			}
		}
	}
}

// checkCause: nothing is in a commit of the daemon but what it says, and nothing before its time.
func (j *judge) checkCause(ev *history.Event, active map[history.Name]*hold) {
	bad := func(check, format string, args ...any) {
		j.violateAt("G3", check, ev, format, args...)
	}
	for _, o := range j.model.Changes(ev) {
		_, lease := model.AsLease(o.Name)
		right := map[string]bool{"expired": o.Delete && (o.Due || !model.Hidden(o.Name)), "lapsed": o.Due && !o.Delete || o.Delete && lease, "due": o.Due && !o.Delete}
		h := active[o.Name]
		switch {
		case !right[ev.Cause] || o.Act != nil:
			bad("cause-differs", "commit %d is said to be of what has %s, and changes key %q of agent %q", ev.CommitTS, ev.Cause, o.Key, o.Agent)
		case h == nil && j.visibility.whole() && !j.others:
			bad("passed-unasked", "commit %d says that key %q of agent %q has %s, which had no time to live", ev.CommitTS, o.Key, o.Agent, ev.Cause)
		case h != nil && h.lease != (ev.Cause == "lapsed"):
			bad("cause-differs", "commit %d says that key %q of agent %q has %s", ev.CommitTS, o.Key, o.Agent, ev.Cause)
		case h != nil && ev.CommitTime < h.deadline:
			bad("passed-early", "commit %d says that key %q of agent %q has %s, %d ns before its deadline", ev.CommitTS, o.Key, o.Agent, ev.Cause, h.deadline-ev.CommitTime)
		}
	}
}

// checkMissed: what was due when a client's commit was decided had passed before it.
func (j *judge) checkMissed(ev *history.Event, active map[history.Name]*hold) {
	var missed []history.Name
	for n, h := range active { // sorted below
		if !h.unsure && h.deadline <= ev.CommitTime {
			missed = append(missed, n)
		}
	}
	if len(missed) == 0 || len(missed) > manyDue {
		return
	}
	slices.SortFunc(missed, history.CompareNames)
	n := missed[0]
	j.violateAt("G3", "passed-late", ev, "commit %d came %d ns after the deadline of key %q of agent %q, which had not passed", ev.CommitTS, ev.CommitTime-active[n].deadline, n.Key, n.Agent)
}

// sameHold compares when a record is said to expire, and to be due, and why the daemon made it, with what
// is so. Not all answers tell.
func (j *judge) sameHold(op *history.Operation, r *history.Record, v *model.Version) bool {
	if op.Kind != history.KeyHistory && r.Cause != "" || v != nil && v.Event != nil && op.Kind == history.KeyHistory && r.Cause != v.Event.Cause {
		return false
	}
	tells := op.Kind == history.Get || op.Kind == history.BatchGet || op.Kind == history.Scan || op.Kind == history.Find
	if !tells || !v.Exists() {
		return r.ExpiresAt == 0 && r.DueAt == 0
	}
	if v.Inherited != 0 || v.Unsure || j.others || v.Event != nil && j.unexplained(v.Event) {
		return true
	}
	h := j.holds[versioned{r.Name, v.Number}]
	if h == nil {
		return r.ExpiresAt == 0 && (r.DueAt == 0 || j.anyDue)
	}
	most := h.deadline
	if v.Event != nil { // of a version that is not the last, no more is known than how it was written
		most = max(most, v.Event.CommitTime+h.ttl)
	}
	return r.ExpiresAt != 0 && (h.unsure || r.ExpiresAt <= most)
}

// unexplained reports whether the request that made a commit may not be in the history.
func (j *judge) unexplained(ev *history.Event) bool {
	t := j.txns[ev.TxnID]
	return t == nil || j.hidden(t) || len(t.attempts) == 0
}

// checkMoves: a lease is lost if it is not held under its token at some point at which it can have been
// looked at, and otherwise held there; a record expires if it was written so.
func (j *judge) checkMoves(op *history.Operation) {
	low, high := j.window(op)
	if len(op.Out.Renewed) != len(op.In.Renewals) || op.Kind == history.RefreshExpiry && len(op.Out.Refreshed) != len(op.In.Names) {
		j.breaks(op, "G3", "moves-differ", "one each", "another number", "it was told of another number than it had asked for")
		return
	}
	somewhere := func(right func(ts uint64) bool) bool {
		for ts := max(low, j.model.Base); ts <= high; ts++ {
			if right(ts) {
				return true
			}
		}
		return false
	}
	for i, r := range op.In.Renewals {
		n, told := model.LeaseName(r.Namespace, r.Agent, r.Lease), op.Out.Renewed[i]
		if !somewhere(func(ts uint64) bool {
			v := j.model.At(n, ts)
			return j.heldUnder(n, r.Token, ts) != told.Lost || v == nil && j.model.Base > 0 || j.unknownWake(n, ts)
		}) {
			j.breaks(op, "G3", "renewed-after-lost", fmt.Sprint(!told.Lost), fmt.Sprint(told.Lost), "lease %q of agent %q under token %d was said to be lost: %v", r.Lease, r.Agent, r.Token, told.Lost)
		}
		if at := j.model.TimeOf(low); !told.Lost && r.TTL != 0 && at != 0 && told.Deadline < at+int64(r.TTL)*millisecond {
			j.breaks(op, "G3", "deadline-differs", fmt.Sprint(at+int64(r.TTL)*millisecond), fmt.Sprint(told.Deadline), "lease %q is held for shorter than it was renewed for", r.Lease)
		}
	}
	for i, n := range op.In.Names {
		told := op.Out.Refreshed[i]
		if !somewhere(func(ts uint64) bool {
			v := j.model.At(n, ts)
			h := j.holds[versioned{n, v.Num()}]
			expires := v.Exists() && h != nil
			return expires == (told.Version != 0) && (!expires || told.Version == v.Num()) || !j.visibility.whole() || j.others || v != nil && v.Inherited != 0
		}) {
			j.breaks(op, "G3", "refresh-differs", "", fmt.Sprintf("%+v", told), "key %q of agent %q was not so when its expiry was refreshed", n.Key, n.Agent)
		}
	}
}

func (j *judge) rightLeases(op *history.Operation, ts uint64) (why, expected, got string) {
	var want []history.Name
	for n := range j.model.Keys { // sorted below
		lease, is := model.AsLease(n)
		if is && n.Namespace == op.In.Namespace && (op.In.AllAgents || n.Agent == op.In.Agent) && len(lease) >= len(op.In.Prefix) && lease[:len(op.In.Prefix)] == op.In.Prefix && j.model.At(n, ts).Exists() {
			want = append(want, n)
		}
	}
	slices.SortFunc(want, history.CompareNames)
	if from := j.pageOf(op); from != nil && len(from.Out.Leases) > 0 {
		l := &from.Out.Leases[len(from.Out.Leases)-1]
		last := model.LeaseName(l.Namespace, l.Agent, l.Lease)
		want = slices.DeleteFunc(want, func(n history.Name) bool { return history.CompareNames(n, last) <= 0 })
	}
	list := op.Out.Leases
	for i := range list {
		l := &list[i]
		if i >= len(want) || want[i] != model.LeaseName(l.Namespace, l.Agent, l.Lease) {
			return fmt.Sprintf("the leases are not those after commit %d", ts), fmt.Sprint(want), fmt.Sprint(list)
		}
		v := j.model.At(want[i], ts)
		if l.Token != v.Number || v.Lease != nil && (l.Holder != v.Lease.Holder || l.AcquiredTS != v.TS || l.AcquiredAt != j.model.TimeOf(v.TS)) {
			return fmt.Sprintf("lease %q is shown otherwise than it was after commit %d", l.Lease, ts), fmt.Sprintf("token %d of commit %d", v.Number, v.TS), fmt.Sprintf("%+v", *l)
		}
	}
	return j.sameMore(op, len(list), len(want)-len(list))
}
