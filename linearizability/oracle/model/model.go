package model

import (
	"fmt"
	"sort"

	"statehouse.dev/statehouse/history"
)

// Version of a key: what one commit did to it. A nil one is of a key that was never written.
type Version struct {
	TS, Number uint64
	Inherited  uint64 // by a fork at TS: the commit in what it was forked from; 0: it was not
	Deleted    bool
	Value      string
	Lease      *history.LeaseChange // of a lease that is held
	Time       int64                // of the commit, where the event is not known
	Event      *history.Event       // nil: it is of the base
	Erasure    bool                 // an erasure deleted it, and took the values before
	Lost       bool                 // the value was erased or pruned before the log was read
	Unsure     bool                 // of the base: it may expire
}

// Model is the state at every commit_ts, folded from the log.
type Model struct {
	Head   uint64
	Log    []history.Event // Log[i] is commit Base+i+1
	Base   uint64
	Keys   map[history.Name][]Version
	Agents map[history.AgentName][]uint64 // commit_ts of its commits
	Spaces map[string]uint64              // first commit
	Sorted map[history.AgentName][]string // keys ever written, sorted
	ByTxn  map[string]*history.Event
	Forks  map[history.AgentName]*Fork

	expanded map[uint64][]history.EventOp // commits that have acts: see Changes
}

// Fork is where an agent began that was forked from another one.
type Fork struct {
	TS     uint64 // its first commit
	Parent history.AgentName
	At     uint64 // the parent's state that it began with
}

// At is the version of a key after commit ts; nil: it had never been written.
func (m *Model) At(n history.Name, ts uint64) *Version {
	vs := m.Keys[n]
	i := sort.Search(len(vs), func(i int) bool { return vs[i].TS > ts })
	if i == 0 {
		return nil
	}
	return &vs[i-1]
}

// Event is commit ts; nil: the log does not have it.
func (m *Model) Event(ts uint64) *history.Event {
	if ts <= m.Base || ts > m.Head {
		return nil
	}
	return &m.Log[ts-m.Base-1]
}

// TimeOf is the time of a commit; 0: it is not known.
func (m *Model) TimeOf(ts uint64) int64 {
	if ev := m.Event(ts); ev != nil {
		return ev.CommitTime
	}
	return 0
}

// Older reports whether a version of a key came before that of the base: nothing else is known
// of it.
func (m *Model) Older(n history.Name, number uint64) bool {
	vs := m.Keys[n]
	return len(vs) > 0 && vs[0].Event == nil && number > 0 && number < vs[0].Number
}

// CommitTS is the commit that made the version, as readers are shown it.
func (v *Version) CommitTS() uint64 {
	switch {
	case v == nil:
		return 0
	case v.Inherited != 0:
		return v.Inherited
	}
	return v.TS
}

// Exists reports whether there is a value.
func (v *Version) Exists() bool { return v != nil && !v.Deleted }

// Num is the number of the version; 0 of none.
func (v *Version) Num() uint64 {
	if v == nil {
		return 0
	}
	return v.Number
}

// Show says a state in words.
func (v *Version) Show() string {
	switch {
	case v == nil:
		return "never written"
	case v.Deleted:
		return fmt.Sprintf("deleted, version %d of commit %d", v.Number, v.CommitTS())
	}
	return fmt.Sprintf("version %d of commit %d: %s", v.Number, v.CommitTS(), v.Value)
}

// ShowRecord says in the same words what a client was shown.
func ShowRecord(r *history.Record) string {
	if !r.Exists {
		if r.Version == 0 {
			return "absent"
		}
		return fmt.Sprintf("deleted, version %d of commit %d", r.Version, r.CommitTS)
	}
	return fmt.Sprintf("version %d of commit %d: %s", r.Version, r.CommitTS, r.Value)
}

// HeadAt is the commit_ts of an agent's last commit at ts.
func (m *Model) HeadAt(a history.AgentName, ts uint64) uint64 {
	list := m.Agents[a]
	i := sort.Search(len(list), func(i int) bool { return list[i] > ts })
	if i == 0 {
		return 0
	}
	return list[i-1]
}

// TimeAt is the last commit whose time is not after t, up to ts.
func (m *Model) TimeAt(t int64, ts uint64) uint64 {
	n := int(min(ts, m.Head) - m.Base)
	i := sort.Search(n, func(i int) bool { return m.Log[i].CommitTime > t })
	return m.Base + uint64(i)
}
