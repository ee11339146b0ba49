package linearizability

import (
	"math"

	"statehouse.dev/statehouse/history"
)

// streams are the replays and watches of a long history of which more may come. In each
// section, what came of one is an ordinary stream, resumed where the section before left it.
type streams struct {
	byID  map[int]*stream
	clock int64 // the last call of the sections so far
}

type stream struct {
	op     history.Operation  // without its batches
	now    *history.Operation // with those of this section; nil: none came
	cursor *uint64            // up to here it has sent everything; nil: nothing came so far
	sent   uint64             // events
	quiet  int                // sections in which nothing came although it had returned
}

// begin adds a stream.
func (s *streams) begin(op *history.Operation) {
	s.byID[op.ID] = &stream{op: *op, now: op}
}

// receive adds a batch to its stream's operation in this section, and reports whether the
// operation is new in it. No operation: nothing is known of such a stream.
func (s *streams) receive(b *history.BatchOf) (op *history.Operation, again bool) {
	st := s.byID[b.Op]
	if st == nil {
		return nil, false
	}
	if st.now == nil {
		copied := st.op
		st.now, again = &copied, true
	}
	st.now.Batches = append(st.now.Batches, b.Batch)
	return st.now, again
}

// end returns an operation for each stream that has ended: it has returned, and nothing came
// since then in a whole section. What such streams may not have shown must be at hand: hold is
// the commit before that.
func (s *streams) end(last bool) (ended []*history.Operation, hold uint64) {
	hold = math.MaxUint64
	for id, st := range s.byID { // each by itself; the caller sorts
		st.quiet++
		returned := st.op.Return != 0 && st.op.Return < s.clock
		switch {
		case st.now != nil || !returned && !last:
			st.quiet = 0
		case st.quiet == 1 || last:
			op := st.op
			ended = append(ended, &op)
			hold = min(hold, st.next()-1)
		case st.quiet > 2:
			delete(s.byID, id)
		}
		st.now = nil
	}
	return ended, hold
}

// next is the first commit that a stream has not said anything of.
func (st *stream) next() uint64 {
	from := st.op.In.From
	switch {
	case st.cursor != nil:
		return *st.cursor + 1
	case from != nil && st.op.Kind == history.Watch:
		return *from + 1
	case from != nil:
		return max(*from, 1)
	case st.op.Kind == history.Watch:
		return math.MaxUint64 // it begins wherever it begins
	}
	return 1
}

// resumed is what came of a stream in a section as an operation of its own, which was asked
// for where the sections before left off. Unless it has ended, its end says nothing.
func (s *streams) resumed(op *history.Operation) *history.Operation {
	st := s.byID[op.ID]
	if st == nil {
		return op
	}
	r := *op
	if st.quiet == 0 {
		r.Outcome, r.Rest = history.Unknown, 0
	}
	if st.cursor == nil {
		return &r
	}
	from := *st.cursor
	if r.Kind == history.Replay {
		from++
	}
	r.In.From = &from
	switch limit := r.In.Limit; {
	case limit > st.sent:
		r.In.Limit = limit - st.sent
	case limit > 0: // it has sent all that it was asked for, and is not short without more
		r.In.Limit, r.Outcome = 0, history.Unknown
		if sentIn(op) > 0 {
			r.In.To = st.cursor
		}
	}
	return &r
}

// judged moves a stream on by what came of it in a section that was judged.
func (s *streams) judged(op *history.Operation) {
	st := s.byID[op.ID]
	if n := len(op.Batches); st != nil && n > 0 {
		cursor := op.Batches[n-1].Cursor
		st.cursor = &cursor
		st.sent += sentIn(op)
	}
}

func sentIn(op *history.Operation) (events uint64) {
	for i := range op.Batches {
		events += uint64(len(op.Batches[i].Events))
	}
	return events
}
