package oracle

import (
	"fmt"
	"slices"
	"strings"

	"statehouse.dev/statehouse/history"
	"statehouse.dev/statehouse/linearizability/oracle/model"
)

func (j *judge) checkTxn(t *txn) {
	for _, op := range slices.Concat(t.staged, t.attempts) {
		if outside(j.covered, op) {
			j.count(op, &j.stats.Outside)
			return
		}
	}
	ev := j.model.ByTxn[t.id]
	if ev != nil {
		j.checkApplied(t, ev)
	}
	for _, op := range t.attempts {
		switch op.Outcome {
		case history.OK:
			j.checkAcked(t, op, ev)
		case history.Fail:
			j.checkRefused(t, op, ev)
		}
	}
	for _, op := range t.aborts {
		if op.Outcome == history.OK && ev != nil && !t.neverBegun(op) {
			j.breaks(op, "G6", "aborted-but-applied", "", "", "transaction %s was aborted, and is in the log as commit %d", t.id, ev.CommitTS)
		}
	}
	j.checkUse(t, ev)
}

// checkApplied compares an event with what was asked for, and its conditions and
// reads with the state before it.
func (j *judge) checkApplied(t *txn, ev *history.Event) {
	if len(t.attempts) == 0 {
		return // reported
	}
	op, conditions, matched := j.applied(t, ev)
	hidden := j.hidden(t)
	switch {
	case !matched && hidden:
		j.stats.Unexplained++ // another request did it
		return
	case !matched:
		w, _ := j.wanted(t, op, ev.CommitTS-1)
		j.breaks(op, "G2", "commit-differs", w.String(), fmt.Sprint(ev.Ops), "commit %d is not what was asked for", ev.CommitTS)
		return
	}
	call := op.Call
	if hidden {
		call = j.firstCall(t)
	}
	if low, by := j.bounds.low(call); low >= ev.CommitTS && by != 0 {
		j.breaks(op, "G3", "commit-before-call", "", "", "commit %d was asked for after #%d had shown commit %d", ev.CommitTS, by, low)
	}
	if hidden && op.Outcome != history.OK {
		return // another request may have done it, on other conditions
	}
	j.checkConditions(t, op, conditions, ev.CommitTS-1)
}

// applied is the request that made an event, with its conditions on keys: the first one that
// asked for the same on conditions that held. If there is none, it is one whose conditions did
// not hold, and if not even that, the first of all and not matched.
func (j *judge) applied(t *txn, ev *history.Event) (op *history.Operation, conditions []history.KeyCondition, matched bool) {
	op = t.attempts[0]
	for _, a := range t.attempts {
		w, c := j.wanted(t, a, ev.CommitTS-1)
		if !j.did(t, a, w, ev) || !j.sameProvenance(ev, a.In.Metadata, ev.Principal, ev.TraceID) {
			continue
		}
		if j.hold(a, c, ev.CommitTS-1) {
			return a, c, true
		}
		if !matched {
			op, conditions, matched = a, c, true
		}
	}
	return op, conditions, matched
}

// hold reports whether all conditions of a request held after a commit, and what it read.
func (j *judge) hold(op *history.Operation, conditions []history.KeyCondition, after uint64) bool {
	for _, k := range conditions {
		if !j.met(&k, after) {
			return false
		}
	}
	for _, h := range op.In.Heads {
		if j.model.HeadAt(history.AgentName{Namespace: h.Namespace, Agent: h.Agent}, after) != h.Expected {
			return false
		}
	}
	return j.readsHold(op, after)
}

// checkConditions holds a transaction that committed right after the commit before to its
// conditions and to what it read.
func (j *judge) checkConditions(t *txn, op *history.Operation, conditions []history.KeyCondition, before uint64) {
	for _, k := range conditions {
		if v := j.model.At(model.Key(&k), before); !j.met(&k, before) && k.Lease != "" {
			j.breaks(op, "G3", "lease-not-held", fmt.Sprintf("token %d", k.Expected), v.Show(), "it committed although lease %q of agent %q was not held under token %d", k.Lease, k.Agent, k.Expected)
		} else if !j.met(&k, before) {
			j.breaks(op, "G3", "condition-not-held", fmt.Sprintf("version %d", k.Expected), v.Show(), "it committed although key %q of agent %q was not at version %d", k.Key, k.Agent, k.Expected)
		}
	}
	for _, h := range op.In.Heads {
		if got := j.model.HeadAt(history.AgentName{Namespace: h.Namespace, Agent: h.Agent}, before); got != h.Expected {
			j.breaks(op, "G3", "condition-not-held", fmt.Sprint(h.Expected), fmt.Sprint(got), "it committed behind commit %d although the head of agent %q was %d, not %d", before, h.Agent, got, h.Expected)
		}
	}
	j.checkReads(op, before)
	if t.begin != nil {
		j.checkReadSet(t, op, t.begin.Out.SnapshotTS, before)
	}
}

// met reports whether a condition on a key, or on a lease, held after a commit.
func (j *judge) met(k *history.KeyCondition, after uint64) bool {
	v := j.model.At(model.Key(k), after)
	if k.Lease != "" {
		return j.heldUnder(model.Key(k), k.Expected, after)
	}
	return holds(v, k.Expected)
}

func holds(v *model.Version, expected uint64) bool {
	return expected == v.Num() || expected == 0 && !v.Exists()
}

// checkReadSet holds a transaction to what it read.
func (j *judge) checkReadSet(t *txn, op *history.Operation, snapshot, before uint64) {
	for _, r := range t.reads {
		if r.Outcome != history.OK || r.Call > op.Call {
			continue
		}
		j.eachRead(t, r, func(n history.Name) {
			check, how := "lost-update", "which it had read"
			if r.Kind == history.Scan || r.Kind == history.ListKeys {
				check, how = "write-skew", "in a range that it had listed"
			}
			if x, y := j.model.At(n, snapshot), j.model.At(n, before); x.Num() != y.Num() {
				j.breaks(op, "G3", check, x.Show(), y.Show(), "it committed although key %q of agent %q, %s, had changed", n.Key, n.Agent, how)
			}
		})
	}
}

// eachRead calls f with the keys that a read in a transaction rests on: those that it read
// from the snapshot, and all that a listing covered.
func (j *judge) eachRead(t *txn, r *history.Operation, f func(history.Name)) {
	if r.Kind == history.Get || r.Kind == history.BatchGet {
		for i := range r.Out.Records {
			rec := &r.Out.Records[i]
			if len(t.own(rec.Name, r).writes) == 0 && !(looksOwn(rec) && j.hidden(t)) {
				f(rec.Name)
			}
		}
		return
	}
	if j.pageLost(r) {
		return
	}
	first, last := j.stretch(r)
	a := history.AgentName{Namespace: r.In.Namespace, Agent: r.In.Agent}
	for _, k := range j.model.Sorted[a] {
		if strings.HasPrefix(k, r.In.Prefix) && (first == "" || k >= first) && (last == "" || k <= last) {
			f(history.Name{Namespace: a.Namespace, Agent: a.Agent, Key: k})
		}
	}
}
