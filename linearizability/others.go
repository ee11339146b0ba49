package linearizability

import (
	"math"
	"sort"

	"statehouse.dev/statehouse/history"
)

// AdmitOthers takes the commits that no client in the history asked for as others', and returns
// how many there were. Each becomes an operation of a client "others". It was not written down
// when those were called and answered; but each commit was decided after whatever was decided
// before it had been called, and before the answers that show it.
//
// It is for histories whose Source says that they are not of all clients: elsewhere
// such a commit is a finding. The log has to be there (see Rebuild).
func AdmitOthers(h *history.History) int {
	asked, last := make(map[string]bool), 0
	for _, op := range h.Operations {
		last = max(last, op.ID)
		if op.Kind.Info().Commits {
			asked[op.In.TxnID] = true
		}
	}
	var others []*history.Operation
	times := decisions(h)
	for i := range h.Log {
		if ev := &h.Log[i]; !asked[ev.TxnID] && ev.Cause == "" {
			op := ofOthers(ev, times[i])
			op.ID = last + len(others) + 1
			others = append(others, op)
		}
	}
	h.Operations = append(others, h.Operations...)
	return len(others)
}

// span is a time in which something happened.
type span struct{ from, to int64 }

// ofOthers is the operation that made the commit.
func ofOthers(ev *history.Event, s span) *history.Operation {
	op := &history.Operation{
		Client: "others", Kind: history.Transact, Call: s.from, Return: s.to, Outcome: history.OK, In: history.Input{TxnID: ev.TxnID, Metadata: ev.Metadata},
		Out: history.Output{CommitTS: ev.CommitTS, CommitTime: ev.CommitTime},
	}
	for _, o := range ev.Ops {
		if o.Lease != nil || o.Due || o.Act != nil { // asked for in a way that the log does not tell
			op.In.Writes = append(op.In.Writes, history.Write{Name: o.Name, Op: history.Claim})
			op.Out.Versions = append(op.Out.Versions, history.KeyVersion{Name: o.Name, Version: o.Version})
			continue
		}
		op.In.Writes = append(op.In.Writes, history.Write{Name: o.Name, Value: o.Value, Delete: o.Delete})
		op.Out.Versions = append(op.Out.Versions, history.KeyVersion{Name: o.Name, Version: o.Version})
	}
	if s.from > s.to { // the order is broken here, which the judges report
		op.Call, op.Return, op.Outcome, op.Out = 0, 0, history.Unknown, history.Output{}
	}
	return op
}

// decisions are the times in which the commits of the log were decided, as far as the
// answers tell.
func decisions(h *history.History) []span {
	if len(h.Log) == 0 {
		return nil
	}
	times := make([]span, len(h.Log))
	after := func(point uint64) int { // the first commit after a point; the log may have holes
		return sort.Search(len(h.Log), func(i int) bool { return h.Log[i].CommitTS > point })
	}
	for i := range times {
		times[i].to = math.MaxInt64
	}
	// At some time between call and ret, point was the last commit.
	saw := func(point uint64, call, ret int64) {
		i := after(point)
		if i < len(times) {
			times[i].from = max(times[i].from, call)
		}
		if i > 0 {
			times[i-1].to = min(times[i-1].to, ret)
		}
	}
	tried := make(map[string]int64) // since when a transaction may have been committed
	for _, op := range h.Operations {
		if call, before := tried[op.In.TxnID]; op.Kind.Info().Commits && (!before || op.Call < call) {
			tried[op.In.TxnID] = op.Call
		}
	}
	for _, op := range h.Operations {
		switch point, plain := op.SawLast(); {
		case plain && op.Kind.Info().Commits:
			saw(point, tried[op.In.TxnID], op.Return) // it may have been an earlier try that was applied
		case plain:
			saw(point, op.Call, op.Return)
		}
		for _, b := range op.Batches {
			saw(b.Cursor, 0, b.Time)
		}
	}
	for i := 1; i < len(times); i++ {
		times[i].from = max(times[i].from, times[i-1].from)
	}
	for i := len(times) - 1; i > 0; i-- {
		times[i-1].to = min(times[i-1].to, times[i].to)
	}
	return times
}
