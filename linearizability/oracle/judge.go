package oracle

import (
	"fmt"

	"statehouse.dev/statehouse/history"
	"statehouse.dev/statehouse/linearizability/verdict"
)

// judge is one check on the way.
type Judge struct {
	M          *model
	b          bounds
	Violations []verdict.Violation
	Stats      verdict.Stats
	ops        map[int]*history.Operation
	Txns       map[string]*txn
	lacks      lacks
	Part       *Section                   // nil: the history is judged as a whole
	covered    map[history.AgentName]bool // nil: the log tells of everybody
}

func (j *Judge) Violate(v verdict.Violation) {
	if len(j.Violations) < 100 {
		j.Violations = append(j.Violations, v)
	}
}

// breaks reports that an operation was answered what it must not have been.
func (j *Judge) Breaks(op *history.Operation, promise, check, expected, got, format string, args ...any) {
	j.Violate(verdict.Violation{
		Guarantee: promise, Check: check, Op: op.ID, CommitTS: op.Out.CommitTS, Time: op.Return,
		Sentence: fmt.Sprintf("#%d %s of %s: ", op.ID, op.Kind, op.Client) + fmt.Sprintf(format, args...), Expected: expected, Got: got,
	})
}

func NewJudge(h *history.History, part *Section) *Judge {
	return &Judge{Part: part, ops: make(map[int]*history.Operation, len(h.Operations)), Txns: make(map[string]*txn, len(h.Log)), lacks: lacksOf(h, part)}
}

// compare compares every answer with the model that the log makes.
func (j *Judge) Compare(h *history.History) {
	for _, op := range h.Operations {
		j.ops[op.ID] = op
	}
	j.covered = h.Covered()
	j.fold(h)
	j.collect(h)
	j.gather(h)
	for _, t := range j.order(h) {
		j.checkTxn(t)
	}
	fresh := h.Operations
	if j.Part != nil {
		fresh = j.Part.Fresh
	}
	for _, op := range fresh {
		j.checkOperation(op)
		if op.Outcome == history.Unknown && (op.Kind == history.Commit || op.Kind == history.Transact) {
			j.Stats.Resolved++
		}
	}
}

// window is where in the order an operation can have taken effect.
func (j *Judge) window(op *history.Operation) (low, high uint64) {
	low, _ = j.b.low(op.Call)
	return low, j.b.high(op.Return, j.M.head)
}

func (j *Judge) checkOperation(op *history.Operation) {
	if outside(j.covered, op) {
		j.count(op, &j.Stats.Outside)
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
	case history.Get, history.GetVersion, history.BatchGet, history.ListKeys, history.Scan, history.KeyHistory, history.ListAgents, history.ListSpaces, history.Begin:
		j.Stats.Reads++
		j.checkRead(op)
	case history.GetTxn:
		j.checkOutcomeAsked(op)
	}
}
