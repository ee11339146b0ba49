package intent

import (
	"fmt"
	"slices"
	"strings"

	"statehouse.dev/statehouse/history"
	"statehouse.dev/statehouse/linearizability"
	"statehouse.dev/statehouse/linearizability/verdict"
)

// Judge holds what users were told (a history of intents) to the log of the run, which is that
// of the wire's history. Without the whole log it finds nothing.
//
// The check of a violation begins with "intent-", and its operation is the last request that the
// call made on the wire, if it can be told.
func Judge(wire, intents *history.History, n Network) []verdict.Violation {
	if !wire.Complete || len(intents.Operations) == 0 {
		return nil
	}
	j := newJudge(wire, intents, n)
	h := j.titled()
	// The other judge searches what was told for an order: the log does better, and it is trusted
	// here because both judges have looked at it on the wire.
	for _, v := range linearizability.Check(h, linearizability.Options{SkipSerial: true}).Violations {
		// A commit without a tag is one of a client that is not recorded.
		if v.Check != "unasked-commit" || j.ofCommit[v.CommitTS] != "" {
			j.found(v)
		}
	}
	for _, op := range h.Operations {
		j.checkTold(op)
	}
	return j.violations
}

// Network is what a history does not say of requests on the wire, by the numbers of their
// operations.
type Network struct {
	// Doubled are those that were delivered more than once: a copy may be carried out after
	// the request itself was refused.
	Doubled map[int]bool
	// Unheard are those whose answers reached the client's side of a session when their
	// callers had gone.
	Unheard map[int]bool
}

// judge is one check at work.
type judge struct {
	wire, intents *history.History
	network       Network
	violations    []verdict.Violation
	requests      map[string][]*history.Operation // on the wire, by the tag of the call that made them
	applied       map[string]uint64               // the commit of a tag
	ofCommit      map[uint64]string               // the transaction of a commit, as its user knows it
	ofTxn         map[string]string               // the same of a transaction on the wire
}

func newJudge(wire, intents *history.History, n Network) *judge {
	j := &judge{
		wire: wire, intents: intents, network: n, requests: make(map[string][]*history.Operation),
		applied: make(map[string]uint64), ofCommit: make(map[uint64]string), ofTxn: make(map[string]string),
	}
	titles := make(map[string]string)
	for _, op := range intents.Operations {
		if tag := op.In.Metadata[Tag]; tag != "" {
			titles[tag] = op.In.TxnID
		}
	}
	for _, op := range wire.Operations {
		if tag := op.In.Metadata[Tag]; tag != "" {
			j.requests[tag] = append(j.requests[tag], op)
		}
	}
	for i := range wire.Log {
		ev := &wire.Log[i]
		if title := titles[ev.Metadata[Tag]]; title != "" {
			j.applied[ev.Metadata[Tag]] = ev.CommitTS
			j.ofCommit[ev.CommitTS], j.ofTxn[ev.TxnID] = title, title
		}
	}
	return j
}

// titled is the history of intents with the log, in which transactions have the names that
// their users' calls have.
func (j *judge) titled() *history.History {
	h := *j.intents
	h.Complete = true
	h.Log = slices.Clone(j.wire.Log)
	for i := range h.Log {
		if title := j.ofCommit[h.Log[i].CommitTS]; title != "" {
			h.Log[i].TxnID = title
		}
	}
	h.Operations = slices.Clone(j.intents.Operations)
	for i, op := range h.Operations {
		if op.Kind.Info().Stream || op.Kind == history.KeyHistory || op.Kind == history.GetTxn {
			h.Operations[i] = j.retitled(op)
		}
	}
	return &h
}

// retitled is an operation in whose answer transactions are named as their users know them.
func (j *judge) retitled(op *history.Operation) *history.Operation {
	name := func(id string) string {
		if title := j.ofTxn[id]; title != "" {
			return title
		}
		return id
	}
	of := *op
	of.In.TxnID = name(op.In.TxnID)
	of.Out.Records = slices.Clone(op.Out.Records)
	for i := range of.Out.Records {
		of.Out.Records[i].TxnID = name(of.Out.Records[i].TxnID)
	}
	of.Batches = slices.Clone(op.Batches)
	for i := range of.Batches {
		of.Batches[i].Events = slices.Clone(of.Batches[i].Events)
		for k := range of.Batches[i].Events {
			of.Batches[i].Events[k].TxnID = name(of.Batches[i].Events[k].TxnID)
		}
	}
	return &of
}

// checkTold holds what an error says of itself to the log, and to what the client knew.
func (j *judge) checkTold(op *history.Operation) {
	tag := op.In.Metadata[Tag]
	requests := j.requests[tag]
	says := func(guarantee, check, format string, args ...any) {
		j.found(verdict.Violation{
			Guarantee: guarantee, Check: check, Op: op.ID, CommitTS: j.applied[tag], Time: op.Return,
			Sentence: fmt.Sprintf("#%d %s of %s: ", op.ID, op.Kind, op.Client) + fmt.Sprintf(format, args...),
		})
	}
	switch ts := j.applied[tag]; {
	case op.Kind == history.Watch && op.Outcome == history.OK:
		says("G5", "watch-ends", "it ended without an error, and its user did not end it")
	case op.Error != nil && op.Error.Details[gaveUp] != "":
		says("G9", "gave-up", "it ended (%s: %s) although it could have been repeated and its context had not ended", op.Error.Code, op.Error.Message)
	case !op.Kind.Info().Commits || op.Return == 0:
	case op.Outcome == history.Fail && ts != 0 && !slices.ContainsFunc(requests, func(r *history.Operation) bool { return j.network.Doubled[r.ID] }):
		says("G6", "refused-but-applied", "it was told to be certainly not applied (%s: %s), and is commit %d", op.Error.Code, op.Error.Message, ts)
	case op.Outcome == history.Unknown && j.known(requests, op.Return):
		says("G6", "doubt-without-cause", "it was told that its outcome is unknown (%s), and every request that it made was answered", op.Error.Message)
	}
}

// known reports whether what became of requests was known by then: one was answered, or all
// were refused for certain.
func (j *judge) known(requests []*history.Operation, by int64) bool {
	doubt := false
	for _, r := range requests {
		heard := r.Return <= by && !j.network.Unheard[r.ID]
		if r.Outcome == history.OK && heard {
			return true
		}
		doubt = doubt || r.Outcome != history.Fail || !heard
	}
	return !doubt
}

// found adds a violation, which points to the wire.
func (j *judge) found(v verdict.Violation) {
	v.Check = "intent-" + v.Check
	var numbers []string
	for _, op := range j.intents.Operations {
		if op.ID != v.Op || v.Op == 0 {
			continue
		}
		for _, r := range j.requests[op.In.Metadata[Tag]] {
			numbers = append(numbers, fmt.Sprintf("#%d", r.ID))
			v.Op = r.ID
		}
		if len(numbers) == 0 {
			v.Op = 0
		}
		break
	}
	v.Sentence = "as the client's user saw it: " + v.Sentence
	if len(numbers) > 0 {
		v.Sentence += " (on the wire " + strings.Join(numbers, ", ") + ")"
	}
	j.violations = append(j.violations, v)
}
