package linearizability

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// checkStream compares what a replay or watch sent with the log under its filter.
func (j *judge) checkStream(op *Operation) {
	in := &op.In
	next := uint64(1)
	if in.From != nil {
		next = *in.From
		if op.Kind == Watch {
			next++
		}
	} else if op.Kind == Watch {
		if len(op.Batches) == 0 {
			return
		}
		next = op.Batches[0].Cursor + 1
	}
	last := ^uint64(0)
	if in.To != nil {
		last = *in.To
	}
	sent := uint64(0)
	for i := range op.Batches {
		b := &op.Batches[i]
		high := j.b.high(b.Time, j.m.head)
		for k := range b.Events {
			ev := &b.Events[k]
			want := j.nextMatch(in, next, last)
			switch {
			case ev.CommitTS > high || ev.CommitTS > j.m.head:
				j.breaks(op, "G4", "ghost-event", "", fmt.Sprint(ev.CommitTS), "it shows commit %d, which had not happened", ev.CommitTS)
				return
			case want == 0:
				j.breaks(op, "G5", "replay-too-much", "the end", fmt.Sprint(ev.CommitTS), "it shows commit %d, which it was not asked for", ev.CommitTS)
				return
			case ev.CommitTS != want:
				j.breaks(op, "G5", "replay-gap", fmt.Sprintf("commit %d", want), fmt.Sprintf("commit %d", ev.CommitTS), "it goes on with commit %d where commit %d is next", ev.CommitTS, want)
				return
			}
			if why := j.sameEvent(in, ev); why != "" {
				j.breaks(op, "G5", "event-differs", fmt.Sprint(j.m.event(want).Ops), fmt.Sprint(ev.Ops), "commit %d: %s", ev.CommitTS, why)
				return
			}
			next = want + 1
			sent++
		}
		if b.Cursor > high && b.Cursor > j.m.head {
			j.breaks(op, "G4", "ghost-cursor", fmt.Sprint(high), fmt.Sprint(b.Cursor), "its cursor %d is past what had happened", b.Cursor)
			return
		}
		if missing := j.nextMatch(in, next, min(last, b.Cursor)); missing != 0 && (in.Limit == 0 || sent < in.Limit) {
			j.breaks(op, "G5", "replay-gap", fmt.Sprintf("commit %d", missing), fmt.Sprintf("cursor %d", b.Cursor), "its cursor goes past commit %d, which it has not shown", missing)
			return
		}
		next = max(next, b.Cursor+1)
	}
	if op.Outcome == OK && op.Kind == Replay && (in.Limit == 0 || sent < in.Limit) {
		if low, _ := j.b.low(op.Call); low > 0 {
			if missing := j.nextMatch(in, next, min(last, low)); missing != 0 {
				j.breaks(op, "G5", "replay-short", fmt.Sprintf("commit %d", missing), "the end", "it ends before commit %d, which was known when it was asked for", missing)
			}
		}
	}
}

// nextMatch is the first commit from on, up to last, that a filter lets through.
func (j *judge) nextMatch(in *Input, from, last uint64) uint64 {
	for ts := max(from, j.m.base+1); ts <= min(last, j.m.head); ts++ {
		ev := j.m.event(ts)
		if in.FromTime != 0 && ev.CommitTime < in.FromTime || in.ToTime != 0 && ev.CommitTime > in.ToTime {
			continue
		}
		if slices.ContainsFunc(ev.Ops, in.lets) {
			return ts
		}
	}
	return 0
}

func (in *Input) lets(o EventOp) bool {
	return o.Namespace == in.Namespace && (in.AllAgents || o.Agent == in.Agent) && strings.HasPrefix(o.Key, in.Prefix)
}

func (j *judge) sameEvent(in *Input, ev *Event) string {
	whole := j.m.event(ev.CommitTS)
	if whole.TxnID != ev.TxnID || whole.CommitTime != ev.CommitTime {
		return "another transaction or time than the log has"
	}
	if !maps.Equal(whole.Metadata, ev.Metadata) {
		return "other metadata than the log has"
	}
	n := 0
	for _, o := range whole.Ops {
		if !in.lets(o) {
			continue
		}
		i := slices.IndexFunc(ev.Ops, func(x EventOp) bool { return x.Name == o.Name })
		if i < 0 {
			return fmt.Sprintf("key %q of agent %q is missing", o.Key, o.Agent)
		}
		got := &ev.Ops[i]
		if got.Version != o.Version || got.Delete != o.Delete || !in.NoValues && !sameValue(got.Value, o.Value) {
			return fmt.Sprintf("key %q of agent %q is shown otherwise", o.Key, o.Agent)
		}
		n++
	}
	if n != len(ev.Ops) {
		return "operations that nobody asked for"
	}
	return ""
}
