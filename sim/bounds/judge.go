package bounds

import (
	"fmt"

	"statehouse.dev/statehouse/history"
	"statehouse.dev/statehouse/linearizability/verdict"
	"statehouse.dev/statehouse/server"
)

// Pages, messages and marks are held to the bounds that the world has set: none is larger than
// its bound, and none ends before it without a reason. What they say is for the judges of the
// history, who know of no bounds.

// Sizes that the engine counts, as docs of engine.Page have it.
const (
	itemBytes   = 64 // beside the name and the value
	cursorBytes = 11 // of a batch
	epochBytes  = 14 // of the first batch of a stream
	frameBytes  = 4  // around each of its events
)

// Judge holds what clients were answered to the bounds of a daemon's configuration.
type Judge struct {
	tuning     server.Tuning
	every      uint64 // MarkEvery
	events     int    // ChunkEvents
	next       map[int]*history.Operation
	Violations []verdict.Violation
}

// NewJudge makes a judge of a daemon that is set up by c, which has its defaults.
func NewJudge(c *server.Config) *Judge {
	e := &c.Engine.Tuning
	return &Judge{tuning: c.Tuning, every: uint64(e.MarkEvery), events: e.ChunkEvents}
}

func (f *Judge) breaks(op *history.Operation, check, format string, args ...any) {
	f.Violations = append(f.Violations, verdict.Violation{
		Guarantee: "G9", Check: check, Op: op.ID, Time: op.End(), Sentence: fmt.Sprintf("#%d: ", op.ID) + fmt.Sprintf(format, args...),
	})
}

// Operations judges all operations but those of a client, whose daemon had other bounds.
func (f *Judge) Operations(list []*history.Operation, but string) {
	f.next = make(map[int]*history.Operation)
	for _, op := range list {
		if op.In.PageOf != 0 && op.Outcome == history.OK {
			f.next[op.In.PageOf] = op
		}
	}
	for _, op := range list {
		switch {
		case op.Client == but:
		case op.Kind.Info().Stream:
			f.checkStream(op)
		case op.Outcome == history.OK:
			f.checkPage(op)
		}
	}
}

// checkPage: a page has no more items and bytes than it may have, and is followed by another
// only where the next item has no room.
func (f *Judge) checkPage(op *history.Operation) {
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
	if op.In.Delimiter != "" {
		return // folders take no place that an answer tells
	}
	if op.In.Doubles {
		return // values in another encoding than the stored one, whose size counts
	}
	if n := len(items); n > 1 && total-last+items[n-1].size > f.tuning.PageBytes {
		f.breaks(op, "page-too-long", "the page has %d bytes, and may have %d", total, f.tuning.PageBytes)
	}
	next := f.next[op.ID]
	if !op.Out.More || most > 0 && len(items) >= most || next == nil || op.In.TxnID != "" || next.In.Doubles || next.Kind != op.Kind {
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
		it := item{size: len(r.Key) + len(r.Value) + itemBytes, beside: len(r.Principal) + len(r.TraceID)}
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
func (f *Judge) checkStream(op *history.Operation) {
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

// Message judges a message of a stream, as it is on the wire: of several events, it is within
// the bound of its bytes.
func (f *Judge) Message(op *history.Operation, raw []byte) {
	n, most := len(op.Batches[len(op.Batches)-1].Events), f.tuning.BatchBytes+cursorBytes
	if len(op.Batches) == 1 {
		most += epochBytes
	}
	if n > 1 && len(raw) > most+n*frameBytes {
		f.breaks(op, "message-too-long", "a message with %d events has %d bytes, and may have about %d", n, len(raw), f.tuning.BatchBytes)
	}
}

// Answer judges an answer, as it is on the wire: none is larger than clients accept.
func (f *Judge) Answer(op *history.Operation, raw []byte) {
	if len(raw) > f.tuning.AnswerBytes {
		f.breaks(op, "answer-too-long", "the answer has %d bytes, and clients accept %d", len(raw), f.tuning.AnswerBytes)
	}
}
