package oracle

import (
	"fmt"
	"slices"
	"sort"

	"statehouse.dev/statehouse/history"
	"statehouse.dev/statehouse/linearizability/verdict"
)

// fold builds the model from the log, and holds the log to what it guarantees of itself
// (G5): dense, in order, versions 1, 2, 3…
func (j *judge) fold(h *history.History) {
	m := modelOf(h.Header.Base)
	j.model = m
	m.log, m.byTxn = h.Log, make(map[string]*history.Event, len(h.Log))
	covers := uint64(0)
	if b := h.Header.Base; b != nil {
		covers = b.Covers
	}
	var spoken map[history.Name]bool
	if j.visibility.before {
		spoken = h.Spoken()
	}
	last := int64(0)
	for i := range h.Log {
		ev := &h.Log[i]
		if ev.CommitTS != m.head+1 && (covers == 0 || ev.CommitTS <= m.head || ev.CommitTS > covers) {
			j.badLog(ev, "log-gap", "the log goes from commit %d to commit %d", m.head, ev.CommitTS)
			return
		}
		m.head = ev.CommitTS
		if ev.CommitTime < last {
			j.badLog(ev, "commit-time-falls", "commit %d is earlier than the commit before it", ev.CommitTS)
		}
		last = ev.CommitTime
		if first := m.byTxn[ev.TxnID]; first != nil {
			j.violate(verdict.Violation{Guarantee: "G6", Check: "txn-twice", CommitTS: ev.CommitTS,
				Sentence: fmt.Sprintf("transaction %s is in the log twice: commits %d and %d", ev.TxnID, first.CommitTS, ev.CommitTS)})
		}
		m.byTxn[ev.TxnID] = ev
		j.foldEvent(ev, spoken)
	}
	if covers > 0 {
		m.head = max(m.head, covers)
		m.log = padded(h.Log, m.base, m.head)
	}
	for _, keys := range m.sorted { // each sorted by itself
		sort.Strings(keys)
	}
}

// foldEvent adds a commit to the model. Of a history that begins in the middle, the base
// need not have the state of a key that is not among those spoken of.
func (j *judge) foldEvent(ev *history.Event, spoken map[history.Name]bool) {
	m := j.model
	for i := range ev.Ops {
		op := &ev.Ops[i]
		before := m.at(op.Name, ev.CommitTS)
		if before != nil && before.ts == ev.CommitTS {
			j.badLog(ev, "key-twice", "commit %d changes key %q of agent %q twice", ev.CommitTS, op.Key, op.Agent)
		}
		if op.Version != before.num()+1 && (before != nil || !j.visibility.before || spoken[op.Name]) {
			j.badLog(ev, "version-gap", "commit %d makes version %d of key %q of agent %q, whose last one was %d", ev.CommitTS, op.Version, op.Key, op.Agent, before.num())
		}
		m.add(op.Name, version{ts: ev.CommitTS, number: op.Version, deleted: op.Delete, value: op.Value, event: ev})
		a := history.AgentName{Namespace: op.Namespace, Agent: op.Agent}
		if list := m.agents[a]; len(list) == 0 || list[len(list)-1] != ev.CommitTS {
			m.agents[a] = append(list, ev.CommitTS)
		}
		if _, known := m.spaces[op.Namespace]; !known {
			m.spaces[op.Namespace] = ev.CommitTS
		}
	}
	if len(ev.Ops) == 0 {
		j.badLog(ev, "empty-event", "commit %d has no operations", ev.CommitTS)
	}
}

// badLog reports that the log is not what a log has to be.
func (j *judge) badLog(ev *history.Event, check, format string, args ...any) {
	j.violate(verdict.Violation{Guarantee: "G5", Check: check, CommitTS: ev.CommitTS, Sentence: fmt.Sprintf(format, args...)})
}

// modelOf is the model at the base.
func modelOf(b *history.Base) *model {
	m := &model{
		keys: make(map[history.Name][]version), agents: make(map[history.AgentName][]uint64),
		spaces: make(map[string]uint64), sorted: make(map[history.AgentName][]string),
	}
	if b == nil {
		return m
	}
	m.base, m.head = b.CommitTS, b.CommitTS
	for i := range b.Records {
		r := &b.Records[i]
		m.add(r.Name, version{ts: r.CommitTS, number: r.Version, deleted: !r.Exists, value: r.Value, time: r.CommitTime})
		m.spaces[r.Namespace] = 0
	}
	for _, a := range b.Agents {
		m.agents[history.AgentName{Namespace: a.Namespace, Agent: a.Agent}] = slices.Compact([]uint64{a.FirstTS, a.HeadTS})
		m.spaces[a.Namespace] = 0
	}
	return m
}

func (m *model) add(n history.Name, v version) {
	if len(m.keys[n]) == 0 {
		a := history.AgentName{Namespace: n.Namespace, Agent: n.Agent}
		m.sorted[a] = append(m.sorted[a], n.Key)
	}
	m.keys[n] = append(m.keys[n], v)
}
