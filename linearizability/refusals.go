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

// named is what a refusal says that it is because of.
type named struct {
	name              Name
	expected, current uint64
	ok                bool // it says so
}

func (r *Refusal) named(expected, current string) named {
	d := r.Details
	n := named{name: Name{d["namespace"], d["agent_id"], d["key"]}}
	var err1, err2 error
	n.expected, err1 = strconv.ParseUint(d[expected], 10, 64)
	n.current, err2 = strconv.ParseUint(d[current], 10, 64)
	n.ok = err1 == nil && err2 == nil
	return n
}

// couldFail tells whether the condition that a refusal names is one of those that
// were set, and can have been as it says, which is not as it was to be.
func (j *judge) couldFail(t *txn, op *Operation, low, high uint64) bool {
	_, conditions := t.wanted(op)
	key := op.Error.named("expected_version", "current_version")
	head := op.Error.named("expected_head", "current_head")
	for ts := low; ts <= high; ts++ {
		for _, k := range conditions {
			v := j.m.at(k.Name, ts)
			if key.ok && k.Name == key.name && k.Expected == key.expected && v.num() == key.current && !holds(v, k.Expected) {
				return true
			}
		}
		for _, h := range op.In.Heads {
			at := j.m.headAt(agentName{h.Namespace, h.Agent}, ts)
			if head.ok && head.name == headOf(h.Namespace, h.Agent) && h.Expected == head.expected && at == head.current && at != h.Expected {
				return true
			}
		}
	}
	return false
}

// couldConflict tells whether what a refusal names was read by the transaction, and
// can have changed to what it says since.
func (j *judge) couldConflict(t *txn, op *Operation, high uint64) bool {
	c := op.Error.named("seen_version", "current_version")
	snapshot := t.begin.Out.SnapshotTS
	if !c.ok || !j.becomes(c.name, c.current, snapshot, high) {
		return false
	}
	read := false
	for _, r := range t.reads {
		if r.Outcome != OK {
			return true // its answer was lost; the daemon remembers what it read
		}
		j.eachRead(t, r, func(n Name) { read = read || n == c.name })
	}
	return read
}

// becomes tells whether a key comes to a version after one commit, and up to
// another.
func (j *judge) becomes(n Name, number, after, to uint64) bool {
	for _, v := range j.m.keys[n] {
		if v.number == number && v.ts > after && v.ts <= to {
			return true
		}
	}
	return false
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
