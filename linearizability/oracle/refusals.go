package oracle

import (
	"slices"
	"strconv"
	"strings"

	"statehouse.dev/statehouse/history"
	"statehouse.dev/statehouse/linearizability/oracle/model"
)

// checkRefused: what was refused for good is not in the log, and the refusal has
// a reason.
func (j *judge) checkRefused(t *txn, op *history.Operation, ev *history.Event) {
	if op.Error == nil {
		return
	}
	switch op.Error.Code {
	case "TXN_EXPIRED", "TXN_ABORTED": // see checkUse
	case "TXN_ID_REUSED":
		j.checkReused(t, op, ev)
	default:
		if ev != nil && decides(op.Error) && !t.neverBegun(op) && !j.askedOtherwise(t, op, ev) && !j.askedAgain(t, op, ev) {
			j.breaks(op, "G6", "refused-but-applied", "", op.Error.Code, "it was refused (%s: %s), and transaction %s is in the log as commit %d", op.Error.Code, op.Error.Message, t.id, ev.CommitTS)
		}
	}
	if known, _ := j.bounds.low(op.Call); ev != nil && known >= ev.CommitTS && looks(op.Error) && !j.askedOtherwise(t, op, ev) {
		j.breaks(op, "G6", "committed-but-refused", "", op.Error.Code, "it was refused as not applied, and was commit %d already", ev.CommitTS)
	}
	switch op.Error.Code {
	case "PRECONDITION_FAILED":
		j.checkFailed(t, op)
	case "LEASE_HELD", "LEASE_LOST", "EVALUATION_FAILED":
		j.checkNotEvaluated(t, op)
	case "CONFLICT":
		j.checkConflict(t, op)
	}
}

// checkFailed: the condition that a refusal names did not hold at some point at which
// it can have been decided.
func (j *judge) checkFailed(t *txn, op *history.Operation) {
	first := j.firstCall(t) // what it was told may have been decided when it was first sent
	low, _ := j.bounds.low(first)
	high := j.bounds.high(op.Return, j.model.Head)
	switch {
	case j.couldFail(t, op, op.Error, low, high) || j.failedAlready(t, op, low, high) || evaluates(op) && j.refusedBetween(op, low, high):
	case j.early(first) && j.failedBefore(t, op):
		j.count(op, &j.stats.BeforeBase)
	case op.Kind == history.Commit && j.hidden(t): // on a condition of a write that is missing
		j.count(op, &j.stats.Dangling)
	default:
		j.breaks(op, "G3", "unjustified-refusal", "", op.Error.Message, "the condition that it names held at every point at which it can have been decided")
	}
}

// checkConflict: the transaction had read what a refusal names, and that has changed.
// What reads nothing cannot conflict: a transact without reads, or a commit of a transaction
// that was never begun.
func (j *judge) checkConflict(t *txn, op *history.Operation) {
	switch {
	case op.In.Reads != nil:
		j.checkStale(t, op)
	case op.Kind == history.Transact, t.begin == nil && !j.hidden(t):
		j.breaks(op, "G4", "unjustified-conflict", "", op.Error.Message, "it was refused because of a read, and has read nothing")
	case t.begin == nil || j.couldConflict(t, op, j.bounds.high(op.Return, j.model.Head)):
	case t.begin.Out.SnapshotTS < j.model.Base:
		j.count(op, &j.stats.BeforeBase)
	default:
		j.breaks(op, "G4", "unjustified-conflict", "", op.Error.Message, "what it names was not read, or has not changed by then")
	}
}

// decides reports whether a refusal of a commit speaks of the transaction. Others (a full disk,
// a daemon that stops) speak of one request: another one for the same transaction, or a copy of
// this one that the network made, may have got further.
func decides(r *history.Refusal) bool {
	switch r.Code {
	case "CONFLICT", "PRECONDITION_FAILED", "TXN_NOT_FOUND", "TXN_EXPIRED", "TXN_ABORTED", "INVALID_REQUEST", "LEASE_HELD", "LEASE_LOST", "EVALUATION_FAILED":
		return true
	}
	return false
}

// looks reports whether a refusal comes from where outcomes can be looked up: of a transaction
// that has committed it must not say that it was not applied.
func looks(r *history.Refusal) bool {
	return r.Code == "DISK_FULL" || r.Code == "STORAGE_ERROR" || r.Code == "DATA_LOSS"
}

// couldFail reports whether the condition that a refusal names was set, and at some point from
// low to high was not met in the way that the refusal says.
func (j *judge) couldFail(t *txn, op *history.Operation, r *history.Refusal, low, high uint64) bool {
	conditions := j.mayWant(t, op)
	if low > high {
		return false
	}
	for _, k := range conditions {
		if k.Lease != "" || k.Name != r.Named() || !r.Says("expected_version", k.Expected) {
			continue
		}
		fails := func(ts uint64) bool {
			v := j.model.At(k.Name, ts)
			return r.Says("current_version", v.Num()) && !holds(v, k.Expected)
		}
		if slices.ContainsFunc(j.model.Keys[k.Name], func(v model.Version) bool { return v.TS > low && v.TS <= high && fails(v.TS) }) || fails(low) {
			return true
		}
	}
	for _, h := range headsOf(op) {
		a := history.AgentName{Namespace: h.Namespace, Agent: h.Agent}
		if r.Named() != (history.Name{Namespace: h.Namespace, Agent: h.Agent}) || !r.Says("expected_head", h.Expected) {
			continue
		}
		fails := func(ts uint64) bool {
			at := j.model.HeadAt(a, ts)
			return r.Says("current_head", at) && at != h.Expected
		}
		if slices.ContainsFunc(j.model.Agents[a], func(ts uint64) bool { return ts > low && ts <= high && fails(ts) }) || fails(low) {
			return true
		}
	}
	return false
}

// mayWant are the conditions that a commit can have been refused on: also those of writes
// whose staging was never answered.
func (j *judge) mayWant(t *txn, op *history.Operation) []history.KeyCondition {
	_, conditions := j.wanted(t, op, j.model.Base)
	if op.Kind == history.Transact {
		return conditions
	}
	for _, s := range t.staged {
		if s.Outcome == history.Unknown && s.In.Expected != nil {
			conditions = append(conditions, history.KeyCondition{Name: s.In.Name(), Expected: *s.In.Expected})
		}
	}
	return conditions
}

// failedBefore reports whether what a refusal names can have been so before the base: a
// version, or a head, that is not after that of the base.
func (j *judge) failedBefore(t *txn, op *history.Operation) bool {
	conditions, r := j.mayWant(t, op), op.Error
	for _, k := range conditions {
		n, err := strconv.ParseUint(r.Details["current_version"], 10, 64)
		if err == nil && k.Name == r.Named() && r.Says("expected_version", k.Expected) && n != k.Expected && n <= j.model.At(k.Name, j.model.Base).Num() {
			return true
		}
	}
	for _, h := range op.In.Heads {
		n, err := strconv.ParseUint(r.Details["current_head"], 10, 64)
		if err == nil && r.Named() == (history.Name{Namespace: h.Namespace, Agent: h.Agent}) && r.Says("expected_head", h.Expected) && n != h.Expected && n <= j.model.Base {
			return true
		}
	}
	return false
}

// failedAlready reports whether a commit was told again how an earlier one of the same
// transaction ended, which had other conditions.
func (j *judge) failedAlready(t *txn, op *history.Operation, low, high uint64) bool {
	return op.Kind == history.Commit && slices.ContainsFunc(t.attempts, func(a *history.Operation) bool {
		return a != op && a.Call < op.Return && j.couldFail(t, a, op.Error, low, high)
	})
}

// couldConflict reports whether the transaction had read what a refusal names, and that can
// have changed since to what the refusal says.
func (j *judge) couldConflict(t *txn, op *history.Operation, high uint64) bool {
	name, snapshot := op.Error.Named(), t.begin.Out.SnapshotTS
	changed := false
	for _, v := range j.model.Keys[name] {
		changed = changed || v.TS > snapshot && v.TS <= high && op.Error.Says("current_version", v.Number)
	}
	if !changed {
		return false
	}
	read := j.hidden(t)
	for _, r := range t.reads {
		switch {
		case r.Call >= op.End():
			continue // it was asked for only afterwards
		case r.Outcome != history.OK, j.intents && r.Out.More:
			read = read || mayRead(&r.In, name) // its answer was lost, or left; the daemon remembers what it read
			continue
		}
		j.eachRead(t, r, func(n history.Name) { read = read || n == name })
		if late := *r; r.Out.More && t.stagesAfter(r) {
			late.Out.More = false
			j.eachRead(t, &late, func(n history.Name) { read = read || n == name })
		}
	}
	return read
}

// mayRead reports whether a key is one that a read in a transaction asks for.
func mayRead(in *history.Input, n history.Name) bool {
	switch {
	case len(in.Names) > 0:
		return slices.Contains(in.Names, n)
	case in.Key != "":
		return n == in.Name()
	}
	return n.Namespace == in.Namespace && n.Agent == in.Agent && strings.HasPrefix(n.Key, in.Prefix)
}

// stagesAfter reports whether a transaction may have written where a page lists after the page
// was asked for: a copy of the request that arrives late sees the write, and ends elsewhere.
func (t *txn) stagesAfter(r *history.Operation) bool {
	return slices.ContainsFunc(t.staged, func(s *history.Operation) bool {
		return (s.Return == 0 || s.Return > r.Call) && s.In.Namespace == r.In.Namespace && s.In.Agent == r.In.Agent && strings.HasPrefix(s.In.Key, r.In.Prefix)
	})
}

// checkNoVersion: no version that was known may be said not to exist.
func (j *judge) checkNoVersion(op *history.Operation) {
	low, by := j.bounds.low(op.Call)
	vs := j.model.Keys[op.In.Name()]
	for i := range vs {
		v := &vs[i]
		// Of versions before that of the base it is known that they were.
		if (v.Number == op.In.KeyVersion || i == 0 && v.Number > op.In.KeyVersion && op.In.KeyVersion > 0) && v.TS <= low && by != 0 {
			j.breaks(op, "G3", "version-missing", v.Show(), op.Error.Code, "there was a version %d of key %q, as #%d had shown", v.Number, op.In.Key, by)
			return
		}
	}
}
