package deserved

import (
	"slices"
	"strings"
	"time"

	"statehouse.dev/statehouse/history"
)

// What a transact says that its transaction read, and its timeout.

// badReads lists the fields of a read set that break a rule.
func badReads(r *history.Reads) (list []string) {
	if r == nil {
		return nil
	}
	for i := range r.Keys {
		list = append(list, badName(r.Keys[i].Name, true)...)
	}
	for i := range r.Ranges {
		l := &r.Ranges[i]
		list = append(list, badName(history.Name{Namespace: l.Namespace, Agent: l.Agent}, false)...)
		for _, b := range []struct{ field, text string }{{"prefix", l.Prefix}, {"first", l.First}, {"last", l.Last}} {
			if strings.Contains(b.text, "\x00") || len(b.text) > keyBytes {
				list = append(list, b.field)
			}
		}
	}
	return list
}

// readsIn counts the keys and ranges of a read set.
func readsIn(in *history.Input) int {
	if in.Reads == nil {
		return 0
	}
	return len(in.Reads.Keys) + len(in.Reads.Ranges)
}

// sizeOfReads is about how many bytes a read set takes.
func sizeOfReads(r *history.Reads) (n int) {
	if r == nil {
		return 0
	}
	for i := range r.Keys {
		n += about + nameSize(r.Keys[i].Name)
	}
	for i := range r.Ranges {
		l := &r.Ranges[i]
		n += about + len(l.Namespace) + len(l.Agent) + len(l.Prefix) + len(l.First) + len(l.Last)
	}
	return n
}

// timed keeps what has reached the daemon of a transaction that its client holds.
func (j *Judge) timed(t *txn, r *Request) {
	t.said += readsIn(&r.In)
	if r.In.Timeout != nil {
		wait := time.Duration(min(*r.In.Timeout, uint64(1<<40))) * time.Millisecond
		u := &until{arrival: r.Arrival, wait: wait}
		if t.untils = append(t.untils, u); !r.InSession {
			j.early = append(j.early, u)
		}
	}
}

// until is a moment from which on a transact may not be committed.
type until struct {
	arrival time.Time
	wait    time.Duration
	turn    time.Time // its turn did not come before; zero: it has not come
}

// Planned says that the writer takes what waits.
func (j *Judge) Planned(now time.Time) {
	for _, u := range j.early {
		u.turn = now
	}
	j.early = j.early[:0]
}

// overdue reports whether the turn of the only transact of a transaction came after its
// timeout for certain: a copy would have had a turn of its own.
func (t *txn) overdue() bool {
	const atOnce = 10 * time.Millisecond // that an arrival takes at most
	if t.commits != 1 || len(t.untils) != 1 {
		return false
	}
	u := t.untils[0]
	return !u.turn.IsZero() && u.turn.After(u.arrival.Add(u.wait+atOnce))
}

// late reports whether one of its transacts can have come too late by then.
func (t *txn) late(latest time.Time) bool {
	return slices.ContainsFunc(t.untils, func(u *until) bool { return !latest.Before(u.arrival.Add(u.wait)) })
}
