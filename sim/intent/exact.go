package intent

import (
	"slices"

	"statehouse.dev/statehouse/history"
)

// A client of another language may tell its user less than a history says: the time of a commit
// in microseconds, and of an absent record not whether it was deleted or never there.
const coarse = 1000

// Exact adds to such a client's history of intents what the log knows: the nanoseconds of a time
// that is the log's, cut to microseconds, and the tombstone that an absent record is at the
// commit at which it was read, if its user was told that commit. In a transaction that deletes it,
// it has no version.
func Exact(intents *history.History, log []history.Event) {
	e := &exact{times: make(map[uint64]int64), versions: make(map[history.Name][]history.Record), deleted: make(map[own]bool)}
	for i := range log {
		ev := &log[i]
		e.times[ev.CommitTS] = ev.CommitTime
		for k := range ev.Ops {
			o := &ev.Ops[k]
			r := history.Record{Name: o.Name, Exists: !o.Delete, Version: o.Version, CommitTS: ev.CommitTS, CommitTime: ev.CommitTime}
			e.versions[o.Name] = append(e.versions[o.Name], r)
		}
	}
	for _, op := range intents.Operations {
		e.time(op.Out.CommitTS, &op.Out.CommitTime)
		if op.Kind == history.StageDelete {
			e.deleted[own{op.In.TxnID, op.In.Name()}] = true
		}
		for i := range op.Out.Records {
			if r := &op.Out.Records[i]; !e.deleted[own{op.In.TxnID, r.Name}] {
				e.record(r, op.Out.ReadTS)
			}
		}
		for i := range op.Batches {
			for k := range op.Batches[i].Events {
				ev := &op.Batches[i].Events[k]
				e.time(ev.CommitTS, &ev.CommitTime)
			}
		}
	}
}

// exact is what the log knows.
type exact struct {
	times    map[uint64]int64
	versions map[history.Name][]history.Record // by their commits
	deleted  map[own]bool
}

// own is a record in a transaction.
type own struct {
	txn string
	history.Name
}

func (e *exact) time(ts uint64, told *int64) {
	if whole := e.times[ts]; whole/coarse*coarse == *told {
		*told = whole
	}
}

func (e *exact) record(r *history.Record, at uint64) {
	e.time(r.CommitTS, &r.CommitTime)
	if r.Exists || r.Version != 0 || at == 0 {
		return
	}
	versions := e.versions[r.Name]
	n, _ := slices.BinarySearchFunc(versions, at+1, func(v history.Record, ts uint64) int { return int(v.CommitTS) - int(ts) })
	if n > 0 && !versions[n-1].Exists {
		*r = versions[n-1]
	}
}
