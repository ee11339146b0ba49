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

// known: from then on some client knew of a commit, or of a later one.
type known struct {
	time     int64
	commitTS uint64
	op       int
}

// judge judges the next section.
func (l *long) judge(fresh []*history.Operation, last bool) {
	ended, hold := l.streams.end(last)
	fresh = append(fresh, ended...)
	slices.SortFunc(fresh, history.ByCall)
	l.advance(hold)
	before := slices.Concat(l.carried, l.prev)
	old := make(map[*history.Operation]bool, len(before))
	for _, op := range before {
		old[op] = true
	}
	h := &history.History{Header: l.index.Header, Operations: before, Log: l.window, Complete: true, Gaps: l.index.Gaps}
	for _, op := range fresh {
		h.Operations = append(h.Operations, l.streams.resumed(op))
	}
	slices.SortFunc(h.Operations, history.ByCall)
	h.Header.Base = l.state.base(h)
	o := l.o
	o.SkipSerial = o.SkipSerial || l.number%serialEvery != 0
	r := check(h, o, &oracle.Section{
		Middle: l.index.Header.Base != nil, Judged: func(op *history.Operation) bool { return old[op] }, Log: l.judged,
		Asked: l.finished.asked, Known: l.lastKnown,
	})
	l.number++
	l.take(&r)
	now := standingsOf(h)
	l.checkEnds(h, now, fresh)
	l.learn(fresh)
	for _, op := range fresh {
		l.streams.judged(op)
		l.streams.clock = max(l.streams.clock, op.Call)
	}
	l.leave(now, fresh)
	l.judged = l.head
	l.around = h
	h.Header.Base = l.index.Header.Base // the file's
	h.Operations = slices.Concat(before, fresh)
	slices.SortFunc(h.Operations, history.ByCall)
}

// advance moves the base on, to what was known when the first operation of this section or the
// one before it was called: nothing can look further back. It stays at hold, if that is before.
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
		l.finished.put(ev.TxnID, end{commitTS: ev.CommitTS})
	}
	l.window = slices.Clone(l.window[n:]) // what was before can go
}

// lastKnown is the last commit that some client knew of before a time, and the operation
// that showed it.
func (l *long) lastKnown(time int64) (commitTS uint64, op int) {
	i, _ := slices.BinarySearchFunc(l.known, time, func(k known, time int64) int { return cmp.Compare(k.time, time) })
	if i == 0 {
		return 0, 0
	}
	return l.known[i-1].commitTS, l.known[i-1].op
}

func (l *long) knownBy(time int64) uint64 {
	ts, _ := l.lastKnown(time)
	return max(l.state.ts, ts)
}

// learn adds what the answers of a section show to have happened.
func (l *long) learn(fresh []*history.Operation) {
	for _, op := range fresh {
		if op.Kind != history.Replay && op.Kind != history.Watch && op.Outcome == history.OK {
			l.known = append(l.known, known{op.Return, op.NewestCommit(), op.ID})
		}
	}
	slices.SortStableFunc(l.known, func(a, b known) int { return cmp.Or(cmp.Compare(a.time, b.time), cmp.Compare(a.commitTS, b.commitTS)) })
	var best uint64
	l.known = slices.DeleteFunc(l.known, func(k known) bool {
		if k.commitTS <= best {
			return true
		}
		best = k.commitTS
		return false
	})
	i, _ := slices.BinarySearchFunc(l.known, l.state.ts, func(k known, ts uint64) int { return cmp.Compare(k.commitTS, ts) })
	l.known = slices.Clone(l.known[i:]) // that the base was known, the first of them says
}

// take takes what came of a section.
func (l *long) take(r *Result) {
	st := &l.result.Stats
	st.Reads += r.Stats.Reads
	st.Resolved += r.Stats.Resolved
	st.BeforeBase += r.Stats.BeforeBase
	st.Dangling += r.Stats.Dangling
	st.Unexplained += r.Stats.Unexplained
	st.DeepestSearch = max(st.DeepestSearch, r.Stats.DeepestSearch)
	if r.Verdict == verdict.Unknown {
		l.result.Verdict = verdict.Unknown
	}
	l.result.Violations = r.Violations
}

// leave lets go of all operations but the last ones, and those of transactions that are
// open.
func (l *long) leave(now map[string]*standing, fresh []*history.Operation) {
	stay, gone := make([]*history.Operation, 0, len(l.carried)), make(map[string]bool)
	old := append(l.carried, l.prev...)
	l.prev = nil
	if n := len(fresh) * 3 / 4; len(fresh) > 0 {
		for i, op := range fresh {
			if i < n && op.End() < fresh[n].Call {
				old = append(old, op)
			} else {
				l.prev = append(l.prev, op)
			}
		}
	}
	for _, op := range old {
		id := txnOf(op)
		if id == "" || gone[id] {
			continue
		}
		born, carried := l.born[id]
		how, over := now[id].end(l.finished)
		if over || carried && l.number-born > carrySections {
			gone[id] = true
			delete(l.born, id)
			l.finished.put(id, how)
			continue
		}
		if !carried {
			l.born[id] = l.number
		}
		stay = append(stay, op)
	}
	l.carried = stay
}

// checkUnasked looks for commits that no client has asked for in the end.
func (l *long) checkUnasked() {
	if l.index.Header.Base != nil || len(l.index.Gaps) > 0 {
		l.result.Stats.Unexplained += len(l.unasked)
		return
	}
	first, of := uint64(math.MaxUint64), ""
	for id, ts := range l.unasked { // the first one: order cannot matter
		if ts < first {
			first, of = ts, id
		}
	}
	if of != "" {
		l.violate("G2", "unasked-commit", first, "commit %d is of transaction %s, which no client asked to commit", first, of)
	}
}

// maxViolations is how many are kept: what comes after them follows from them.
const maxViolations = 100

func (l *long) violate(guarantee, check string, commitTS uint64, format string, args ...any) {
	if len(l.result.Violations) >= maxViolations {
		return
	}
	l.result.Violations = append(l.result.Violations, verdict.Violation{
		Guarantee: guarantee, Check: check, CommitTS: commitTS, Sentence: fmt.Sprintf(format, args...),
	})
}

// checkEnds compares the new commits and answers of a section with how transactions ended that
// it no longer has, and notes the commits that no client has asked for so far.
func (l *long) checkEnds(h *history.History, now map[string]*standing, fresh []*history.Operation) {
	for id := range l.unasked { // each by itself
		if t := now[id]; t != nil && t.asked {
			delete(l.unasked, id)
		}
	}
	for i := range h.Log {
		ev := &h.Log[i]
		if ev.CommitTS <= l.judged {
			continue
		}
		ended, known := l.finished.get(ev.TxnID)
		t := now[ev.TxnID]
		switch {
		case ended.commitTS > 0:
			l.violate("G6", "txn-twice", ev.CommitTS, "transaction %s is in the log twice: commits %d and %d", ev.TxnID, ended.commitTS, ev.CommitTS)
		case ended.how != "":
			l.violate("G6", "refused-but-applied", ev.CommitTS, "commit %d is of transaction %s, which had ended otherwise (%s)", ev.CommitTS, ev.TxnID, ended.how)
		case !known && (t == nil || !t.asked):
			l.unasked[strings.Clone(ev.TxnID)] = ev.CommitTS
		}
	}
	for _, op := range fresh {
		if t := now[op.In.TxnID]; t != nil && t.as.commitTS == 0 {
			l.checkEnd(op, h.Header.Base.CommitTS)
		}
	}
}
