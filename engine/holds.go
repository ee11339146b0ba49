package engine

import (
	"encoding/binary"
	"fmt"
	"math"
	"time"
)

// A hold is what keeps a record until a deadline: at that moment the daemon makes a commit of
// its own, which deletes the record (expiry, leases). Until that commit the record is there,
// whatever a clock says.
//
// A record says that it was written with one (recordHold), which never changes. How long it
// lasts now stands in a row of its own, since a renewal moves it: no event, no commit_ts. A
// second row is what the writer finds due holds by. Invariant: a record whose newest version
// was written with a hold has exactly one row of each, both name that version, and no other has
// any. verify holds the store to it.
//
//	h names of the record       -> hold
//	d deadline names            -> kind, version; of what is ready see ready.go
const (
	holdTag  = 'h'
	timerTag = 'd'
)

// A Cause says why the daemon made a commit of its own; 0: it did not.
type Cause byte

const (
	CauseExpired Cause = 1 // a record that was written with a time to live
	CauseLapsed  Cause = 2 // a lease that was not renewed
	CauseDue     Cause = 3 // a record became due

	// causeReady is of what is ready to be claimed (wake.go): nothing ends it by itself.
	causeReady Cause = 4
)

var causes = [...]string{"", "expired", "lapsed", "due", "ready"}

// String is "" for a commit that is not the daemon's own.
func (c Cause) String() string {
	if int(c) < len(causes) {
		return causes[c]
	}
	return fmt.Sprintf("cause %d", byte(c))
}

func (c Cause) known() bool { return c > 0 && int(c) < len(causes) }

// MaxTTL bounds how long a hold may last.
const MaxTTL = 100 * 365 * 24 * time.Hour

// recordHold is what a record was written with: what ends it, and how long after its commit. The
// zero value is none.
type recordHold struct {
	kind Cause
	ttl  time.Duration
}

// leases is 1 for a lease.
func (h recordHold) leases() int {
	if h.kind == CauseLapsed {
		return 1
	}
	return 0
}

// fingerprint appends what tells a write with a hold from one without.
func (h recordHold) fingerprint(b []byte) []byte {
	if h.kind == 0 {
		return b
	}
	return binary.AppendUvarint(append(b, 'x', byte(h.kind)), uint64(h.ttl))
}

// hold is how long a record lasts now.
type hold struct {
	recordHold // ttl is what a renewal adds to now
	version    Version
	deadline   time.Time
	// moved is the last commit that there was when the deadline was moved; 0: it never was. A
	// backup of what came later has the row.
	moved CommitTS
}

// holdAfter is the hold of a version that a commit at that time makes.
func (h recordHold) holdAfter(at time.Time, v Version) *hold {
	return &hold{recordHold: h, version: v, deadline: deadlineAfter(at, h.ttl)}
}

// deadlineAfter stays within what a key can hold.
func deadlineAfter(at time.Time, ttl time.Duration) time.Time {
	n := at.UnixNano()
	if n > math.MaxInt64-int64(ttl) {
		n = math.MaxInt64 - int64(ttl)
	}
	return time.Unix(0, max(n+int64(ttl), 0)).UTC()
}

// holdKey is the key of the hold of a record, by the record's prefix.
func appendHoldKey(dst []byte, prefix string) []byte {
	return append(append(dst, holdTag), prefix[1:]...)
}

func appendTimerKey(dst []byte, deadline time.Time, prefix string) []byte {
	return append(appendTime(append(dst, timerTag), deadline), prefix[1:]...)
}

// splitHoldKey returns the record's prefix.
func splitHoldKey(key []byte) (prefix string, ok bool) {
	return recordPrefixOf(key, 1)
}

func splitTimerKey(key []byte) (deadline time.Time, prefix string, ok bool) {
	if len(key) < 1+numberSize {
		return deadline, "", false
	}
	d := decoder{rest: key[1 : 1+numberSize]}
	deadline = d.time()
	prefix, ok = recordPrefixOf(key, 1+numberSize)
	return deadline, prefix, ok
}

// recordPrefixOf makes a record's prefix of the names that stand at the end of a key.
func recordPrefixOf(key []byte, at int) (prefix string, ok bool) {
	if len(key) < at {
		return "", false
	}
	prefix = string(rune(recordTag)) + string(key[at:])
	n, ok := splitPrefix(prefix)
	return prefix, ok && n.Key != ""
}

// splitPrefix returns the name of a record by its prefix.
func splitPrefix(prefix string) (n RecordName, ok bool) {
	rest, ok := splitNames([]byte(prefix), recordTag, &n.Namespace, &n.Agent, &n.Key)
	return n, ok && len(rest) == 0
}

func (h *hold) append(dst []byte) []byte {
	dst = append(dst, byte(h.kind))
	dst = appendTime(binary.AppendUvarint(dst, uint64(h.version)), h.deadline)
	return binary.AppendUvarint(binary.AppendUvarint(dst, uint64(h.ttl)), uint64(h.moved))
}

func parseHold(body []byte) (h hold, ok bool) {
	d := decoder{rest: body}
	h.kind, h.version, h.deadline = Cause(d.byte()), Version(d.uvarint()), d.time()
	h.ttl, h.moved = time.Duration(d.uvarint()), CommitTS(d.uvarint())
	return h, d.end() && h.kind.known() && h.version > 0 && h.ttl > 0
}

// A timer is a hold as it is found when it is due.
type timer struct {
	kind    Cause
	version Version
}

func (t timer) append(dst []byte) []byte {
	return binary.AppendUvarint(append(dst, byte(t.kind)), uint64(t.version))
}

func parseTimer(body []byte) (t timer, ok bool) {
	d := decoder{rest: body}
	t = timer{Cause(d.byte()), Version(d.uvarint())}
	return t, d.end() && t.kind.known()
}

// fieldHold is the field of a record that was written with a hold; not sealed, since it says
// nothing of what was committed.
const fieldHold = 1

func (h recordHold) fields() fields {
	if h.kind == 0 {
		return nil
	}
	return fields{{fieldHold, binary.AppendUvarint([]byte{byte(h.kind)}, uint64(h.ttl))}}
}

func (f fields) hold() (h recordHold, ok bool) {
	body, found := f.get(fieldHold)
	if !found {
		return h, true
	}
	d := decoder{rest: body}
	h = recordHold{Cause(d.byte()), time.Duration(d.uvarint())}
	return h, d.end() && h.kind.known() && h.ttl > 0
}

// The fields of the event of a commit that the daemon made by itself: why, and the last commit
// of the agent before it that was not such a one.
const (
	fieldCause    = 2
	fieldUserHead = 3
)

// fieldHolds is the field of an event of which an operation wrote a record with a hold: uvarint number of
// the operation · 1 byte: what ends it · uvarint ttl, for each. It is sealed, so that the log holds the
// records to it.
const fieldHolds = 6

// sealHolds makes the field of the operations.
func (r *eventRow) sealHolds() {
	var body []byte
	for i := range r.ops {
		if h := r.ops[i].held; h.kind != 0 {
			body = binary.AppendUvarint(append(binary.AppendUvarint(body, uint64(i)), byte(h.kind)), uint64(h.ttl))
		}
	}
	if body != nil {
		r.fields = r.fields.with(fieldHolds, body)
	}
}

// parseHolds gives the operations what the field says of them.
func (r *eventRow) parseHolds() bool {
	body, found := r.fields.get(fieldHolds)
	d := decoder{rest: body}
	for next := uint64(0); len(d.rest) > 0 && !d.failed; next++ {
		i, h := d.uvarint(), recordHold{Cause(d.byte()), time.Duration(d.uvarint())}
		if i < next || i >= uint64(len(r.ops)) || !h.kind.known() || h.ttl <= 0 {
			return false
		}
		r.ops[i].held, next = h, i
	}
	return d.end() && (!found || len(body) > 0)
}

// own is what the event of a commit says if the daemon made it by itself.
type own struct {
	cause    Cause // 0: it did not
	userHead CommitTS
}

func (o own) fields() fields {
	if o.cause == 0 {
		return nil
	}
	return fields{{fieldCause, []byte{byte(o.cause)}}, {fieldUserHead, binary.AppendUvarint(nil, uint64(o.userHead))}}
}

func (f fields) own() (o own, ok bool) {
	cause, found := f.get(fieldCause)
	head, alike := f.get(fieldUserHead)
	if !found {
		return o, !alike
	}
	d := decoder{rest: head}
	o.userHead = CommitTS(d.uvarint())
	if len(cause) != 1 || !d.end() {
		return o, false
	}
	o.cause = Cause(cause[0])
	return o, o.cause.known() && o.cause != causeReady
}

// agentHead is an agent's last commit, and the last one that is not the daemon's own: what is
// meant by whoever asks for it or makes it a condition.
type agentHead struct{ last, user CommitTS }

// headOf is the agent's head as of an event.
func headOf(ts CommitTS, ev *eventRow) agentHead {
	if ev.own.cause != 0 {
		return agentHead{ts, ev.own.userHead}
	}
	return agentHead{ts, ts}
}
