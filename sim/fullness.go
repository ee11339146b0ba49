package sim

import (
	"fmt"

	"statehouse.dev/statehouse/history"
	"statehouse.dev/statehouse/server"
)

// Pages, messages and marks are held to the bounds that the world has set: none is larger than
// its bound, and none ends before it without a reason. What they say is for the judges of the
// history, who know of no bounds.

// Sizes that the engine counts, as docs of engine.Page have it.
const (
	itemBytes   = 64 // beside the name and the value
	cursorBytes = 11 // of a batch
	frameBytes  = 4  // around each of its events
)

// fullness holds the operations of a history to bounds.
type fullness struct {
	tuning server.Tuning
	every  uint64 // MarkEvery
	events int    // ChunkEvents
	next   map[int]*history.Operation
	breaks func(op *history.Operation, check, format string, args ...any)
}

// checkFullness looks at all that clients were answered. The observer's daemon has other bounds.
func (w *World) checkFullness() {
	e := &w.served.Engine.Tuning
	f := fullness{
		tuning: w.served.Tuning, every: uint64(e.MarkEvery), events: e.ChunkEvents, next: make(map[int]*history.Operation),
		breaks: func(op *history.Operation, check, format string, args ...any) {
			w.rec.violate("G9", check, op.ID, fmt.Sprintf("#%d: ", op.ID)+fmt.Sprintf(format, args...))
		},
	}
	for _, op := range w.rec.history.Operations {
		if op.In.PageOf != 0 && op.Outcome == history.OK {
			f.next[op.In.PageOf] = op
		}
	}
	for _, op := range w.rec.history.Operations {
		switch {
		case op.Client == Observer:
		case op.Kind.Info().Stream:
			f.checkStream(op)
		case op.Outcome == history.OK:
			f.checkPage(op)
		}
	}
}

// checkPage: a page has no more items and bytes than it may have, and is followed by another
// only where the next item has no room.
func (f *fullness) checkPage(op *history.Operation) {
	most := int(op.In.Limit)
	switch op.Kind {
	case history.ListKeys, history.Scan:
	case history.KeyHistory:
		if most == 0 {
			most = f.tuning.HistoryPage
		}
		most = min(most, f.tuning.NamesPage)
	case history.ListAgents, history.ListSpaces:
		if most == 0 {
			most = f.tuning.NamesPage
		}
		most = min(most, f.tuning.NamesPage)
	default:
		return
	}
	items := itemsOf(op)
	total, last := 0, 0
	for _, it := range items {
		total, last = total+it.size+it.beside, it.size+it.beside
	}
	if most > 0 && len(items) > most {
		f.breaks(op, "page-too-long", "the page has %d items, and may have %d", len(items), most)
	}
	if op.In.Doubles {
		return // values in another encoding than the stored one, whose size counts
	}
	if n := len(items); n > 1 && total-last+items[n-1].size > f.tuning.PageBytes {
		f.breaks(op, "page-too-long", "the page has %d bytes, and may have %d", total, f.tuning.PageBytes)
	}
	next := f.next[op.ID]
	if !op.Out.More || most > 0 && len(items) >= most || next == nil || op.In.TxnID != "" || next.In.Doubles {
		return
	}
	if after := itemsOf(next); len(after) > 0 && total+after[0].size <= f.tuning.PageBytes {
		f.breaks(op, "page-cut-short", "the page ends after %d items of %d bytes, of %d, and #%d goes on with one of %d", len(items), total, f.tuning.PageBytes, next.ID, after[0].size)
	}
}

// item is an item of a page: what it adds to the page's bytes, and what is read beside it.
type item struct{ size, beside int }

func itemsOf(op *history.Operation) []item {
	var items []item
	for i := range op.Out.Records {
		r := &op.Out.Records[i]
		it := item{size: len(r.Key) + len(r.Value) + itemBytes}
		for k, v := range r.Metadata { // a sum
			it.beside += len(k) + len(v)
		}
		items = append(items, it)
	}
	for _, k := range op.Out.Keys {
		items = append(items, item{size: len(k) + itemBytes})
	}
	for _, a := range op.Out.Agents {
		items = append(items, item{size: len(a.Agent) + itemBytes})
	}
	return items
}

// checkStream: no message has more events than a chunk, and a message of a watch without any is
// a mark that is due. Where nothing is left to do, the last mark has been told.
func (f *fullness) checkStream(op *history.Operation) {
	for i := range op.Batches {
		b := &op.Batches[i]
		if len(b.Events) > f.events {
			f.breaks(op, "message-too-long", "a message has %d events, and a chunk may have %d", len(b.Events), f.events)
		}
		if op.Kind != history.Watch || i == 0 || len(b.Events) > 0 {
			continue
		}
		if before := op.Batches[i-1].Cursor; b.Cursor/f.every <= before/f.every {
			f.breaks(op, "mark-too-early", "it is told that nothing happened up to commit %d, after commit %d, and marks are due every %d", b.Cursor, before, f.every)
		}
	}
	if n := len(op.Batches); n > 0 && op.Rest/f.every > op.Batches[n-1].Cursor/f.every {
		f.breaks(op, "mark-missing", "it is told of nothing after commit %d, the last is %d, and marks are due every %d", op.Batches[n-1].Cursor, op.Rest, f.every)
	}
}

// checkMessage: a message of several events is within the bound of its bytes.
func (w *World) checkMessage(c *Call, raw []byte, b *history.Batch) {
	most := w.served.Tuning.BatchBytes
	if n := len(b.Events); n > 1 && len(raw) > most+cursorBytes+n*frameBytes {
		w.rec.violate("G9", "message-too-long", c.op.ID, fmt.Sprintf("a message of #%d with %d events has %d bytes, and may have about %d", c.op.ID, n, len(raw), most))
	}
}

// checkAnswer: no answer is larger than clients accept.
func (w *World) checkAnswer(c *Call) {
	if most := w.served.Tuning.AnswerBytes; len(c.given) > most {
		w.rec.violate("G9", "answer-too-long", c.op.ID, fmt.Sprintf("the answer to #%d has %d bytes, and clients accept %d", c.op.ID, len(c.given), most))
	}
}
