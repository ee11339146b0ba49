package oracle

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"statehouse.dev/statehouse/history"
	"statehouse.dev/statehouse/linearizability/oracle/model"
)

// cursor is how far a stream has come.
type cursor struct {
	next, last uint64 // the commits that it may still show
	sent       uint64
	shown      int // operations of the next commit that it has shown: an act may take several events
}

// checkStream compares what a replay or watch sent with the log under its filter.
func (j *judge) checkStream(op *history.Operation) {
	op = j.asForked(op)
	c := j.startStream(op)
	if c == nil {
		return
	}
	for i := range op.Batches {
		if !j.checkBatch(op, &op.Batches[i], c) {
			return
		}
	}
	j.endStream(op, c)
}

// startStream is where a stream is to begin; nil: nothing is known of that, or it is
// wrong.
func (j *judge) startStream(op *history.Operation) *cursor {
	in := &op.In
	c := &cursor{next: 1, last: math.MaxUint64}
	if in.To != nil {
		c.last = *in.To
	}
	switch {
	case in.From != nil && op.Kind == history.Watch:
		c.next = *in.From + 1
	case in.From != nil:
		c.next = max(*in.From, 1)
	case op.Kind == history.Watch && len(op.Batches) == 0:
		return nil
	case op.Kind == history.Watch:
		c.next = op.Batches[0].Cursor + 1
		if low, by := j.bounds.low(op.Call); c.next <= low && !j.early(op.Call) {
			j.breaks(op, "G5", "watch-begins-early", fmt.Sprintf("at least %d", low), fmt.Sprint(c.next-1), "it was to begin behind the last commit, and begins behind commit %d when #%d had shown commit %d", c.next-1, by, low)
			return nil
		}
	}
	return c
}

// endStream looks for what a stream has not shown when nothing more of it came.
func (j *judge) endStream(op *history.Operation, c *cursor) {
	in := &op.In
	if missing := j.nextMatch(in, c.next, min(c.last, op.Rest)); missing != 0 {
		j.breaks(op, "G9", "watch-stalls", fmt.Sprintf("commit %d", missing), "nothing", "it is never told of commit %d, although nothing else is left to do", missing)
		return
	}
	if op.Outcome == history.OK && op.Kind == history.Replay && (in.Limit == 0 || c.sent < in.Limit) {
		low, _ := j.bounds.low(op.Call)
		if c.next <= min(c.last, low, j.model.Base) {
			j.count(op, &j.stats.BeforeBase) // what it has not shown may be before the base
		}
		if missing := j.nextMatch(in, c.next, min(c.last, low)); missing != 0 {
			j.breaks(op, "G5", "replay-short", fmt.Sprintf("commit %d", missing), "the end", "it ends before commit %d, which was known when it was asked for", missing)
		}
	}
}

// checkBatch goes on by a message; false: it is not right, and neither is what
// comes after it.
func (j *judge) checkBatch(op *history.Operation, b *history.Batch, c *cursor) bool {
	in := &op.In
	high := j.bounds.high(b.Time, j.model.Head)
	for k := range b.Events {
		ev := &b.Events[k]
		if ev.CommitTS <= j.model.Base && ev.CommitTS >= c.next && ev.CommitTS <= c.last {
			c.next = ev.CommitTS + 1 // before the base: only that they are in order is known
			c.sent++
			continue
		}
		want := j.nextMatch(in, c.next, c.last)
		switch {
		case ev.CommitTS > high:
			j.breaks(op, "G4", "ghost-event", "", fmt.Sprint(ev.CommitTS), "it shows commit %d, which had not happened", ev.CommitTS)
			return false
		case want == 0 || in.Limit > 0 && c.sent == in.Limit:
			j.breaks(op, "G5", "replay-too-much", "the end", fmt.Sprint(ev.CommitTS), "it shows commit %d, which it was not asked for", ev.CommitTS)
			return false
		case ev.CommitTS != want:
			j.breaks(op, "G5", "replay-gap", fmt.Sprintf("commit %d", want), fmt.Sprintf("commit %d", ev.CommitTS), "it goes on with commit %d where commit %d is next", ev.CommitTS, want)
			return false
		}
		more, why := j.sameEvent(in, ev, &c.shown)
		if why != "" {
			j.breaks(op, "G5", "event-differs", fmt.Sprint(j.model.Event(want).Ops), fmt.Sprint(ev.Ops), "commit %d: %s", ev.CommitTS, why)
			return false
		}
		if more {
			continue
		}
		c.next, c.shown = want+1, 0
		c.sent++
	}
	if op.Kind == history.Replay && len(b.Events) == 1 && c.shown > 0 && b.Cursor == b.Events[0].CommitTS {
		return true // an event by itself has no cursor, and this one is part of its commit
	}
	switch missing := j.nextMatch(in, c.next, min(c.last, b.Cursor)); {
	case b.Cursor > high:
		j.breaks(op, "G4", "ghost-cursor", fmt.Sprint(high), fmt.Sprint(b.Cursor), "its cursor %d is past what had happened", b.Cursor)
	case b.Cursor > c.last:
		j.breaks(op, "G5", "cursor-too-far", fmt.Sprint(c.last), fmt.Sprint(b.Cursor), "its cursor is past what it was asked for")
	case b.Cursor+1 < c.next:
		j.breaks(op, "G5", "cursor-falls", fmt.Sprint(c.next-1), fmt.Sprint(b.Cursor), "its cursor is before what it has shown, or was asked for")
	case missing != 0:
		j.breaks(op, "G5", "replay-gap", fmt.Sprintf("commit %d", missing), fmt.Sprintf("cursor %d", b.Cursor), "its cursor goes past commit %d, which it has not shown", missing)
	default:
		c.next = b.Cursor + 1
		return true
	}
	return false
}

// nextMatch is the first commit from on, up to last, that a filter lets through.
func (j *judge) nextMatch(in *history.Input, from, last uint64) uint64 {
	for ts := max(from, j.model.Base+1); ts <= min(last, j.model.Head); ts++ {
		ev := j.model.Event(ts)
		if in.FromTime != 0 && ev.CommitTime < in.FromTime || in.ToTime != 0 && ev.CommitTime > in.ToTime {
			continue
		}
		of := j.agentAt(in, ts)
		if slices.ContainsFunc(j.shownTo(in, ev), func(o history.EventOp) bool { return lets(in, of, o) }) {
			return ts
		}
	}
	return 0
}

// lets reports whether the filter of a stream, which is of this agent then, lets an operation through.
func lets(in *history.Input, agent string, o history.EventOp) bool {
	switch {
	case in.Lease != "" && (o.Lease == nil || o.Key != in.Lease), in.Due && !o.Due:
		return false
	case o.Act != nil && strings.HasPrefix(in.Prefix, o.Key): // it reaches into what is asked for
		return o.Namespace == in.Namespace && (in.AllAgents || o.Agent == agent)
	}
	return o.Namespace == in.Namespace && (in.AllAgents || o.Agent == agent) && strings.HasPrefix(o.Key, in.Prefix)
}

// shownTo is what a commit did, as a reader is shown it: operation by operation as the log has them, or,
// to one who knows only records, key by key and without leases and due records.
func (j *judge) shownTo(in *history.Input, ev *history.Event) []history.EventOp {
	special := func(o history.EventOp) bool { return o.Lease != nil || o.Due || o.Act != nil }
	if in.AllOperations || in.Lease != "" || in.Due || !slices.ContainsFunc(ev.Ops, special) {
		return ev.Ops
	}
	var list []history.EventOp
	for _, o := range j.model.Changes(ev) {
		switch {
		case o.Act != nil:
			list = append(list, j.model.Inherits(history.AgentName{Namespace: o.Namespace, Agent: o.Agent})...)
		case !model.Hidden(o.Name):
			list = append(list, o)
		}
	}
	return list
}

// sameEvent compares an event with the log's, of which shown operations came before. What was replayed
// once never changes: not even the order of its operations. more: the rest is yet to come.
func (j *judge) sameEvent(in *history.Input, ev *history.Event, shown *int) (more bool, why string) {
	whole := j.model.Event(ev.CommitTS)
	if whole.TxnID != ev.TxnID || whole.CommitTime != ev.CommitTime || whole.Cause != ev.Cause || !j.sameProvenance(whole, ev.Metadata, ev.Principal, ev.TraceID) {
		return false, "another transaction, time, cause or metadata than the log has"
	}
	var want []history.EventOp
	of := j.agentAt(in, ev.CommitTS)
	for _, o := range j.shownTo(in, whole) {
		if lets(in, of, o) {
			want = append(want, o)
		}
	}
	parts := slices.ContainsFunc(whole.Ops, func(o history.EventOp) bool { return o.Act != nil }) && !in.AllOperations
	want = want[min(*shown, len(want)):]
	for n := range want {
		o := &want[n]
		if n == len(ev.Ops) && parts && n > 0 {
			*shown += n
			return true, ""
		}
		if n == len(ev.Ops) {
			return false, fmt.Sprintf("key %q of agent %q is missing", o.Key, o.Agent)
		}
		got := &ev.Ops[n]
		same := got.Value == "" && !got.Inexact && !got.Pruned && got.Erased == o.Erased // of a delete
		if !o.Delete {
			same = j.sameValue(in, o.Name, o.Version, got.Value, got.Inexact, got.Erased, got.Pruned, o.Value, o.Erased || o.Pruned)
		}
		if o.Lease != nil || o.Due || o.Act != nil {
			same = got.Equal(o)
		}
		if same = same && got.Due == o.Due && (got.Lease == nil) == (o.Lease == nil) && (got.Act == nil) == (o.Act == nil); got.Name != o.Name || got.Version != o.Version || got.Delete != o.Delete || !same {
			return false, fmt.Sprintf("key %q of agent %q is shown otherwise", o.Key, o.Agent)
		}
	}
	if len(want) != len(ev.Ops) {
		return false, "operations that nobody asked for"
	}
	return false, ""
}
