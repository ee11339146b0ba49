package linearizability

import (
	"cmp"
	"slices"
)

// section is what the judge is told of a part of a longer history: which operations are
// to be judged, the others being there for what rests on them.
type section struct {
	before  bool // the history itself begins in the middle
	fresh   []*Operation
	after   uint64  // the log up to here has been judged
	known   []proof // from before
	past    *pastTxns
	streams map[int]*stream
	unasked []*Event // for which no request is at hand
}

// stream is a replay or watch of which more may come.
type stream struct {
	op    *Operation // without its batches
	now   *Operation // with those of this section; nil: none came
	at    *cursor    // nil: nothing was compared yet
	quiet int        // for how many sections nothing came although it had returned
}

func byCall(a, b *Operation) int { return cmp.Or(cmp.Compare(a.Call, b.Call), cmp.Compare(a.ID, b.ID)) }

func (s *section) isFresh(op *Operation) bool {
	_, found := slices.BinarySearchFunc(s.fresh, op, byCall)
	return found
}

// goOn goes on with a stream. When nothing came although a section has gone by since it
// returned, it has ended.
func (j *judge) goOn(op *Operation) {
	st := j.part.streams[op.ID]
	if st == nil {
		return
	}
	if st.at == nil {
		if st.at = j.startStream(op); st.at == nil {
			return
		}
	}
	if j.checkBatches(op, st.at) && st.quiet > 0 {
		j.endStream(op, st.at)
	}
}

// over tells whether a transaction has come to its end, as far as anybody knows, and
// what it was.
func (j *judge) over(t *txn) (pastTxn, bool) {
	if ev := j.m.byTxn[t.id]; ev != nil {
		return pastTxn{ts: ev.CommitTS}, true
	}
	p, known := j.part.past.get(t.id)
	for _, op := range t.attempts {
		if op.Outcome == Fail && op.Error != nil && op.Error.decides() {
			return pastTxn{ended: op.Error.Code}, true
		}
		known = known || op.Outcome == OK
	}
	for _, op := range t.aborts {
		if op.Outcome == OK {
			return pastTxn{ended: "aborted"}, true
		}
	}
	_, by := t.ended()
	return p, known || by != nil || t.begin == nil && len(t.attempts) == 0
}
