package serial

import (
	"slices"

	"statehouse.dev/statehouse/history"
)

// Middle says of a history that it is a section of a longer one.
type Middle struct {
	// Before: the longer one itself begins in the middle.
	Before bool
	// Asked reports whether something may have been asked in a transaction in an earlier
	// section.
	Asked func(txnID string) bool
}

// missing is what may have happened, and is not in the history: requests from before its
// first line, and those that were under way in a gap.
type missing struct {
	before  bool
	gaps    []history.Gap
	asked   func(txnID string) bool // nil: the history is whole
	unasked bool                    // no request of the history asks for an erasure, nor for an import
	ranges  bool                    // what operations on ranges did is in the log alone
}

func missingFrom(h *history.History, middle *Middle) missing {
	m := missing{before: h.Header.Base != nil, gaps: h.Gaps, unasked: slices.ContainsFunc(h.Operations, showsErased)}
	for i := range h.Log {
		m.unasked = m.unasked || h.Log[i].ByOperator() || h.Log[i].Cause != ""
	}
	m.ranges = slices.ContainsFunc(h.Operations, overRange)
	if middle != nil {
		m.before, m.asked = middle.Before, middle.Asked
	}
	return m
}

// showsErased reports whether an answer tells of an erasure.
func showsErased(op *history.Operation) bool {
	return slices.ContainsFunc(op.Out.Records, func(r history.Record) bool { return r.Erased || r.Cause != "" || r.ExpiresAt != 0 }) ||
		slices.ContainsFunc(op.Batches, func(b history.Batch) bool {
			return slices.ContainsFunc(b.Events, func(ev history.Event) bool { return ev.Erasure() || ev.Cause != "" })
		})
}

func (m *missing) any() bool { return m.requests() || m.unasked || m.ranges }

// requests reports whether requests of clients may be.
func (m *missing) requests() bool { return m.before || len(m.gaps) > 0 || m.asked != nil }

// of reports whether requests of a transaction may be missing. What begins in the history
// cannot have been asked anything before; but a request that was sent long before a gap
// may still have been under way in it.
func (m *missing) of(t *txn) bool {
	if t.begin == nil {
		return m.before || len(m.gaps) > 0 || m.asked != nil && m.asked(t.id)
	}
	return slices.ContainsFunc(m.gaps, func(g history.Gap) bool { return g.To >= t.begin.Call })
}

// within reports whether the log tells of everything that an operation is about. A log of
// some agents (Base.Covers) tells nothing of others, of lists of agents, and of when
// commits were that it does not have.
func within(covered map[history.AgentName]bool, op *history.Operation) bool {
	if covered == nil {
		return true
	}
	if op.Kind == history.ListAgents || op.Kind == history.ListSpaces || op.In.AllAgents || op.In.AtTime != 0 {
		return false
	}
	for _, a := range op.In.AgentNames() {
		if !covered[a] {
			return false
		}
	}
	return true
}

// uncommitted reports whether a record may be a write of the transaction that read it.
func uncommitted(r *history.Record) bool {
	return r.CommitTS == 0 && r.CommitTime == 0 && r.Version == 0
}

// final reports whether a refusal of a commit is about its transaction, so that no copy of
// the request can be applied. What is not in the list may be about one request only.
func final(code string) bool {
	return slices.Contains([]string{"CONFLICT", "EVALUATION_FAILED", "INVALID_REQUEST", "LEASE_HELD", "LEASE_LOST", "PRECONDITION_FAILED", "TXN_ABORTED", "TXN_EXPIRED", "TXN_NOT_FOUND"}, code)
}

// givenByDaemon reports whether an id may be one that a daemon gave to a transaction which
// was begun: those are UUIDs, in 36 characters.
func givenByDaemon(id string) bool { return len(id) == 36 }
