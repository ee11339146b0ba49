package oracle

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"statehouse.dev/statehouse/history"
	"statehouse.dev/statehouse/linearizability/verdict"
)

// txn gathers what was asked about one transaction.
type txn struct {
	id       string
	begin    *history.Operation
	staged   []*history.Operation // writes and deletes, in the order of their calls
	reads    []*history.Operation
	attempts []*history.Operation // commits and transacts
	aborts   []*history.Operation
	asked    []*history.Operation // after its outcome
	first    int
}

func (j *judge) collect(h *history.History) {
	get := func(id string) *txn {
		t := j.txns[id]
		if t == nil {
			t = &txn{id: id, first: len(j.txns)}
			j.txns[id] = t
		}
		return t
	}
	for _, op := range h.Operations {
		if op.Kind == history.Begin && op.Outcome == history.OK {
			t := get(op.Out.TxnID)
			switch {
			case t.id == "":
				j.breaks(op, "G6", "id-missing", "an id", "none", "it was given no transaction id")
			case t.begin != nil:
				j.breaks(op, "G6", "id-given-twice", "", "", "it was given transaction id %s, which #%d was given before", t.id, t.begin.ID)
			}
			t.begin = op
		}
		if op.In.TxnID == "" {
			continue
		}
		t := get(op.In.TxnID)
		switch op.Kind {
		case history.StageWrite, history.StageDelete:
			t.staged = append(t.staged, op)
		case history.Commit, history.Transact:
			t.attempts = append(t.attempts, op)
		case history.Abort:
			t.aborts = append(t.aborts, op)
		case history.GetTxn:
			t.asked = append(t.asked, op)
		case history.Get, history.BatchGet, history.ListKeys, history.Scan:
			t.reads = append(t.reads, op)
		}
	}
}

// findUnasked looks for commits that no client asked for. Of a piece of a longer history
// that is not its to say: they may have been asked for in another one.
func (j *judge) findUnasked(h *history.History) {
	for i := range h.Log {
		ev := &h.Log[i]
		t := j.txns[ev.TxnID]
		switch {
		case j.piece != nil || t != nil && len(t.attempts) > 0:
		case t == nil && !j.visibility.whole() || t != nil && j.hidden(t):
			j.stats.Unexplained++
		default:
			j.violate(verdict.Violation{Guarantee: "G2", Check: "unasked-commit", CommitTS: ev.CommitTS,
				Sentence: fmt.Sprintf("commit %d is of transaction %s, which nobody asked to commit", ev.CommitTS, ev.TxnID)})
		}
	}
}

// transactions lists those to judge, in the order in which the history first names them. In
// a piece those are the ones of which it has the commit and an attempt to commit: of others,
// a later piece may have the request that explains an answer.
func (j *judge) transactions() []*txn {
	list := make([]*txn, 0, len(j.txns))
	for _, t := range j.txns { // sorted below
		if ev := j.model.byTxn[t.id]; j.piece == nil || ev != nil && ev.CommitTS > j.piece.Log && len(t.attempts) > 0 {
			list = append(list, t)
		}
	}
	slices.SortFunc(list, func(a, b *txn) int { return a.first - b.first })
	return list
}

// begunIDs is how long ids are that a daemon gives: UUIDs.
const begunIDs = len("01890a5d-ac96-774b-bcce-b302099a8057")

// neverBegun tells whether a commit or abort names what a client chose for a transact,
// and nobody can have begun: no daemon gives such an id. There is nothing that it
// could end.
func (t *txn) neverBegun(op *history.Operation) bool {
	return op.Kind != history.Transact && t.begin == nil && len(t.id) != begunIDs
}

// want is what a commit is to do to a key.
type want struct {
	writes   []history.Write // one of these
	optional bool            // or nothing: no answer says that it was staged
}

type wants map[history.Name]want

// wanted lists what a transaction's commit is to do, by key, and its conditions
// on versions.
func (t *txn) wanted(op *history.Operation) (wants, []history.KeyCondition) {
	out := make(wants)
	conditions := slices.Clone(op.In.Keys)
	if op.Kind == history.Transact {
		for _, w := range op.In.Writes {
			if w.Expected != nil {
				conditions = append(conditions, history.KeyCondition{Name: w.Name, Expected: *w.Expected})
			}
			out[w.Name] = want{writes: []history.Write{w}}
		}
		return out, conditions
	}
	for _, s := range t.staged {
		if s.Outcome == history.OK && s.In.Expected != nil {
			conditions = append(conditions, history.KeyCondition{Name: s.In.Name(), Expected: *s.In.Expected})
		}
		if _, done := out[s.In.Name()]; done {
			continue
		}
		own := t.own(s.In.Name(), op)
		w := want{optional: !own.covers}
		for _, s := range own.writes {
			w.writes = append(w.writes, history.Write{Name: s.In.Name(), Value: s.In.Value, Delete: s.Kind == history.StageDelete})
		}
		if len(w.writes) > 0 {
			out[s.In.Name()] = w
		}
	}
	return out, conditions
}

// required is how many keys a commit must change.
func (w wants) required() int {
	n := 0
	for _, x := range w { // counted: order cannot matter
		if !x.optional {
			n++
		}
	}
	return n
}

func (w wants) String() string {
	var keys []string
	for n := range w { // sorted below
		verb := "write"
		if w[n].writes[len(w[n].writes)-1].Delete {
			verb = "delete"
		}
		keys = append(keys, fmt.Sprintf("%s %q of agent %q", verb, n.Key, n.Agent))
	}
	slices.Sort(keys)
	return strings.Join(keys, ", ")
}

// match tells whether an event is what was wanted.
func (w wants) match(ev *history.Event) bool {
	required := 0
	for i := range ev.Ops {
		o := &ev.Ops[i]
		x := w[o.Name]
		if !slices.ContainsFunc(x.writes, func(w history.Write) bool {
			return w.Delete == o.Delete && (o.Delete || history.SameValue(w.Value, o.Value))
		}) {
			return false
		}
		if !x.optional {
			required++
		}
	}
	return required == w.required()
}

// within tells whether an event can be what was wanted, if other writes were staged
// besides and after.
func (w wants) within(ev *history.Event) bool {
	for n, x := range w { // all of them: order cannot matter
		if !x.optional && !slices.ContainsFunc(ev.Ops, func(o history.EventOp) bool { return o.Name == n }) {
			return false
		}
	}
	return true
}

// did tells whether an event can be what a request wanted.
func (j *judge) did(t *txn, op *history.Operation, w wants, ev *history.Event) bool {
	if op.Kind == history.Commit && j.hidden(t) {
		return w.within(ev)
	}
	return w.match(ev)
}

func (j *judge) checkTxn(t *txn) {
	for _, op := range slices.Concat(t.staged, t.attempts) {
		if outside(j.covered, op) {
			j.count(op, &j.stats.Outside)
			return
		}
	}
	ev := j.model.byTxn[t.id]
	if ev != nil {
		j.checkApplied(t, ev)
	}
	for _, op := range t.attempts {
		switch op.Outcome {
		case history.OK:
			j.checkAcked(t, op, ev)
		case history.Fail:
			j.checkRefused(t, op, ev)
		}
	}
	for _, op := range t.aborts {
		if op.Outcome == history.OK && ev != nil && !t.neverBegun(op) {
			j.breaks(op, "G6", "aborted-but-applied", "", "", "transaction %s was aborted, and is in the log as commit %d", t.id, ev.CommitTS)
		}
	}
	j.checkUse(t, ev)
}

// checkApplied compares an event with what was asked for, and its conditions and
// reads with the state before it.
func (j *judge) checkApplied(t *txn, ev *history.Event) {
	if len(t.attempts) == 0 {
		return // reported
	}
	op := t.attempts[0]
	var conditions []history.KeyCondition
	matched := false
	for _, a := range t.attempts {
		if w, c := t.wanted(a); j.did(t, a, w, ev) && maps.Equal(a.In.Metadata, ev.Metadata) {
			op, conditions, matched = a, c, true
			break
		}
	}
	hidden := j.hidden(t)
	switch {
	case !matched && hidden:
		j.stats.Unexplained++ // another request did it
		return
	case !matched:
		w, _ := t.wanted(op)
		j.breaks(op, "G2", "commit-differs", w.String(), fmt.Sprint(ev.Ops), "commit %d is not what was asked for", ev.CommitTS)
		return
	}
	call := op.Call
	if hidden {
		call = j.firstCall(t)
	}
	if low, by := j.bounds.low(call); low >= ev.CommitTS && by != 0 {
		j.breaks(op, "G3", "commit-before-call", "", "", "commit %d was asked for after #%d had shown commit %d", ev.CommitTS, by, low)
	}
	if hidden && op.Outcome != history.OK {
		return // another request may have done it, on other conditions
	}
	j.checkConditions(t, op, conditions, ev.CommitTS-1)
}

// checkConditions holds a transaction that committed behind before to its
// conditions and to what it read.
func (j *judge) checkConditions(t *txn, op *history.Operation, conditions []history.KeyCondition, before uint64) {
	for _, k := range conditions {
		if v := j.model.at(k.Name, before); !holds(v, k.Expected) {
			j.breaks(op, "G3", "condition-not-held", fmt.Sprintf("version %d", k.Expected), v.show(), "it committed although key %q of agent %q was not at version %d", k.Key, k.Agent, k.Expected)
		}
	}
	for _, h := range op.In.Heads {
		if got := j.model.headAt(history.AgentName{Namespace: h.Namespace, Agent: h.Agent}, before); got != h.Expected {
			j.breaks(op, "G3", "condition-not-held", fmt.Sprint(h.Expected), fmt.Sprint(got), "it committed behind commit %d although the head of agent %q was %d, not %d", before, h.Agent, got, h.Expected)
		}
	}
	if t.begin != nil {
		j.checkReadSet(t, op, t.begin.Out.SnapshotTS, before)
	}
}

func holds(v *version, expected uint64) bool {
	return expected == v.num() || expected == 0 && !v.exists()
}

// checkReadSet holds a transaction to what it read.
func (j *judge) checkReadSet(t *txn, op *history.Operation, snapshot, before uint64) {
	for _, r := range t.reads {
		if r.Outcome != history.OK || r.Call > op.Call {
			continue
		}
		j.eachRead(t, r, func(n history.Name) {
			check, how := "lost-update", "which it had read"
			if r.Kind == history.Scan || r.Kind == history.ListKeys {
				check, how = "write-skew", "in a range that it had listed"
			}
			if x, y := j.model.at(n, snapshot), j.model.at(n, before); x.num() != y.num() {
				j.breaks(op, "G3", check, x.show(), y.show(), "it committed although key %q of agent %q, %s, had changed", n.Key, n.Agent, how)
			}
		})
	}
}

// eachRead calls f with the keys that a read in a transaction rests on: those that
// it read from the snapshot, and all that a listing covered.
func (j *judge) eachRead(t *txn, r *history.Operation, f func(history.Name)) {
	if r.Kind == history.Get || r.Kind == history.BatchGet {
		for i := range r.Out.Records {
			rec := &r.Out.Records[i]
			if len(t.own(rec.Name, r).writes) == 0 && !(looksOwn(rec) && j.hidden(t)) {
				f(rec.Name)
			}
		}
		return
	}
	if j.pageLost(r) {
		return
	}
	first, last := j.stretch(r)
	a := history.AgentName{Namespace: r.In.Namespace, Agent: r.In.Agent}
	for _, k := range j.model.sorted[a] {
		if strings.HasPrefix(k, r.In.Prefix) && (first == "" || k >= first) && (last == "" || k <= last) {
			f(history.Name{Namespace: a.Namespace, Agent: a.Agent, Key: k})
		}
	}
}

// stretch is what a page covered.
func (j *judge) stretch(op *history.Operation) (first, last string) {
	after, end := j.pageStart(op), ""
	if op.Out.More {
		end = op.Out.LastShown()
	}
	if op.In.Reverse {
		return end, after
	}
	return after, end
}

// pageOf is the operation whose answer one continues.
func (j *judge) pageOf(op *history.Operation) *history.Operation {
	if from := j.ops[op.In.PageOf]; from == nil || from.Call >= op.Call { // it must not go in circles
		return nil // of none, or not of an earlier one
	}
	return j.ops[op.In.PageOf]
}

// pageStart is the last name of the page before.
func (j *judge) pageStart(op *history.Operation) string {
	if from := j.pageOf(op); from != nil {
		return from.Out.LastShown()
	}
	return ""
}
