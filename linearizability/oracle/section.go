package oracle

import (
	"slices"

	"statehouse.dev/statehouse/history"
)

// section is what the judge is told of a part of a longer history: which operations are
// to be judged, the others being there for what rests on them.
type Section struct {
	Before  bool // the history itself begins in the middle
	Fresh   []*history.Operation
	After   uint64  // the log up to here has been judged
	Known   []Proof // from before
	Past    *PastTxns
	Streams map[int]*Stream
	Unasked []*history.Event // for which no request is at hand
}

// stream is a replay or watch of which more may come.
type Stream struct {
	Op    *history.Operation // without its batches
	Now   *history.Operation // with those of this section; nil: none came
	At    *cursor            // nil: nothing was compared yet
	Quiet int                // for how many sections nothing came although it had returned
}

func (s *Section) isFresh(op *history.Operation) bool {
	_, found := slices.BinarySearchFunc(s.Fresh, op, history.ByCall)
	return found
}

// goOn goes on with a stream. When nothing came although a section has gone by since it
// returned, it has ended.
func (j *Judge) goOn(op *history.Operation) {
	st := j.Part.Streams[op.ID]
	if st == nil {
		return
	}
	if st.At == nil {
		if st.At = j.startStream(op); st.At == nil {
			return
		}
	}
	if j.checkBatches(op, st.At) && st.Quiet > 0 {
		j.endStream(op, st.At)
	}
}

// over tells whether a transaction has come to its end, as far as anybody knows, and
// what it was.
func (j *Judge) Over(t *txn) (PastTxn, bool) {
	if ev := j.M.ByTxn[t.id]; ev != nil {
		return PastTxn{Ts: ev.CommitTS}, true
	}
	p, known := j.Part.Past.Get(t.id)
	for _, op := range t.attempts {
		if op.Outcome == history.Fail && op.Error != nil && decides(op.Error) {
			return PastTxn{Ended: op.Error.Code}, true
		}
		known = known || op.Outcome == history.OK
	}
	for _, op := range t.aborts {
		if op.Outcome == history.OK {
			return PastTxn{Ended: "aborted"}, true
		}
	}
	_, by := t.ended()
	return p, known || by != nil || t.begin == nil && len(t.attempts) == 0
}
