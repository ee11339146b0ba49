package model

import (
	"fmt"
	"slices"
	"sort"

	"statehouse.dev/statehouse/history"
	"statehouse.dev/statehouse/linearizability/verdict"
)

// Fold builds the model from the log, and holds the log to what it guarantees of itself
// (G5): dense, in order, versions 1, 2, 3… middle says that requests from before the history
// may be missing. What is wrong goes to report.
func Fold(h *history.History, middle bool, report func(verdict.Violation)) *Model {
	m := modelOf(h.Header.Base)
	f := folding{m, middle, report}
	m.Log, m.ByTxn = h.Log, make(map[string]*history.Event, len(h.Log))
	covers := uint64(0)
	if b := h.Header.Base; b != nil {
		covers = b.Covers
	}
	var spoken map[history.Name]bool
	if middle {
		spoken = h.Spoken()
	}
	last := int64(0)
	for i := range h.Log {
		ev := &h.Log[i]
		if ev.CommitTS != m.Head+1 && (covers == 0 || ev.CommitTS <= m.Head || ev.CommitTS > covers) {
			f.badLog(ev, "log-gap", "the log goes from commit %d to commit %d", m.Head, ev.CommitTS)
			return m
		}
		m.Head = ev.CommitTS
		if ev.CommitTime < last {
			f.badLog(ev, "commit-time-falls", "commit %d is earlier than the commit before it", ev.CommitTS)
		}
		last = ev.CommitTime
		if first := m.ByTxn[ev.TxnID]; first != nil {
			report(verdict.Violation{Guarantee: "G6", Check: "txn-twice", CommitTS: ev.CommitTS,
				Sentence: fmt.Sprintf("transaction %s is in the log twice: commits %d and %d", ev.TxnID, first.CommitTS, ev.CommitTS)})
		}
		m.ByTxn[ev.TxnID] = ev
		f.event(ev, spoken)
	}
	if covers > 0 {
		m.Head = max(m.Head, covers)
		m.Log = padded(h.Log, m.Base, m.Head)
	}
	for _, keys := range m.Sorted { // each sorted by itself
		sort.Strings(keys)
	}
	return m
}

// folding is a log that is being folded.
type folding struct {
	model  *Model
	middle bool
	report func(verdict.Violation)
}

// event adds a commit to the model. Of a history that begins in the middle, the base
// need not have the state of a key that is not among those spoken of.
func (f *folding) event(ev *history.Event, spoken map[history.Name]bool) {
	m := f.model
	for i := range ev.Ops {
		if ev.Ops[i].Act != nil {
			continue // after all others: what a commit does to a key by itself it does in an act's place
		}
		op := Plain(ev.Ops[i])
		before := m.At(op.Name, ev.CommitTS)
		if before != nil && before.TS == ev.CommitTS {
			f.badLog(ev, "key-twice", "commit %d changes key %q of agent %q twice", ev.CommitTS, op.Key, op.Agent)
		}
		if op.Version != before.Num()+1 && (before != nil || !f.middle || spoken[op.Name]) {
			f.badLog(ev, "version-gap", "commit %d makes version %d of key %q of agent %q, whose last one was %d", ev.CommitTS, op.Version, op.Key, op.Agent, before.Num())
		}
		m.add(op.Name, Version{TS: ev.CommitTS, Number: op.Version, Deleted: op.Delete, Value: op.Value, Lease: op.Lease, Event: ev, Erasure: op.Delete && op.Erased, Lost: !op.Delete && (op.Erased || op.Pruned)})
	}
	f.acts(ev)
	for i := range ev.Ops {
		op := &ev.Ops[i]
		a := history.AgentName{Namespace: op.Namespace, Agent: op.Agent}
		if list := m.Agents[a]; ev.Cause == "" && (len(list) == 0 || list[len(list)-1] != ev.CommitTS) {
			m.Agents[a] = append(list, ev.CommitTS) // the daemon's own commits do not move a head
		}
		if _, known := m.Spaces[op.Namespace]; !known {
			m.Spaces[op.Namespace] = ev.CommitTS
		}
	}
	if len(ev.Ops) == 0 {
		f.badLog(ev, "empty-event", "commit %d has no operations", ev.CommitTS)
	}
}

// badLog reports that the log is not what a log has to be.
func (f *folding) badLog(ev *history.Event, check, format string, args ...any) {
	f.report(verdict.Violation{Guarantee: "G5", Check: check, CommitTS: ev.CommitTS, Sentence: fmt.Sprintf(format, args...)})
}

// modelOf is the model at the base.
func modelOf(b *history.Base) *Model {
	m := &Model{
		Keys: make(map[history.Name][]Version), Agents: make(map[history.AgentName][]uint64),
		Spaces: make(map[string]uint64), Sorted: make(map[history.AgentName][]string),
		Forks: make(map[history.AgentName]*Fork), expanded: make(map[uint64][]history.EventOp),
	}
	if b == nil {
		return m
	}
	m.Base, m.Head = b.CommitTS, b.CommitTS
	for i := range b.Records {
		r := &b.Records[i]
		m.add(r.Name, Version{TS: r.CommitTS, Number: r.Version, Deleted: !r.Exists, Value: r.Value, Time: r.CommitTime, Unsure: r.ExpiresAt < 0})
		m.Spaces[r.Namespace] = 0
	}
	for _, a := range b.Agents {
		m.Agents[history.AgentName{Namespace: a.Namespace, Agent: a.Agent}] = slices.Compact([]uint64{a.FirstTS, a.HeadTS})
		m.Spaces[a.Namespace] = 0
	}
	return m
}

func (m *Model) add(n history.Name, v Version) {
	if len(m.Keys[n]) == 0 && !Hidden(n) {
		a := history.AgentName{Namespace: n.Namespace, Agent: n.Agent}
		m.Sorted[a] = append(m.Sorted[a], n.Key)
	}
	m.Keys[n] = append(m.Keys[n], v)
}

// padded is a log in which each commit has a place, also one of which it is only known that it
// touched no covered agent.
func padded(log []history.Event, base, head uint64) []history.Event {
	out := make([]history.Event, 0, head-base)
	for i := range log {
		for uint64(len(out))+base+1 < log[i].CommitTS {
			out = append(out, history.Event{CommitTS: uint64(len(out)) + base + 1})
		}
		out = append(out, log[i])
	}
	for uint64(len(out))+base < head {
		out = append(out, history.Event{CommitTS: uint64(len(out)) + base + 1})
	}
	return out
}
