package oracle

import (
	"fmt"
	"sort"

	"statehouse.dev/statehouse/history"
)

// version of a key in the model: what one commit did to it.
type version struct {
	ts, number uint64
	deleted    bool
	value      string
	time       int64          // of the commit, where the event is not known
	event      *history.Event // nil: it is of the base
}

// model is the state at every commit_ts, folded from the log.
type model struct {
	head   uint64
	log    []history.Event // log[i] is commit base+i+1
	base   uint64
	keys   map[history.Name][]version
	agents map[history.AgentName][]uint64 // commit_ts of its commits
	spaces map[string]uint64              // first commit
	sorted map[history.AgentName][]string // keys ever written, sorted
	byTxn  map[string]*history.Event
}

func (m *model) at(n history.Name, ts uint64) *version {
	vs := m.keys[n]
	i := sort.Search(len(vs), func(i int) bool { return vs[i].ts > ts })
	if i == 0 {
		return nil
	}
	return &vs[i-1]
}

func (m *model) event(ts uint64) *history.Event {
	if ts <= m.base || ts > m.head {
		return nil
	}
	return &m.log[ts-m.base-1]
}

// timeOf is the time of a commit; 0: it is not known.
func (m *model) timeOf(ts uint64) int64 {
	if ev := m.event(ts); ev != nil {
		return ev.CommitTime
	}
	return 0
}

// older reports whether a version of a key came before that of the base: nothing else is known
// of it.
func (m *model) older(n history.Name, number uint64) bool {
	vs := m.keys[n]
	return len(vs) > 0 && vs[0].event == nil && number > 0 && number < vs[0].number
}

func (v *version) exists() bool { return v != nil && !v.deleted }

func (v *version) num() uint64 {
	if v == nil {
		return 0
	}
	return v.number
}

// show says a state in words.
func (v *version) show() string {
	switch {
	case v == nil:
		return "never written"
	case v.deleted:
		return fmt.Sprintf("deleted, version %d of commit %d", v.number, v.ts)
	}
	return fmt.Sprintf("version %d of commit %d: %s", v.number, v.ts, v.value)
}

func showRecord(r *history.Record) string {
	if !r.Exists {
		if r.Version == 0 {
			return "absent"
		}
		return fmt.Sprintf("deleted, version %d of commit %d", r.Version, r.CommitTS)
	}
	return fmt.Sprintf("version %d of commit %d: %s", r.Version, r.CommitTS, r.Value)
}

// headAt is the commit_ts of an agent's last commit at ts.
func (m *model) headAt(a history.AgentName, ts uint64) uint64 {
	list := m.agents[a]
	i := sort.Search(len(list), func(i int) bool { return list[i] > ts })
	if i == 0 {
		return 0
	}
	return list[i-1]
}

// timeAt is the last commit whose time is not after t, up to ts.
func (m *model) timeAt(t int64, ts uint64) uint64 {
	n := int(min(ts, m.head) - m.base)
	i := sort.Search(n, func(i int) bool { return m.log[i].CommitTime > t })
	return m.base + uint64(i)
}
