package linearizability

import "strconv"

// checkRefused: what was refused for good is not in the log, and the refusal has
// a reason.
func (j *judge) checkRefused(t *txn, op *Operation, ev *Event) {
	if op.Error == nil {
		return
	}
	switch op.Error.Code {
	case "TXN_EXPIRED", "TXN_ABORTED": // see checkUse
	case "TXN_ID_REUSED":
		if want, _ := t.wanted(op); len(t.attempts) == 1 && t.begin == nil || ev != nil && want.match(ev) && op == t.attempts[0] {
			j.breaks(op, "G6", "id-not-reused", "", "", "it was refused because its id had been used, which it was not")
		}
	default:
		if ev != nil && op.Error.decides() {
			j.breaks(op, "G6", "refused-but-applied", "", op.Error.Code, "it was refused (%s: %s), and transaction %s is in the log as commit %d", op.Error.Code, op.Error.Message, t.id, ev.CommitTS)
		}
	}
	if known, _ := j.b.low(op.Call); ev != nil && known >= ev.CommitTS && op.Error.looks() {
		j.breaks(op, "G6", "committed-but-refused", "", op.Error.Code, "it was refused as not applied, and was commit %d already", ev.CommitTS)
	}
	// What it was told may have been decided when it was first sent.
	low, _ := j.b.low(t.attempts[0].Call)
	high := j.b.high(op.Return, j.m.head)
	switch op.Error.Code {
	case "PRECONDITION_FAILED":
		if !j.couldFail(t, op, low, high) {
			j.breaks(op, "G3", "unjustified-refusal", "", op.Error.Message, "the condition that it names held at every point at which it can have been decided")
		}
	case "CONFLICT":
		if t.begin != nil && !j.couldConflict(t, op, high) {
			j.breaks(op, "G4", "unjustified-conflict", "", op.Error.Message, "what it names was not read, or has not changed by then")
		}
	}
}

// decides tells whether a refusal of a commit speaks of the transaction. Others
// (a full disk, a daemon that stops) speak of one request: another one for the same
// transaction, or a copy of this one that the network made, may have got further.
func (r *Refusal) decides() bool {
	switch r.Code {
	case "CONFLICT", "PRECONDITION_FAILED", "TXN_NOT_FOUND", "TXN_EXPIRED", "TXN_ABORTED", "INVALID_REQUEST":
		return true
	}
	return false
}

// looks tells whether a refusal comes from where outcomes can be looked up: of what is
// committed already it must not say that it was not applied.
func (r *Refusal) looks() bool {
	return r.Code == "DISK_FULL" || r.Code == "STORAGE_ERROR" || r.Code == "DATA_LOSS"
}

// named is what a refusal says that it is because of.
func (r *Refusal) named() Name {
	return Name{r.Details["namespace"], r.Details["agent_id"], r.Details["key"]}
}

// says tells whether a detail of a refusal is a number.
func (r *Refusal) says(detail string, n uint64) bool {
	return r.Details[detail] == strconv.FormatUint(n, 10)
}

// couldFail tells whether the condition that a refusal names is one of those that
// were set, and can have been as it says, which is not as it was to be.
func (j *judge) couldFail(t *txn, op *Operation, low, high uint64) bool {
	_, conditions := t.wanted(op)
	r := op.Error
	for ts := low; ts <= high; ts++ {
		for _, k := range conditions {
			v := j.m.at(k.Name, ts)
			if k.Name == r.named() && r.says("expected_version", k.Expected) && r.says("current_version", v.num()) && !holds(v, k.Expected) {
				return true
			}
		}
		for _, h := range op.In.Heads {
			at := j.m.headAt(agentName{h.Namespace, h.Agent}, ts)
			if headOf(h.Namespace, h.Agent) == r.named() && r.says("expected_head", h.Expected) && r.says("current_head", at) && at != h.Expected {
				return true
			}
		}
	}
	return false
}

// couldConflict tells whether what a refusal names was read by the transaction, and
// can have changed to what it says since.
func (j *judge) couldConflict(t *txn, op *Operation, high uint64) bool {
	name, snapshot := op.Error.named(), t.begin.Out.SnapshotTS
	changed := false
	for _, v := range j.m.keys[name] {
		changed = changed || v.ts > snapshot && v.ts <= high && op.Error.says("current_version", v.number)
	}
	if !changed {
		return false
	}
	read := false
	for _, r := range t.reads {
		if r.Outcome != OK {
			return true // its answer was lost; the daemon remembers what it read
		}
		j.eachRead(t, r, func(n Name) { read = read || n == name })
	}
	return read
}

// checkNoVersion: that there is no such version is said of none that was known.
func (j *judge) checkNoVersion(op *Operation) {
	low, by := j.b.low(op.Call)
	for _, v := range j.m.keys[op.In.name()] {
		if v.number == op.In.KeyVersion && v.ts <= low {
			j.breaks(op, "G3", "version-missing", v.show(), op.Error.Code, "there was a version %d of key %q, as #%d had shown", v.number, op.In.Key, by)
			return
		}
	}
}
