package layout

import (
	"encoding/binary"
	"fmt"
	"math"
	"time"

	"statehouse.dev/statehouse/engine/words"
)

// A hold is what keeps a record until a deadline: at that moment the daemon makes a commit of
// its own, which deletes the record (expiry, leases). Until that commit the record is there,
// whatever a clock says.
//
// A record says that it was written with one (RecordHold), which never changes. How long it
// lasts now stands in a row of its own, since a renewal moves it: no event, no commit_ts. A
// second row is what the writer finds due holds by. Invariant: a record whose newest version
// was written with a hold has exactly one row of each, both name that version, and no other has
// any. verify holds the store to it.
//
//	h names of the record       -> hold
//	d deadline names            -> kind, version; of what is ready see ready.go
const (
	HoldTag  = 'h'
	TimerTag = 'd'
)

// A Cause says why the daemon made a commit of its own; 0: it did not.
type Cause byte

const (
	CauseExpired Cause = 1 // a record that was written with a time to live
	CauseLapsed  Cause = 2 // a lease that was not renewed
	CauseDue     Cause = 3 // a record became due

	// CauseReady is of what is ready to be claimed (wake.go): nothing ends it by itself.
	CauseReady Cause = 4
)

var Causes = [...]string{"", "expired", "lapsed", "due", "ready"}

// String is "" for a commit that is not the daemon's own.
func (c Cause) String() string {
	if int(c) < len(Causes) {
		return Causes[c]
	}
	return fmt.Sprintf("cause %d", byte(c))
}

func (c Cause) Known() bool { return c > 0 && int(c) < len(Causes) }

// MaxTTL bounds how long a hold may last.
const MaxTTL = 100 * 365 * 24 * time.Hour

// RecordHold is what a record was written with: what ends it, and how long after its commit. The
// zero value is none.
type RecordHold struct {
	Kind Cause
	TTL  time.Duration
}

// Leases is 1 for a lease.
func (h RecordHold) Leases() int {
	if h.Kind == CauseLapsed {
		return 1
	}
	return 0
}

// Fingerprint appends what tells a write with a hold from one without.
func (h RecordHold) Fingerprint(b []byte) []byte {
	if h.Kind == 0 {
		return b
	}
	return binary.AppendUvarint(append(b, 'x', byte(h.Kind)), uint64(h.TTL))
}

// Hold is how long a record lasts now.
type Hold struct {
	RecordHold // ttl is what a renewal adds to now
	Version    words.Version
	Deadline   time.Time
	// Moved is the last commit that there was when the deadline was moved; 0: it never was. A
	// backup of what came later has the row.
	Moved words.CommitTS
}

// HoldAfter is the hold of a version that a commit at that time makes.
func (h RecordHold) HoldAfter(at time.Time, v words.Version) *Hold {
	return &Hold{RecordHold: h, Version: v, Deadline: DeadlineAfter(at, h.TTL)}
}

// DeadlineAfter stays within what a key can hold.
func DeadlineAfter(at time.Time, ttl time.Duration) time.Time {
	n := at.UnixNano()
	if n > math.MaxInt64-int64(ttl) {
		n = math.MaxInt64 - int64(ttl)
	}
	return time.Unix(0, max(n+int64(ttl), 0)).UTC()
}

// holdKey is the key of the hold of a record, by the record's prefix.
func AppendHoldKey(dst []byte, prefix string) []byte {
	return append(append(dst, HoldTag), prefix[1:]...)
}

func AppendTimerKey(dst []byte, deadline time.Time, prefix string) []byte {
	return append(AppendTime(append(dst, TimerTag), deadline), prefix[1:]...)
}

// SplitHoldKey returns the record's prefix.
func SplitHoldKey(key []byte) (prefix string, ok bool) {
	return recordPrefixOf(key, 1)
}

func SplitTimerKey(key []byte) (deadline time.Time, prefix string, ok bool) {
	if len(key) < 1+NumberSize {
		return deadline, "", false
	}
	d := Decoder{Rest: key[1 : 1+NumberSize]}
	deadline = d.Time()
	prefix, ok = recordPrefixOf(key, 1+NumberSize)
	return deadline, prefix, ok
}

// recordPrefixOf makes a record's prefix of the names that stand at the end of a key.
func recordPrefixOf(key []byte, at int) (prefix string, ok bool) {
	if len(key) < at {
		return "", false
	}
	prefix = string(rune(RecordTag)) + string(key[at:])
	n, ok := SplitPrefix(prefix)
	return prefix, ok && n.Key != ""
}

// SplitPrefix returns the name of a record by its prefix.
func SplitPrefix(prefix string) (n words.RecordName, ok bool) {
	rest, ok := SplitNames([]byte(prefix), RecordTag, &n.Namespace, &n.Agent, &n.Key)
	return n, ok && len(rest) == 0
}

func (h *Hold) Append(dst []byte) []byte {
	dst = append(dst, byte(h.Kind))
	dst = AppendTime(binary.AppendUvarint(dst, uint64(h.Version)), h.Deadline)
	return binary.AppendUvarint(binary.AppendUvarint(dst, uint64(h.TTL)), uint64(h.Moved))
}

func ParseHold(body []byte) (h Hold, ok bool) {
	d := Decoder{Rest: body}
	h.Kind, h.Version, h.Deadline = Cause(d.Byte()), words.Version(d.Uvarint()), d.Time()
	h.TTL, h.Moved = time.Duration(d.Uvarint()), words.CommitTS(d.Uvarint())
	return h, d.End() && h.Kind.Known() && h.Version > 0 && h.TTL > 0
}

// A Timer is a hold as it is found when it is due.
type Timer struct {
	Kind    Cause
	Version words.Version
}

func (t Timer) Append(dst []byte) []byte {
	return binary.AppendUvarint(append(dst, byte(t.Kind)), uint64(t.Version))
}

func ParseTimer(body []byte) (t Timer, ok bool) {
	d := Decoder{Rest: body}
	t = Timer{Cause(d.Byte()), words.Version(d.Uvarint())}
	return t, d.End() && t.Kind.Known()
}

// fieldHold is the field of a record that was written with a hold; not sealed, since it says
// nothing of what was committed.
const fieldHold = 1

func (h RecordHold) Fields() fields {
	if h.Kind == 0 {
		return nil
	}
	return fields{{fieldHold, binary.AppendUvarint([]byte{byte(h.Kind)}, uint64(h.TTL))}}
}

func (f fields) hold() (h RecordHold, ok bool) {
	body, found := f.Get(fieldHold)
	if !found {
		return h, true
	}
	d := Decoder{Rest: body}
	h = RecordHold{Cause(d.Byte()), time.Duration(d.Uvarint())}
	return h, d.End() && h.Kind.Known() && h.TTL > 0
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

// SealHolds makes the field of the operations.
func (r *EventRow) SealHolds() {
	var body []byte
	for i := range r.Ops {
		if h := r.Ops[i].Held; h.Kind != 0 {
			body = binary.AppendUvarint(append(binary.AppendUvarint(body, uint64(i)), byte(h.Kind)), uint64(h.TTL))
		}
	}
	if body != nil {
		r.Fields = r.Fields.With(fieldHolds, body)
	}
}

// parseHolds gives the operations what the field says of them.
func (r *EventRow) parseHolds() bool {
	body, found := r.Fields.Get(fieldHolds)
	d := Decoder{Rest: body}
	for next := uint64(0); len(d.Rest) > 0 && !d.Failed; next++ {
		i, h := d.Uvarint(), RecordHold{Cause(d.Byte()), time.Duration(d.Uvarint())}
		if i < next || i >= uint64(len(r.Ops)) || !h.Kind.Known() || h.TTL <= 0 {
			return false
		}
		r.Ops[i].Held, next = h, i
	}
	return d.End() && (!found || len(body) > 0)
}

// Own is what the event of a commit says if the daemon made it by itself.
type Own struct {
	Cause    Cause // 0: it did not
	UserHead words.CommitTS
}

func (o Own) Fields() fields {
	if o.Cause == 0 {
		return nil
	}
	return fields{{fieldCause, []byte{byte(o.Cause)}}, {fieldUserHead, binary.AppendUvarint(nil, uint64(o.UserHead))}}
}

func (f fields) own() (o Own, ok bool) {
	cause, found := f.Get(fieldCause)
	head, alike := f.Get(fieldUserHead)
	if !found {
		return o, !alike
	}
	d := Decoder{Rest: head}
	o.UserHead = words.CommitTS(d.Uvarint())
	if len(cause) != 1 || !d.End() {
		return o, false
	}
	o.Cause = Cause(cause[0])
	return o, o.Cause.Known() && o.Cause != CauseReady
}

// AgentHead is an agent's last commit, and the last one that is not the daemon's own: what is
// meant by whoever asks for it or makes it a condition.
type AgentHead struct{ Last, User words.CommitTS }

// HeadOf is the agent's head as of an event.
func HeadOf(ts words.CommitTS, ev *EventRow) AgentHead {
	if ev.Own.Cause != 0 {
		return AgentHead{ts, ev.Own.UserHead}
	}
	return AgentHead{ts, ts}
}
