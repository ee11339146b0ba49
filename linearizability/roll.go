package linearizability

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	"statehouse.dev/statehouse/history"
	"statehouse.dev/statehouse/linearizability/oracle"
	"statehouse.dev/statehouse/linearizability/verdict"
)

// advance moves the base on, as far as nothing can look behind it that is called in
// this section or the one before: to what was known by then, but not beyond hold.
func (l *long) advance(hold uint64) {
	calls := make([]int64, 0, len(l.prev))
	for _, op := range l.prev {
		if op.Kind != history.Replay && op.Kind != history.Watch {
			calls = append(calls, op.Call)
		}
	}
	if len(calls) == 0 {
		return
	}
	slices.Sort(calls)
	base := l.knownBy(calls[0])
	if l.head-base > uint64(8*l.size) { // for the sake of a few that took long, memory must not fill
		base = l.knownBy(calls[len(calls)/100])
	}
	for _, op := range l.carried {
		if op.Kind == history.Begin && op.Outcome == history.OK {
			base = min(base, op.Out.SnapshotTS)
		}
	}
	base = min(base, hold)
	n := 0
	for ; n < len(l.window) && l.window[n].CommitTS <= base; n++ {
		ev := &l.window[n]
		l.state.add(ev)
		l.past.Put(ev.TxnID, oracle.PastTxn{Ts: ev.CommitTS})
	}
	l.window = slices.Clone(l.window[n:]) // what was before can go
}

// knownBy is the last commit that was known to somebody by then.
func (l *long) knownBy(time int64) uint64 {
	i, _ := slices.BinarySearchFunc(l.proofs, time, func(p oracle.Proof, time int64) int { return cmp.Compare(p.Time, time) })
	if i == 0 {
		return l.state.ts
	}
	return max(l.state.ts, l.proofs[i-1].Ts)
}

// take takes what came of a section.
func (l *long) take(r *Result, j *oracle.Judge) {
	st, n := &l.result.Stats, len(j.Violations)
	st.Reads += r.Stats.Reads
	st.Resolved += r.Stats.Resolved
	st.BeforeBase += r.Stats.BeforeBase
	st.Dangling += r.Stats.Dangling
	st.Unexplained += r.Stats.Unexplained
	st.DeepestSearch = max(st.DeepestSearch, r.Stats.DeepestSearch)
	if r.Verdict == verdict.Unknown {
		l.result.Verdict = verdict.Unknown
	}
	l.checkEvents(j)
	for _, op := range j.Part.Fresh {
		if op.Kind == history.Commit || op.Kind == history.Transact {
			delete(l.pending, op.In.TxnID)
		}
		if op.In.TxnID != "" && j.M.ByTxn[op.In.TxnID] == nil {
			l.checkPast(j, op)
		}
		if op.Kind != history.Replay && op.Kind != history.Watch && op.Outcome == history.OK {
			l.proofs = append(l.proofs, oracle.Proof{Time: op.Return, Ts: op.NewestCommit(), Op: op.ID})
		}
	}
	slices.SortStableFunc(l.proofs, func(a, b oracle.Proof) int { return cmp.Or(cmp.Compare(a.Time, b.Time), cmp.Compare(a.Ts, b.Ts)) })
	var best uint64
	l.proofs = slices.DeleteFunc(l.proofs, func(p oracle.Proof) bool {
		if p.Ts <= best {
			return true
		}
		best = p.Ts
		return false
	})
	i, _ := slices.BinarySearchFunc(l.proofs, l.state.ts, func(p oracle.Proof, ts uint64) int { return cmp.Compare(p.Ts, ts) })
	l.proofs = slices.Clone(l.proofs[i:]) // that the base was known says the first of them
	l.result.Violations = append(r.Violations, j.Violations[n:]...)
}

// checkPast compares an answer about a transaction with what became of it, where that
// is not in the section.
func (l *long) checkPast(j *oracle.Judge, op *history.Operation) {
	p, known := l.past.Get(op.In.TxnID)
	if known {
		j.CheckPast(op, p)
	}
	// What wrote something is in the log, unless it was before that begins.
	told := op.Out.CommitTS
	began := uint64(0)
	if b := l.s.Header.Base; b != nil {
		began = b.CommitTS
	}
	if op.Outcome == history.OK && len(op.Out.Versions) > 0 && p.Ts == 0 && told > began && told <= j.M.Base && !l.past.Forgot {
		j.Breaks(op, "G1", "acked-commit-lost", fmt.Sprintf("commit %d", told), "nothing in the log", "transaction %s was acknowledged as commit %d, and is not in the log", op.In.TxnID, told)
	}
}

// checkEvents looks for commits of transactions that were over, or that nobody asked for
// so far.
func (l *long) checkEvents(j *oracle.Judge) {
	for i := range l.window {
		ev := &l.window[i]
		if ev.CommitTS <= j.Part.After {
			continue
		}
		p, _ := l.past.Get(ev.TxnID)
		switch {
		case p.Ts > 0:
			j.Violate(verdict.Violation{Guarantee: "G6", Check: "txn-twice", CommitTS: ev.CommitTS,
				Sentence: fmt.Sprintf("transaction %s is in the log twice: commits %d and %d", ev.TxnID, p.Ts, ev.CommitTS)})
		case p.Ended != "":
			j.Violate(verdict.Violation{Guarantee: "G6", Check: "refused-but-applied", CommitTS: ev.CommitTS,
				Sentence: fmt.Sprintf("commit %d is of transaction %s, which had ended otherwise (%s)", ev.CommitTS, ev.TxnID, p.Ended)})
		}
	}
	for _, ev := range j.Part.Unasked {
		if _, known := l.past.Get(ev.TxnID); !known {
			l.pending[strings.Clone(ev.TxnID)] = ev.CommitTS
		}
	}
}

// leave lets go of all operations but the last ones, and those of transactions that are
// open.
func (l *long) leave(j *oracle.Judge, fresh []*history.Operation) {
	stay := make([]*history.Operation, 0, len(l.carried))
	gone := make(map[string]bool)
	old := append(l.carried, l.prev...)
	l.prev = nil
	end := fresh[:len(fresh)*3/4]
	if len(fresh) > 0 {
		cut := fresh[len(end)].Call
		for i, op := range fresh {
			if i < len(end) && op.End() < cut {
				old = append(old, op)
			} else {
				l.prev = append(l.prev, op)
			}
		}
	}
	for _, op := range old {
		id := op.In.TxnID
		if op.Kind == history.Begin {
			id = op.Out.TxnID
		}
		if id == "" || gone[id] {
			continue
		}
		t := j.Txns[id]
		if t == nil {
			continue
		}
		born, carried := l.born[id]
		p, over := j.Over(t)
		if over || carried && l.number-born > carrySections {
			gone[id] = true
			delete(l.born, id)
			l.past.Put(id, p)
			continue
		}
		if !carried {
			l.born[id] = l.number
		}
		stay = append(stay, op)
	}
	l.carried = stay
}

// finish looks for commits that nobody has asked for in the end.
func (l *long) finish() {
	if l.s.Header.Base != nil || len(l.s.Gaps) > 0 {
		l.result.Stats.Unexplained += len(l.pending)
		return
	}
	first, of := uint64(math.MaxUint64), ""
	for id, ts := range l.pending { // the first one: order cannot matter
		if ts < first {
			first, of = ts, id
		}
	}
	if of != "" {
		l.result.Violations = append(l.result.Violations, verdict.Violation{Guarantee: "G2", Check: "unasked-commit", CommitTS: first,
			Sentence: fmt.Sprintf("commit %d is of transaction %s, which nobody asked to commit", first, of)})
	}
}
