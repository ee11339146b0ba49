package linearizability

import (
	"fmt"
	"maps"
	"slices"
)

// txn gathers what was asked about one transaction.
type txn struct {
	id       string
	begin    *Operation
	staged   []*Operation // writes and deletes, in the order of their calls
	reads    []*Operation
	attempts []*Operation // commits and transacts
	aborts   []*Operation
	first    int
}

func (j *judge) collect(h *History) {
	get := func(id string) *txn {
		t := j.txns[id]
		if t == nil {
			t = &txn{id: id, first: len(j.txns)}
			j.txns[id] = t
		}
		return t
	}
	for _, op := range h.Operations {
		if op.Kind == Begin && op.Outcome == OK {
			get(op.Out.TxnID).begin = op
		}
		if op.In.TxnID == "" {
			continue
		}
		t := get(op.In.TxnID)
		switch op.Kind {
		case StageWrite, StageDelete:
			t.staged = append(t.staged, op)
		case Commit, Transact:
			t.attempts = append(t.attempts, op)
		case Abort:
			t.aborts = append(t.aborts, op)
		case Get, BatchGet, ListKeys, Scan:
			t.reads = append(t.reads, op)
		}
	}
}

func (j *judge) order(h *History) []*txn {
	list := slices.Collect(maps.Values(j.txns))
	slices.SortFunc(list, func(a, b *txn) int { return a.first - b.first })
	for i := range h.Log {
		ev := &h.Log[i]
		if t := j.txns[ev.TxnID]; t == nil || len(t.attempts) == 0 {
			j.violate(Violation{Promise: "G2", Check: "unasked-commit", CommitTS: ev.CommitTS,
				Sentence: fmt.Sprintf("commit %d is of transaction %s, which nobody asked to commit", ev.CommitTS, ev.TxnID)})
		}
	}
	return list
}

// wanted lists what a transaction's commit is to do, by key.
func (t *txn) wanted(op *Operation) (map[Name]Write, []Write) {
	out := make(map[Name]Write)
	var conditions []Write
	add := func(w Write) {
		if w.Expected != nil {
			conditions = append(conditions, w)
		}
		out[w.Name] = w
	}
	if op.Kind == Transact {
		for _, w := range op.In.Writes {
			add(w)
		}
		return out, conditions
	}
	for _, s := range t.staged {
		if s.Outcome == OK && s.Call < op.Call {
			add(Write{Name: s.In.name(), Value: s.In.Value, Delete: s.Kind == StageDelete, Expected: s.In.Expected})
		}
	}
	return out, conditions
}

func (in *Input) name() Name { return Name{in.Namespace, in.Agent, in.Key} }

func (j *judge) checkTxn(t *txn) {
	ev := j.m.byTxn[t.id]
	if ev != nil {
		j.checkApplied(t, ev)
	}
	for _, op := range t.attempts {
		switch op.Outcome {
		case OK:
			j.checkAcked(t, op, ev)
		case Fail:
			j.checkRefused(t, op, ev)
		}
	}
	for _, op := range t.aborts {
		if op.Outcome == OK && ev != nil {
			j.breaks(op, "G6", "aborted-but-applied", "", "", "transaction %s was aborted, and is in the log as commit %d", t.id, ev.CommitTS)
		}
	}
}

// checkApplied compares an event with what was asked for, and its conditions and
// reads with the state before it.
func (j *judge) checkApplied(t *txn, ev *Event) {
	if len(t.attempts) == 0 {
		return // reported
	}
	op := t.attempts[0]
	matched := false
	for _, a := range t.attempts {
		if want, _ := t.wanted(a); sameWrites(want, ev) && maps.Equal(a.In.Metadata, ev.Metadata) {
			op, matched = a, true
			break
		}
	}
	if !matched {
		j.breaks(op, "G2", "commit-differs", fmt.Sprint(op.In.Writes), fmt.Sprint(ev.Ops), "commit %d is not what was asked for", ev.CommitTS)
		return
	}
	if low, by := j.b.low(op.Call); low >= ev.CommitTS && by != 0 {
		j.breaks(op, "G3", "commit-before-call", "", "", "commit %d was asked for after #%d had shown commit %d", ev.CommitTS, by, low)
	}
	before := ev.CommitTS - 1
	_, conditions := t.wanted(op)
	for _, w := range conditions {
		j.condition(op, w.Name, *w.Expected, before)
	}
	for _, k := range op.In.Keys {
		j.condition(op, k.Name, k.Expected, before)
	}
	for _, h := range op.In.Heads {
		if got := j.m.headAt(agentName{h.Namespace, h.Agent}, before); got != h.Expected {
			j.breaks(op, "G3", "condition-not-held", fmt.Sprint(h.Expected), fmt.Sprint(got), "commit %d was made although the head of agent %q was %d, not %d", ev.CommitTS, h.Agent, got, h.Expected)
		}
	}
	if t.begin != nil {
		j.checkReadSet(t, op, t.begin.Out.SnapshotTS, before)
	}
}

func holds(v *version, expected uint64) bool {
	return expected == v.num() || expected == 0 && !v.exists()
}

func (j *judge) condition(op *Operation, n Name, expected, before uint64) {
	if v := j.m.at(n, before); !holds(v, expected) {
		j.breaks(op, "G3", "condition-not-held", fmt.Sprintf("version %d", expected), v.show(), "it committed although key %q of agent %q was not at version %d", n.Key, n.Agent, expected)
	}
}

// checkReadSet holds a transaction to what it read.
func (j *judge) checkReadSet(t *txn, op *Operation, snapshot, before uint64) {
	for _, r := range t.reads {
		if r.Outcome != OK || r.Call > op.Call {
			continue
		}
		for i := range r.Out.Records {
			if n := r.Out.Records[i].Name; (r.Kind == Get || r.Kind == BatchGet) && len(t.own(n, r).writes) == 0 {
				if a, b := j.m.at(n, snapshot), j.m.at(n, before); a.num() != b.num() {
					j.breaks(op, "G3", "lost-update", a.show(), b.show(), "it committed although key %q of agent %q, which it had read, had changed", n.Key, n.Agent)
				}
			}
		}
		if r.Kind != Scan && r.Kind != ListKeys {
			continue
		}
		first, last := r.stretch(j)
		a := agentName{r.In.Namespace, r.In.Agent}
		for _, k := range j.m.sorted[a] {
			if len(k) < len(r.In.Prefix) || k[:len(r.In.Prefix)] != r.In.Prefix || first != "" && k < first || last != "" && k > last {
				continue
			}
			n := Name{a.ns, a.agent, k}
			if x, y := j.m.at(n, snapshot), j.m.at(n, before); x.num() != y.num() {
				j.breaks(op, "G3", "write-skew", x.show(), y.show(), "it committed although key %q of agent %q, in a range that it had listed, had changed", k, a.agent)
			}
		}
	}
}

// stretch is what a page covered.
func (op *Operation) stretch(j *judge) (first, last string) {
	after, end := j.pageStart(op), ""
	if op.Out.More {
		end = op.lastKey()
	}
	if op.In.Reverse {
		return end, after
	}
	return after, end
}

func (op *Operation) lastKey() string {
	if n := len(op.Out.Keys); n > 0 {
		return op.Out.Keys[n-1]
	}
	if n := len(op.Out.Records); n > 0 {
		return op.Out.Records[n-1].Key
	}
	return ""
}

// pageStart is the last name of the page before.
func (j *judge) pageStart(op *Operation) string {
	if from := j.ops[op.In.PageOf]; from != nil {
		return from.lastKey()
	}
	return ""
}

func sameWrites(want map[Name]Write, ev *Event) bool {
	if len(want) != len(ev.Ops) {
		return false
	}
	for i := range ev.Ops {
		o := &ev.Ops[i]
		w, ok := want[o.Name]
		if !ok || w.Delete != o.Delete || !o.Delete && !sameValue(w.Value, o.Value) {
			return false
		}
	}
	return true
}

// checkAcked compares an acknowledgement with the log.
func (j *judge) checkAcked(t *txn, op *Operation, ev *Event) {
	want, _ := t.wanted(op)
	if len(want) == 0 {
		j.checkEmptyCommit(t, op)
		return
	}
	if ev == nil {
		j.breaks(op, "G1", "acked-commit-lost", fmt.Sprintf("commit %d", op.Out.CommitTS), "nothing in the log", "transaction %s was acknowledged as commit %d, and is not in the log", t.id, op.Out.CommitTS)
		return
	}
	if ev.CommitTS != op.Out.CommitTS || ev.CommitTime != op.Out.CommitTime {
		j.breaks(op, "G6", "answer-differs", fmt.Sprintf("commit %d at %d", ev.CommitTS, ev.CommitTime), fmt.Sprintf("commit %d at %d", op.Out.CommitTS, op.Out.CommitTime), "transaction %s was acknowledged at another place than the log has it", t.id)
		return
	}
	if !sameWrites(want, ev) {
		j.breaks(op, "G6", "other-operations-acked", fmt.Sprint(op.In.Writes), fmt.Sprint(ev.Ops), "it was acknowledged as commit %d, which did something else", ev.CommitTS)
	}
	got := make(map[Name]uint64)
	for _, v := range op.Out.Versions {
		got[v.Name] = v.Version
	}
	for i := range ev.Ops {
		if o := &ev.Ops[i]; got[o.Name] != o.Version {
			j.breaks(op, "G6", "version-differs", fmt.Sprint(o.Version), fmt.Sprint(got[o.Name]), "it was told another version of key %q than commit %d made", o.Key, ev.CommitTS)
		}
	}
	if high := j.b.high(op.Return, j.m.head); ev.CommitTS > high {
		j.breaks(op, "G3", "commit-after-return", "", "", "commit %d was acknowledged before a commit that comes before it was asked for", ev.CommitTS)
	}
}

// checkEmptyCommit: one without writes takes effect where it read, or where its
// conditions held.
func (j *judge) checkEmptyCommit(t *txn, op *Operation) {
	if len(op.In.Keys)+len(op.In.Heads) > 0 {
		low, high := j.window(op)
		if op.Out.CommitTS > high || op.Out.CommitTS > j.m.head {
			j.breaks(op, "G4", "ghost-commit", "", "", "it was answered commit %d, which had not happened", op.Out.CommitTS)
		}
		_ = low
		return
	}
	if t.begin != nil && op.Out.CommitTS != t.begin.Out.SnapshotTS {
		j.breaks(op, "G3", "empty-commit-elsewhere", fmt.Sprint(t.begin.Out.SnapshotTS), fmt.Sprint(op.Out.CommitTS), "a transaction that only read commits at its snapshot")
	}
}

// final are the refusals that end a transaction. Others are of one request only:
// another copy of it may still be applied, or have been.
var final = map[string]bool{
	"CONFLICT": true, "PRECONDITION_FAILED": true, "TXN_NOT_FOUND": true, "TXN_EXPIRED": true, "TXN_ABORTED": true, "INVALID_REQUEST": true,
}

// checkRefused: what was refused for good is not in the log, and the refusal has
// a reason.
func (j *judge) checkRefused(t *txn, op *Operation, ev *Event) {
	switch code := op.Error.Code; {
	case final[code]:
		if ev != nil {
			j.breaks(op, "G6", "refused-but-applied", "", "", "it was refused (%s: %s), and transaction %s is in the log as commit %d", op.Error.Code, op.Error.Message, t.id, ev.CommitTS)
		}
	case code == "DISK_FULL" || code == "STORAGE_ERROR" || code == "DATA_LOSS":
		if low, _ := j.b.low(op.Call); ev != nil && low >= ev.CommitTS {
			j.breaks(op, "G6", "committed-but-refused", fmt.Sprintf("commit %d", ev.CommitTS), code, "it was refused as not applied, when it was committed already")
		}
	case code == "TXN_ID_REUSED":
		if want, _ := t.wanted(op); len(t.attempts) == 1 && t.begin == nil || ev != nil && sameWrites(want, ev) && op == t.attempts[0] {
			j.breaks(op, "G6", "id-not-reused", "", "", "it was refused because its id had been used, which it was not")
		}
	}
	low, high := j.window(op)
	if op.Error.Code == "PRECONDITION_FAILED" && len(t.attempts) == 1 && !j.couldFail(t, op, low, high) {
		j.breaks(op, "G3", "unjustified-refusal", "", op.Error.Message, "its conditions held at every point at which it can have been decided")
	}
	if op.Error.Code == "CONFLICT" && t.begin != nil {
		if !j.couldConflict(t, t.begin.Out.SnapshotTS, high) {
			j.breaks(op, "G4", "unjustified-conflict", "", op.Error.Message, "nothing that it read has changed by then")
		}
	}
}

func (j *judge) couldFail(t *txn, op *Operation, low, high uint64) bool {
	_, conditions := t.wanted(op)
	for ts := low; ts <= high; ts++ {
		for _, w := range conditions {
			if !holds(j.m.at(w.Name, ts), *w.Expected) {
				return true
			}
		}
		for _, k := range op.In.Keys {
			if !holds(j.m.at(k.Name, ts), k.Expected) {
				return true
			}
		}
		for _, h := range op.In.Heads {
			if j.m.headAt(agentName{h.Namespace, h.Agent}, ts) != h.Expected {
				return true
			}
		}
	}
	return false
}

func (j *judge) couldConflict(t *txn, snapshot, high uint64) bool {
	for _, r := range t.reads {
		if r.Outcome != OK { // its answer was lost; the daemon remembers what it read
			return true
		}
		for i := range r.Out.Records {
			n := r.Out.Records[i].Name
			if j.m.at(n, snapshot).num() != j.m.at(n, high).num() {
				return true
			}
		}
		if r.Kind == Scan || r.Kind == ListKeys {
			a := agentName{r.In.Namespace, r.In.Agent}
			for _, k := range j.m.sorted[a] {
				n := Name{a.ns, a.agent, k}
				if j.m.at(n, snapshot).num() != j.m.at(n, high).num() {
					return true
				}
			}
		}
	}
	return false
}

// checkOutcomeAsked compares what was told of a transaction with the log.
func (j *judge) checkOutcomeAsked(op *Operation) {
	t := j.txns[op.In.TxnID]
	ev := j.m.byTxn[op.In.TxnID]
	switch op.Out.State {
	case "committed":
		if ev == nil && op.Out.CommitTS != 0 && len(op.Out.Versions) > 0 {
			j.breaks(op, "G4", "ghost-outcome", "", "", "transaction %s was called committed at %d, and is not in the log", op.In.TxnID, op.Out.CommitTS)
		} else if ev != nil && (ev.CommitTS != op.Out.CommitTS || ev.CommitTime != op.Out.CommitTime || !ev.made(op.Out.Versions)) {
			j.breaks(op, "G6", "outcome-differs", fmt.Sprint(ev.CommitTS), fmt.Sprint(op.Out.CommitTS), "its outcome is told differently from the log")
		}
	case "aborted", "expired":
		if ev != nil {
			j.breaks(op, "G6", "outcome-differs", "committed", op.Out.State, "transaction %s is in the log as commit %d", op.In.TxnID, ev.CommitTS)
		}
	case "never_seen":
		if ev == nil || t == nil {
			return
		}
		if low, _ := j.b.low(op.Call); low >= ev.CommitTS {
			j.breaks(op, "G6", "outcome-forgotten", fmt.Sprintf("committed at %d", ev.CommitTS), op.Out.State, "the outcome of transaction %s is forgotten", op.In.TxnID)
		}
	}
}

// made tells whether those are the versions that a commit made.
func (ev *Event) made(versions []KeyVersion) bool {
	if len(versions) != len(ev.Ops) {
		return false
	}
	for _, v := range versions {
		if !slices.ContainsFunc(ev.Ops, func(o EventOp) bool { return o.Name == v.Name && o.Version == v.Version }) {
			return false
		}
	}
	return true
}
