package oracle

import (
	"fmt"
	"slices"

	"statehouse.dev/statehouse/history"
	"statehouse.dev/statehouse/linearizability/oracle/model"
)

// checkAcked compares an acknowledgement with the log.
func (j *judge) checkAcked(t *txn, op *history.Operation, ev *history.Event) {
	if ev != nil && j.cameToNothing(op, ev) {
		ev = nil
	}
	want, conditions := j.wanted(t, op, before(ev, op.Out.CommitTS))
	switch {
	case ev == nil && j.settledBefore(t, op.Out.CommitTS):
		j.count(op, &j.stats.BeforeBase)
		return
	case ev == nil && want.required() == 0:
		j.checkEmptyCommit(t, op, conditions)
		return
	case ev == nil:
		j.breaks(op, "G1", "acked-commit-lost", fmt.Sprintf("commit %d", op.Out.CommitTS), "nothing in the log", "transaction %s was acknowledged as commit %d, and is not in the log", t.id, op.Out.CommitTS)
		return
	case ev.CommitTS != op.Out.CommitTS || ev.CommitTime != op.Out.CommitTime:
		j.breaks(op, "G6", "answer-differs", fmt.Sprintf("commit %d at %d", ev.CommitTS, ev.CommitTime), fmt.Sprintf("commit %d at %d", op.Out.CommitTS, op.Out.CommitTime), "transaction %s was acknowledged at another place than the log has it", t.id)
		return
	case !j.did(t, op, want, ev) && !t.asksOf(op):
		j.breaks(op, "G6", "other-operations-acked", want.String(), fmt.Sprint(ev.Ops), "it was acknowledged as commit %d, which did something else", ev.CommitTS)
	}
	versions := op.Out.Versions
	if op.Kind == history.Transact {
		j.checkRepeated(t, op, conditions, ev)
		versions = oneOfEach(op)
	}
	if want.evaluated != nil {
		j.checkResults(op, want.evaluated, ev)
	} else {
		j.checkVersions(op, versions, ev)
	}
	if high := j.bounds.high(op.Return, j.model.Head); ev.CommitTS > high {
		j.breaks(op, "G3", "commit-after-return", "", "", "commit %d was acknowledged before a commit that comes before it was asked for", ev.CommitTS)
	}
}

// cameToNothing reports whether a transact was answered before the event that came of its id, since it came to
// nothing then: of that the next daemon knows no more, and looks again when the request is sent again.
func (j *judge) cameToNothing(op *history.Operation, ev *history.Event) bool {
	return evaluates(op) && mayBeNothing(op) && len(op.Out.Versions) == 0 && op.Out.CommitTS < ev.CommitTS &&
		(len(j.starts) == 0 || slices.ContainsFunc(j.starts, func(at int64) bool { return at > op.Call }))
}

// asksOf reports whether a Commit is of a transaction that nobody began and a Transact made: it
// is told what became of that.
func (t *txn) asksOf(op *history.Operation) bool {
	return op.Kind == history.Commit && t.begin == nil && slices.ContainsFunc(t.attempts, func(a *history.Operation) bool { return a.Kind == history.Transact })
}

// oneOfEach are the versions that a transact was answered, one for each key. They came one for
// each write, in the order of the writes; if they did not, there are none.
func oneOfEach(op *history.Operation) []history.KeyVersion {
	if len(op.Out.Versions) != len(op.In.Writes) {
		return nil
	}
	known := make(map[history.Name]uint64)
	var out []history.KeyVersion
	for i, v := range op.Out.Versions {
		first, again := known[v.Name]
		if v.Name != op.In.Writes[i].Name || again && first != v.Version {
			return nil
		}
		if !again {
			out = append(out, v)
		}
		known[v.Name] = v.Version
	}
	return out
}

// checkVersions compares the versions that a client was told with an event's.
func (j *judge) checkVersions(op *history.Operation, versions []history.KeyVersion, ev *history.Event) {
	got, told := make(map[history.Name]uint64), 0
	for _, v := range versions {
		if !model.Hidden(v.Name) {
			got[v.Name] = v.Version
			told++
		}
	}
	many, keys := false, 0
	for _, o := range ev.Ops { // of what an act did to keys no versions are told
		o = model.Plain(o)
		switch many = many || o.Act != nil; {
		case o.Act != nil || model.Hidden(o.Name):
			continue
		case got[o.Name] != o.Version:
			j.breaks(op, "G6", "version-differs", fmt.Sprint(o.Version), fmt.Sprint(got[o.Name]), "it was told another version of key %q than commit %d made", o.Key, ev.CommitTS)
			return
		}
		keys++
	}
	if told != keys && !many {
		j.breaks(op, "G6", "version-differs", fmt.Sprint(keys), fmt.Sprint(told), "it was told versions of another number of keys than commit %d changed", ev.CommitTS)
	}
}

// checkEmptyCommit: a commit without writes takes effect where it read, or where its conditions
// held.
func (j *judge) checkEmptyCommit(t *txn, op *history.Operation, conditions []history.KeyCondition) {
	ts := op.Out.CommitTS
	if len(op.Out.Versions) > 0 {
		j.breaks(op, "G6", "version-differs", "none", fmt.Sprint(len(op.Out.Versions)), "it was told versions, and wrote nothing")
	}
	// 0: it could not be read.
	if time := j.model.TimeOf(ts); time != 0 && op.Out.CommitTime != 0 && time != op.Out.CommitTime {
		j.breaks(op, "G6", "answer-differs", fmt.Sprint(time), fmt.Sprint(op.Out.CommitTime), "it was told another time than that of commit %d", ts)
	}
	if len(conditions)+len(op.In.Heads) > 0 || op.In.Reads != nil || evaluates(op) {
		low, _ := j.bounds.low(j.firstCall(t)) // what it is answered may be what was decided then
		switch high := j.bounds.high(op.Return, j.model.Head); {
		case ts > high:
			j.breaks(op, "G4", "ghost-commit", fmt.Sprintf("at most %d", high), fmt.Sprint(ts), "it was answered commit %d, which had not happened", ts)
		case ts < low:
			j.breaks(op, "G3", "empty-commit-elsewhere", fmt.Sprintf("at least %d", low), fmt.Sprint(ts), "its conditions were looked at where they were known to be past")
		default:
			j.checkConditions(t, op, conditions, ts)
			if w, _ := j.wanted(t, op, ts); w.evaluated != nil {
				j.checkResults(op, w.evaluated, nil)
			}
		}
		return
	}
	if t.begin != nil && ts != t.begin.Out.SnapshotTS {
		j.breaks(op, "G3", "empty-commit-elsewhere", fmt.Sprint(t.begin.Out.SnapshotTS), fmt.Sprint(ts), "a transaction that only read commits at its snapshot")
	}
}

// checkUse: what began is what is used, and not after its end.
func (j *judge) checkUse(t *txn, ev *history.Event) {
	end, by := t.ended()
	for _, list := range [][]*history.Operation{t.staged, t.reads, t.attempts, t.aborts} {
		for _, op := range list {
			switch {
			case op.Outcome == history.OK && op.Kind != history.Transact && op.Kind != history.Abort && t.begin == nil && !j.hidden(t) && !t.asksOf(op) && !j.begunUnseen(t, op):
				j.breaks(op, "G6", "not-begun", "", "", "it is of transaction %s, which nobody began", t.id)
			case op.Outcome == history.OK && op.Kind != history.Commit && op.Kind != history.Transact && op.Kind != history.Abort && by != nil && op.Call > end:
				j.breaks(op, "G6", "used-after-end", "", "", "transaction %s had ended, as #%d was told", t.id, by.ID)
			case op.Outcome == history.OK && op.Kind == history.Commit && by != nil && by.Kind == history.Abort && op.Call > end:
				j.breaks(op, "G6", "committed-after-abort", "", "", "transaction %s had been aborted, as #%d was told", t.id, by.ID)
			case ev != nil && op.Error != nil && (op.Error.Code == "TXN_EXPIRED" || op.Error.Code == "TXN_ABORTED") && !j.askedOtherwise(t, op, ev) && !j.askedAgain(t, op, ev):
				j.breaks(op, "G6", "refused-but-applied", "", op.Error.Code, "it was refused (%s: %s), and transaction %s is in the log as commit %d", op.Error.Code, op.Error.Message, t.id, ev.CommitTS)
			case op.Error != nil && op.Error.Code == "TXN_ALREADY_COMMITTED" && !j.attemptedBy(t, op.End()):
				j.breaks(op, "G6", "not-committed", "", op.Error.Code, "it was told that transaction %s has committed, which nobody had asked for", t.id)
			}
		}
	}
}

// sentAfter reports whether an event can be of a transact that was under way, or not yet sent,
// when its id was told to have come to nothing.
func (j *judge) sentAfter(t *txn, told *history.Operation, ev *history.Event) bool {
	return t.begin == nil && slices.ContainsFunc(t.attempts, func(a *history.Operation) bool {
		want, _ := j.wanted(t, a, ev.CommitTS-1)
		return a.Kind == history.Transact && a.End() > told.Call && j.match(want, ev)
	})
}

// attemptedBy reports whether a client can have asked to commit a transaction by then.
func (j *judge) attemptedBy(t *txn, time int64) bool {
	return j.hidden(t) || len(t.attempts) > 0 && t.attempts[0].Call < time
}

// ended is when a client was first told that a transaction which was begun has ended, and the
// answer that said so.
func (t *txn) ended() (at int64, by *history.Operation) {
	if t.begin == nil {
		return 0, nil
	}
	for _, list := range [][]*history.Operation{t.staged, t.reads, t.attempts, t.aborts, t.asked} {
		for _, op := range list {
			if endsTxn(op) && (by == nil || op.Return < at) {
				at, by = op.Return, op
			}
		}
	}
	return at, by
}

// endsTxn reports whether an answer says that the operation's transaction has ended.
func endsTxn(op *history.Operation) bool {
	switch {
	case op.Outcome == history.OK && op.Kind == history.GetTxn:
		return op.Out.State == "committed" || op.Out.State == "aborted" || op.Out.State == "expired"
	case op.Outcome == history.OK:
		return op.Kind == history.Commit || op.Kind == history.Abort
	case op.Error == nil:
		return false
	}
	switch op.Error.Code {
	case "TXN_EXPIRED", "TXN_ABORTED", "CONFLICT", "PRECONDITION_FAILED", "LEASE_HELD", "LEASE_LOST", "EVALUATION_FAILED":
		return true
	}
	return false // TXN_ALREADY_COMMITTED is told while it is on its way, too, and it may fail
}

// checkOutcomeAsked compares what was told of a transaction with the log.
func (j *judge) checkOutcomeAsked(op *history.Operation) {
	t, ev, out := j.txns[op.In.TxnID], j.model.ByTxn[op.In.TxnID], &op.Out
	if t == nil {
		return // of no id
	}
	if j.covered != nil && t.begin == nil && len(t.attempts) == 0 {
		j.count(op, &j.stats.Outside) // another client's, which may have touched any agent
		return
	}
	low, high := j.window(op)
	differs := func(expected, format string, args ...any) {
		j.breaks(op, "G6", "outcome-differs", expected, out.State, format, args...)
	}
	if out.State == "committed" {
		j.checkToldCommitted(op, t, ev, high)
		return
	}
	end, by := t.ended()
	switch {
	case out.CommitTS != 0 || out.CommitTime != 0 || len(out.Versions) > 0:
		differs("no commit", "transaction %s is called %s, and told to be commit %d", t.id, out.State, out.CommitTS)
	case out.State == "aborted" || out.State == "expired":
		if ev != nil && !j.sentAfter(t, op, ev) {
			differs("committed", "transaction %s is in the log as commit %d", t.id, ev.CommitTS)
		} else if out.State == "aborted" && !j.attemptedBy(t, op.End()) && (len(t.aborts) == 0 || t.aborts[0].Call > op.End()) {
			differs("open or expired", "nobody aborted transaction %s, or tried to commit it", t.id)
		} else if out.State == "expired" && t.begin == nil && !j.hidden(t) && !t.mayExpire(op.End()) {
			differs("something else", "transaction %s was neither begun nor sent with a timeout, so it cannot expire", t.id)
		}
	case out.State == "open" || out.State == "never_seen":
		if ev != nil && low >= ev.CommitTS {
			j.breaks(op, "G6", "outcome-forgotten", fmt.Sprintf("committed at %d", ev.CommitTS), out.State, "the outcome of transaction %s is forgotten", t.id)
		} else if out.State == "open" && by != nil && by != op && end < op.Call {
			differs("ended", "transaction %s had ended, as #%d was told", t.id, by.ID)
		} else if out.State == "open" && t.begin == nil && !j.attemptedBy(t, op.End()) {
			differs("never_seen", "transaction %s was neither begun nor sent", t.id)
		}
	case out.State != "too_old":
		differs("a state", "there is no state %q", out.State)
	}
}

func (j *judge) checkToldCommitted(op *history.Operation, t *txn, ev *history.Event, high uint64) {
	out := &op.Out
	switch {
	case ev == nil && j.settledBefore(t, out.CommitTS):
		j.count(op, &j.stats.BeforeBase)
	case ev == nil && !j.canBeEmpty(t) && (len(out.Versions) > 0 || !j.hidden(t)):
		j.breaks(op, "G4", "ghost-outcome", "", "", "transaction %s was called committed at %d, and is not in the log", t.id, out.CommitTS)
	case ev == nil && (len(out.Versions) > 0 || out.CommitTS > high || t.emptyAt(out.CommitTS, j.hidden(t)) != nil):
		j.breaks(op, "G6", "outcome-differs", "", fmt.Sprint(out.CommitTS), "its outcome is told otherwise than it was answered")
	case ev == nil:
		if at := j.model.TimeOf(out.CommitTS); at != 0 && out.CommitTime != 0 && at != out.CommitTime {
			j.breaks(op, "G6", "outcome-differs", fmt.Sprint(at), fmt.Sprint(out.CommitTime), "it was told another time than that of commit %d", out.CommitTS)
		}
	case ev.CommitTS != out.CommitTS || ev.CommitTime != out.CommitTime:
		j.breaks(op, "G6", "outcome-differs", fmt.Sprintf("commit %d at %d", ev.CommitTS, ev.CommitTime), fmt.Sprintf("commit %d at %d", out.CommitTS, out.CommitTime), "its outcome is told differently from the log")
	case ev.CommitTS > high:
		j.breaks(op, "G4", "ghost-outcome", fmt.Sprintf("at most %d", high), fmt.Sprint(out.CommitTS), "transaction %s was called committed before it was", t.id)
	default:
		j.checkVersions(op, out.Versions, ev)
	}
}

// canBeEmpty reports whether a transaction can have committed without an event.
func (j *judge) canBeEmpty(t *txn) bool {
	for _, op := range t.attempts {
		if evaluates(op) && op.Outcome != history.Fail && mayBeNothing(op) {
			return true
		}
		if w, _ := j.wanted(t, op, j.model.Base); !evaluates(op) && op.Outcome != history.Fail && w.required() == 0 {
			return true
		}
	}
	return false
}

// emptyAt finds an answer that says that a transaction without an event took effect elsewhere
// than at ts.
func (t *txn) emptyAt(ts uint64, hidden bool) *history.Operation {
	for _, op := range t.attempts {
		if op.Outcome == history.OK && op.Out.CommitTS != ts {
			return op
		}
	}
	if n := len(t.attempts); t.begin != nil && n > 0 && !hidden && len(t.attempts[0].In.Keys)+len(t.attempts[0].In.Heads) == 0 && t.begin.Out.SnapshotTS != ts {
		return t.begin
	}
	return nil
}
