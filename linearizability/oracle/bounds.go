package oracle

import (
	"math"
	"sort"

	"statehouse.dev/statehouse/history"
)

// bounds are those of the points at which operations can have taken effect, from real time.
type bounds struct {
	base    uint64                                     // nothing is known of what was before
	known   []known                                    // by time
	earlier func(time int64) (commitTS uint64, op int) // the same of earlier sections; nil: there are none
	newest  uint64                                     // the last commit that earlier knows of
	asked   []asked                                    // by time
}

// known: from then on some client knew of a commit, or of a later one.
type known struct {
	time     int64
	commitTS uint64 // running maximum
	op       int
}

// asked: what was first asked for at this time or later became this commit at the earliest.
type asked struct {
	time     int64
	commitTS uint64 // running minimum from the end
}

// low is the last commit that some client knew of before a time, and the operation that
// showed it; 0: none did, and it is the base.
func (b *bounds) low(time int64) (commitTS uint64, op int) {
	if i := sort.Search(len(b.known), func(i int) bool { return b.known[i].time >= time }); i > 0 {
		commitTS, op = b.known[i-1].commitTS, b.known[i-1].op
	}
	if commitTS < b.newest {
		if ts, by := b.earlier(time); ts > commitTS {
			commitTS, op = ts, by
		}
	}
	if op == 0 || commitTS < b.base {
		return b.base, 0
	}
	return commitTS, op
}

// high is the last commit that can have happened by a time: the one before the first that
// was asked for only later.
func (b *bounds) high(time int64, head uint64) uint64 {
	i := sort.Search(len(b.asked), func(i int) bool { return b.asked[i].time > time })
	if i == len(b.asked) {
		return head
	}
	return min(head, b.asked[i].commitTS-1)
}

// bound collects what the answers show to have happened by when, and when each commit was
// first asked for.
func (j *judge) bound(h *history.History) {
	b := &j.bounds
	b.base = j.model.Base
	if j.section != nil {
		b.earlier = j.section.Known
		b.newest, _ = b.earlier(math.MaxInt64)
	}
	for _, op := range h.Operations {
		j.learn(op)
	}
	sort.SliceStable(b.known, func(i, k int) bool { return b.known[i].time < b.known[k].time })
	for i := 1; i < len(b.known); i++ {
		if b.known[i].commitTS < b.known[i-1].commitTS {
			b.known[i].commitTS, b.known[i].op = b.known[i-1].commitTS, b.known[i-1].op
		}
	}
	for i := range j.model.Log {
		ev := &j.model.Log[i]
		if t := j.txns[ev.TxnID]; t != nil && len(t.attempts) > 0 {
			b.asked = append(b.asked, asked{j.firstCall(t), ev.CommitTS})
		}
	}
	sort.SliceStable(b.asked, func(i, k int) bool { return b.asked[i].time < b.asked[k].time })
	for i := len(b.asked) - 2; i >= 0; i-- {
		b.asked[i].commitTS = min(b.asked[i].commitTS, b.asked[i+1].commitTS)
	}
}

// learn takes down which commits the answers to an operation show.
func (j *judge) learn(op *history.Operation) {
	learn := func(time int64, commitTS uint64) {
		if commitTS > 0 {
			j.bounds.known = append(j.bounds.known, known{time, commitTS, op.ID})
		}
	}
	for i := range op.Batches {
		b := &op.Batches[i]
		ts := b.Cursor
		if n := len(b.Events); n > 0 {
			ts = b.Events[n-1].CommitTS
		}
		if op.Kind == history.Watch {
			ts = max(ts, b.Cursor)
		} else {
			ts = min(ts, j.model.Head) // a replay's cursor may be what was asked for
		}
		learn(b.Time, ts)
	}
	if op.Outcome == history.OK {
		learn(op.Return, op.NewestCommit())
	}
}
