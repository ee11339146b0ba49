package oracle

import (
	"fmt"
	"slices"

	"statehouse.dev/statehouse/history"
	"statehouse.dev/statehouse/linearizability/verdict"
)

// txn gathers what was asked about one transaction.
type txn struct {
	id       string
	begin    *history.Operation
	staged   []*history.Operation // writes and deletes, in the order of their calls
	reads    []*history.Operation
	attempts []*history.Operation // commits and transacts
	aborts   []*history.Operation
	asked    []*history.Operation // after its outcome
	first    int
	unseen   bool // a begin that was not answered may have begun it
}

// lastRead is the last of its reads that the daemon answered; nil: it answered none.
func (t *txn) lastRead() (last *history.Operation) {
	if t == nil {
		return nil
	}
	for _, r := range t.reads {
		list := r.Kind == history.ListKeys || r.Kind == history.Scan
		if r.Outcome == history.OK && (list || !ownBeforeSnapshot(r)) && (last == nil || r.Return > last.Return) {
			last = r
		}
	}
	return last
}

func (j *judge) collect(h *history.History) {
	get := func(id string) *txn {
		t := j.txns[id]
		if t == nil {
			t = &txn{id: id, first: len(j.txns)}
			j.txns[id] = t
		}
		return t
	}
	for _, op := range h.Operations {
		if op.Kind == history.Begin && op.Outcome == history.Unknown {
			j.unanswered = append(j.unanswered, op.Call)
		}
		if op.Kind == history.Begin && op.Outcome == history.OK {
			t := get(op.Out.TxnID)
			switch {
			case t.id == "":
				j.breaks(op, "G6", "id-missing", "an id", "none", "it was given no transaction id")
			case t.begin != nil:
				j.breaks(op, "G6", "id-given-twice", "", "", "it was given transaction id %s, which #%d was given before", t.id, t.begin.ID)
			}
			t.begin = op
		}
		if op.In.TxnID == "" {
			continue
		}
		t := get(op.In.TxnID)
		switch op.Kind {
		case history.StageWrite, history.StageDelete:
			t.staged = append(t.staged, op)
		case history.Commit, history.Transact:
			t.attempts = append(t.attempts, op)
		case history.Abort:
			t.aborts = append(t.aborts, op)
		case history.GetTxn:
			t.asked = append(t.asked, op)
		case history.Get, history.BatchGet, history.ListKeys, history.Scan:
			t.reads = append(t.reads, op)
		}
	}
}

// begunUnseen reports whether a begin that was not answered may have begun a transaction that is used: one
// begins one at most, and none that was used before. Transactions come in the order of their first uses.
func (j *judge) begunUnseen(t *txn, op *history.Operation) bool {
	if !t.unseen && len(j.unanswered) > 0 && j.unanswered[0] < op.Call {
		t.unseen, j.unanswered = true, j.unanswered[1:]
	}
	return t.unseen
}

// findUnasked looks for commits that no client asked for. Of a section of a longer history
// that is not its to say: they may have been asked for in another one.
func (j *judge) findUnasked(h *history.History) {
	for i := range h.Log {
		ev := &h.Log[i]
		t := j.txns[ev.TxnID]
		switch {
		case j.section != nil || t != nil && len(t.attempts) > 0 || ev.ByOperator() || ev.Cause != "":
		case t == nil && !j.visibility.whole() || t != nil && j.hidden(t):
			j.stats.Unexplained++
		default:
			j.violate(verdict.Violation{Guarantee: "G2", Check: "unasked-commit", CommitTS: ev.CommitTS,
				Sentence: fmt.Sprintf("commit %d is of transaction %s, which no client asked to commit", ev.CommitTS, ev.TxnID)})
		}
	}
}

// transactions lists those to judge, in the order in which the history first names them. In
// a section those are the ones of which it has the commit and an attempt to commit: of others,
// a later section may have the request that explains an answer.
func (j *judge) transactions() []*txn {
	list := make([]*txn, 0, len(j.txns))
	for _, t := range j.txns { // sorted below
		if ev := j.model.ByTxn[t.id]; j.section == nil || ev != nil && ev.CommitTS > j.section.Log && len(t.attempts) > 0 {
			list = append(list, t)
		}
	}
	slices.SortFunc(list, func(a, b *txn) int { return a.first - b.first })
	return list
}

// begunIDs is how long ids are that a daemon gives: UUIDs.
const begunIDs = len("01890a5d-ac96-774b-bcce-b302099a8057")

// neverBegun reports whether a commit or abort names an id that a client chose for a transact.
// No daemon gives such an id, so no client can have begun that transaction, and there is
// nothing to end.
func (t *txn) neverBegun(op *history.Operation) bool {
	return op.Kind != history.Transact && t.begin == nil && len(t.id) != begunIDs
}
