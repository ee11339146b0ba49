package oracle

import (
	"fmt"

	"statehouse.dev/statehouse/history"
	"statehouse.dev/statehouse/linearizability/oracle/model"
	"statehouse.dev/statehouse/linearizability/verdict"
)

// Result is what came of a check.
type Result struct {
	Violations []verdict.Violation
	Stats      verdict.Stats
}

// maxViolations is how many are kept: what comes after them follows from them.
const maxViolations = 100

// Check compares every answer of a history that has its log with the model which the log
// makes. of is nil, unless the history is a section of a longer one.
func Check(h *history.History, of *Section) Result {
	j := &judge{
		section: of, visibility: visibilityOf(h, of), covered: h.Covered(), intents: h.Header.Source == history.SourceIntent,
		others: h.Header.Source == history.SourceIntent || h.Header.Source == history.SourceClient,
		starts: startsOf(h), ops: make(map[int]*history.Operation, len(h.Operations)), txns: make(map[string]*txn, len(h.Log)),
	}
	for _, op := range h.Operations {
		j.ops[op.ID] = op
	}
	j.model = model.Fold(h, j.visibility.before, j.violate)
	j.collect(h)
	j.bound(h)
	j.findHolds(h)
	j.checkTimers()
	j.findUnasked(h)
	for _, t := range j.transactions() {
		j.checkTxn(t)
	}
	for _, op := range h.Operations {
		if j.section.judged(op) {
			continue
		}
		j.checkOperation(op)
		if op.Outcome == history.Unknown && (op.Kind == history.Commit || op.Kind == history.Transact) {
			j.stats.Resolved++
		}
	}
	return Result{j.violations, j.stats}
}

// judge is one check at work.
type judge struct {
	unanswered []int64 // when begins were called that were not answered, in order: see begunUnseen
	model      *model.Model
	bounds     bounds
	violations []verdict.Violation
	stats      verdict.Stats
	ops        map[int]*history.Operation
	txns       map[string]*txn
	visibility visibility
	section    *Section
	covered    map[history.AgentName]bool // nil: the log tells of all agents
	intents    bool                       // see history.SourceIntent
	others     bool                       // clients that the history does not have may have written, too
	starts     []int64                    // of the daemon; none: they were not recorded
	holds      map[versioned]*hold
	anyDue     bool // records were written that become due
	wakes      map[versioned]wakeState
}

func startsOf(h *history.History) (starts []int64) {
	for _, n := range h.Notes {
		if n.Lane == "daemon" && n.Kind == "start" {
			starts = append(starts, n.Time)
		}
	}
	return starts
}

func (j *judge) violate(v verdict.Violation) {
	if len(j.violations) < maxViolations {
		j.violations = append(j.violations, v)
	}
}

// breaks reports that an operation was answered what it must not have been.
func (j *judge) breaks(op *history.Operation, guarantee, check, expected, got, format string, args ...any) {
	j.violate(verdict.Violation{
		Guarantee: guarantee, Check: check, Op: op.ID, CommitTS: op.Out.CommitTS, Time: op.Return,
		Sentence: fmt.Sprintf("#%d %s of %s: ", op.ID, op.Kind, op.Client) + fmt.Sprintf(format, args...), Expected: expected, Got: got,
	})
}

// count counts an operation that cannot be judged, once.
func (j *judge) count(op *history.Operation, n *int) {
	if !j.section.judged(op) {
		*n++
	}
}

// window is where in the order an operation can have taken effect.
func (j *judge) window(op *history.Operation) (low, high uint64) {
	low, _ = j.bounds.low(op.Call)
	return low, j.bounds.high(op.Return, j.model.Head)
}

func (j *judge) checkOperation(op *history.Operation) {
	if outside(j.covered, op) {
		j.count(op, &j.stats.Outside)
		return
	}
	switch op.Kind {
	case history.Replay, history.Watch:
		j.checkStream(op)
		return
	}
	if op.Outcome != history.OK {
		if op.Kind == history.GetVersion && op.Error != nil && op.Error.Code == "VERSION_NOT_FOUND" {
			j.checkNoVersion(op)
		}
		return
	}
	switch op.Kind {
	case history.Get, history.GetVersion, history.BatchGet, history.ListKeys, history.Scan, history.KeyHistory, history.ListAgents, history.ListSpaces, history.Begin,
		history.Find, history.Diff, history.GetAgent, history.ListLeases:
		j.stats.Reads++
		j.checkRead(op)
	case history.RenewLeases, history.RefreshExpiry:
		j.checkMoves(op)
	case history.GetTxn:
		j.checkOutcomeAsked(op)
	}
}
