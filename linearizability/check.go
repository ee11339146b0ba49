package linearizability

import "fmt"

// judge is one check on the way.
type judge struct {
	m          *model
	b          bounds
	violations []Violation
	stats      Stats
	ops        map[int]*Operation
	txns       map[string]*txn
	lacks      lacks
	part       *section           // nil: the history is judged as a whole
	covered    map[agentName]bool // nil: the log tells of everybody
}

func (j *judge) violate(v Violation) {
	if len(j.violations) < 100 {
		j.violations = append(j.violations, v)
	}
}

// breaks reports that an operation was answered what it must not have been.
func (j *judge) breaks(op *Operation, promise, check, expected, got, format string, args ...any) {
	j.violate(Violation{
		Promise: promise, Check: check, Op: op.ID, CommitTS: op.Out.CommitTS, Time: op.Return,
		Sentence: fmt.Sprintf("#%d %s of %s: ", op.ID, op.Kind, op.Client) + fmt.Sprintf(format, args...), Expected: expected, Got: got,
	})
}

// Check judges a history. Of one without the whole log, it judges only what needs
// none: unknown outcomes stay unknown, and answers must agree with each other.
func Check(h *History, o Options) Result {
	r, _ := check(h, o, nil)
	return r
}

func check(h *History, o Options, part *section) (Result, *judge) {
	j := &judge{part: part, ops: make(map[int]*Operation, len(h.Operations)), txns: make(map[string]*txn, len(h.Log)), lacks: lacksOf(h, part)}
	if h.Complete {
		j.compare(h)
	}
	r := Result{Verdict: VerdictOK, Violations: j.violations, Stats: j.stats}
	r.Stats.Operations, r.Stats.Commits, r.Stats.Gaps = len(h.Operations), len(h.Log), len(h.Gaps)
	if len(r.Violations) == 0 && !o.SkipPorcupine {
		p := judgeByPorcupine(h, o, part)
		r.Violations, r.Stats.DeepestSearch = p.violations, p.deepest
		if p.unknown {
			r.Verdict = VerdictUnknown
		}
	}
	if len(r.Violations) > 0 {
		r.Verdict = VerdictIllegal
	}
	return r, j
}

// compare compares every answer with the model that the log makes.
func (j *judge) compare(h *History) {
	for _, op := range h.Operations {
		j.ops[op.ID] = op
	}
	j.covered = h.covered()
	j.fold(h)
	j.collect(h)
	j.gather(h)
	for _, t := range j.order(h) {
		j.checkTxn(t)
	}
	fresh := h.Operations
	if j.part != nil {
		fresh = j.part.fresh
	}
	for _, op := range fresh {
		j.checkOperation(op)
		if op.Outcome == Unknown && (op.Kind == Commit || op.Kind == Transact) {
			j.stats.Resolved++
		}
	}
}

// window is where in the order an operation can have taken effect.
func (j *judge) window(op *Operation) (low, high uint64) {
	low, _ = j.b.low(op.Call)
	return low, j.b.high(op.Return, j.m.head)
}

func (j *judge) checkOperation(op *Operation) {
	if outside(j.covered, op) {
		j.count(op, &j.stats.Outside)
		return
	}
	switch op.Kind {
	case Replay, Watch:
		j.checkStream(op)
		return
	}
	if op.Outcome != OK {
		if op.Kind == GetVersion && op.Error != nil && op.Error.Code == "VERSION_NOT_FOUND" {
			j.checkNoVersion(op)
		}
		return
	}
	switch op.Kind {
	case Get, GetVersion, BatchGet, ListKeys, Scan, KeyHistory, ListAgents, ListSpaces, Begin:
		j.stats.Reads++
		j.checkRead(op)
	case GetTxn:
		j.checkOutcomeAsked(op)
	}
}
