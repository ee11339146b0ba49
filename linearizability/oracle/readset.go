package oracle

import (
	"fmt"
	"slices"
	"strings"

	"statehouse.dev/statehouse/history"
	"statehouse.dev/statehouse/linearizability/oracle/model"
)

// What a transact says that its transaction read. The client held the transaction, so the
// daemon is held to the read set that it was sent: whether that is what the client had read,
// the history of intents shows.

// checkReads holds a transact that committed right after the commit before to what it read.
func (j *judge) checkReads(op *history.Operation, before uint64) {
	j.eachChanged(op.In.Reads, before, func(check, how string, n history.Name, was string) {
		j.breaks(op, "G3", check, was, j.model.At(n, before).Show(), "it committed although key %q of agent %q, %s, had changed", n.Key, n.Agent, how)
	})
}

// readsHold reports whether a transact would have read the same after a commit.
func (j *judge) readsHold(op *history.Operation, after uint64) bool {
	same := true
	j.eachChanged(op.In.Reads, after, func(string, string, history.Name, string) { same = false })
	return same
}

// eachChanged calls f with each key of a read set that is not the same after a commit.
func (j *judge) eachChanged(r *history.Reads, after uint64, f func(check, how string, n history.Name, was string)) {
	if r == nil {
		return
	}
	for _, k := range r.Keys {
		if j.model.At(k.Name, after).Num() != k.Version {
			f("lost-update", "which it had read", k.Name, fmt.Sprintf("version %d", k.Version))
		}
	}
	snapshot := max(r.Snapshot, j.model.Base) // of what was before, no more is known
	for i := range r.Ranges {
		j.eachIn(&r.Ranges[i], func(n history.Name) {
			if x, y := j.model.At(n, snapshot), j.model.At(n, after); x.Num() != y.Num() {
				f("write-skew", "in a range that it had listed", n, x.Show())
			}
		})
	}
}

// eachIn calls f with each key in a range that was ever written.
func (j *judge) eachIn(l *history.Range, f func(history.Name)) {
	for _, k := range j.model.Sorted[history.AgentName{Namespace: l.Namespace, Agent: l.Agent}] {
		if strings.HasPrefix(k, l.Prefix) && (l.First == "" || k >= l.First) && (l.Last == "" || k <= l.Last) {
			f(history.Name{Namespace: l.Namespace, Agent: l.Agent, Key: k})
		}
	}
}

// checkStale: what a refusal of a transact says to have changed is of its read set, and was so
// at some point at which it can have been decided.
func (j *judge) checkStale(t *txn, op *history.Operation) {
	first := j.firstCall(t)
	low, _ := j.bounds.low(first)
	high := j.bounds.high(op.Return, j.model.Head)
	switch {
	case j.couldBeStale(op, low, high):
	case op.In.Reads.Snapshot < j.model.Base || j.early(first):
		j.count(op, &j.stats.BeforeBase)
	default:
		j.breaks(op, "G4", "unjustified-conflict", "", op.Error.Message, "what it names was not read, or has not changed by then")
	}
}

func (j *judge) couldBeStale(op *history.Operation, low, high uint64) bool {
	n, reads := op.Error.Named(), op.In.Reads
	says := func(v *model.Version) bool { return op.Error.Says("current_version", v.Num()) }
	vs := j.model.Keys[n]
	for i := range reads.Ranges {
		in := false
		j.eachIn(&reads.Ranges[i], func(k history.Name) { in = in || k == n })
		if in && slices.ContainsFunc(vs, func(v model.Version) bool { return v.TS > reads.Snapshot && v.TS <= high && says(&v) }) {
			return true
		}
	}
	for _, k := range reads.Keys {
		if k.Name != n || !op.Error.Says("seen_version", k.Version) || op.Error.Says("current_version", k.Version) {
			continue
		}
		if says(j.model.At(n, low)) || slices.ContainsFunc(vs, func(v model.Version) bool { return v.TS > low && v.TS <= high && says(&v) }) {
			return true
		}
	}
	return false
}

// mayExpire reports whether a transact of the transaction, asked for by then, had a timeout.
func (t *txn) mayExpire(by int64) bool {
	return slices.ContainsFunc(t.attempts, func(a *history.Operation) bool { return a.In.Timeout != nil && a.Call < by })
}
