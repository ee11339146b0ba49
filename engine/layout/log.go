package layout

import (
	"crypto/sha256"
	"encoding/binary"
	"maps"
	"slices"
	"time"

	"statehouse.dev/statehouse/engine/words"
)

// The rows of the log. A log row is a commit and is kept for good; of each agent's part of
// the commit it has a digest. The part itself is an event row, which can go.

// An EventRow is one agent's part of a commit, without values. What its digest covers comes
// first (AppendSealed). After that come the commit's time and id, which are in its log row,
// too, and the clear text of what is sealed by digests.
type EventRow struct {
	Ops        []EventRowOp
	By         Provenance
	CommitTime time.Time
	TxnID      words.TxnID
	Fields     fields
	Own        Own // of fields
}

type EventRowOp struct {
	Key       string // "": its name was erased, and the salt with it
	Version   words.Version
	Tombstone bool
	Gone      Gone       // of the value; the digest does not cover it
	Size      int        // bytes of the value, so that readers know before they read it
	Digest    Digest     // of the value; zero in a tombstone
	Name      Digest     // of namespace, agent and key
	Salt      Salt       // of the name
	Held      RecordHold // what the record was written with: see fieldHolds
}

// Provenance is what a commit says about itself.
type Provenance struct {
	State              ProvenanceState
	Digest             Digest // of the rest, when there is any
	Salt               Salt
	Principal, TraceID string
	Metadata           map[string]string
}

type ProvenanceState byte

const (
	ProvenanceNone   ProvenanceState = 0
	ProvenanceThere  ProvenanceState = 1
	ProvenanceErased ProvenanceState = 1 | ProvenanceState(GoneErased) // the digest is there
)

// flagMask takes from the flags of an event row those that may change: that a value or the
// provenance is gone.
type flagMask byte

const (
	SealedFlags flagMask = 1 // FlagTombstone, ProvenanceThere
	AllFlags    flagMask = 0xff
)

func (r *EventRow) Append(dst []byte) []byte {
	return r.AppendClear(r.AppendSealed(dst, AllFlags))
}

// AppendSealed appends what the digest of the part covers. flags are those that it shows:
// all of them in a row, SealedFlags for the digest.
func (r *EventRow) AppendSealed(dst []byte, flags flagMask) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(r.Ops)))
	for i := range r.Ops {
		op := &r.Ops[i]
		dst = append(dst, FlagsOf(op.Tombstone, op.Gone)&byte(flags))
		dst = binary.AppendUvarint(dst, uint64(op.Version))
		dst = append(dst, op.Name[:]...)
		if !op.Tombstone {
			dst = binary.AppendUvarint(dst, uint64(op.Size))
			dst = append(dst, op.Digest[:]...)
		}
	}
	dst = append(dst, byte(r.By.State)&byte(flags))
	if r.By.State != ProvenanceNone {
		dst = append(dst, r.By.Digest[:]...)
	}
	return dst
}

func (r *EventRow) AppendClear(dst []byte) []byte {
	dst = AppendTime(dst, r.CommitTime)
	dst = AppendTxnID(dst, r.TxnID)
	for i := range r.Ops {
		op := &r.Ops[i]
		if dst = AppendString(dst, op.Key); op.Key != "" {
			dst = append(dst, op.Salt[:]...)
		}
	}
	if r.By.State == ProvenanceThere {
		dst = r.By.Append(dst)
	}
	return r.Fields.append(dst)
}

// Digest is the digest of the part, which its log row has.
func (r *EventRow) Digest() Digest {
	return DigestOf(r.Fields.AppendSealed(r.AppendSealed(nil, SealedFlags)))
}

// Append appends the clear text, which begins with its salt: what the digest is of.
func (p *Provenance) Append(dst []byte) []byte {
	dst = append(dst, p.Salt[:]...)
	dst = AppendString(AppendString(dst, p.Principal), p.TraceID)
	dst = binary.AppendUvarint(dst, uint64(len(p.Metadata)))
	for _, k := range slices.Sorted(maps.Keys(p.Metadata)) {
		dst = AppendString(dst, k)
		dst = AppendString(dst, p.Metadata[k])
	}
	return dst
}

// Size is about what it takes in an answer.
func (p *Provenance) Size() int {
	n := len(p.Principal) + len(p.TraceID)
	for k, v := range p.Metadata { // a sum
		n += len(k) + len(v)
	}
	return n
}

func ParseEventRow(body []byte) (r EventRow, ok bool) {
	d := Decoder{Rest: body}
	n := d.Count(2 + len(Digest{}))
	r.Ops = make([]EventRowOp, n)
	for i := range r.Ops {
		op := &r.Ops[i]
		var good bool
		op.Tombstone, op.Gone, good = ParseFlags(d.Byte())
		op.Version = words.Version(d.Uvarint())
		copy(op.Name[:], d.Bytes(len(op.Name)))
		if !op.Tombstone {
			op.Size = int(d.Uvarint())
			copy(op.Digest[:], d.Bytes(len(op.Digest)))
		}
		d.Failed = d.Failed || !good || op.Size < 0
	}
	r.By.State = ProvenanceState(d.Byte())
	if r.By.State != ProvenanceNone {
		copy(r.By.Digest[:], d.Bytes(len(r.By.Digest)))
	}
	r.CommitTime = d.Time()
	r.TxnID = d.TxnID()
	for i := range r.Ops {
		op := &r.Ops[i]
		if op.Key = d.Str(); op.Key != "" {
			copy(op.Salt[:], d.Bytes(len(op.Salt)))
		}
	}
	switch r.By.State {
	case ProvenanceThere:
		r.By.parse(&d)
	case ProvenanceNone, ProvenanceErased:
	default:
		d.Failed = true
	}
	r.Fields = d.fields(eventFields)
	var ok2 bool
	r.Own, ok2 = r.Fields.own()
	return r, ok2 && r.parseHolds() && d.End()
}

func (p *Provenance) parse(d *Decoder) {
	copy(p.Salt[:], d.Bytes(len(p.Salt)))
	p.Principal, p.TraceID = d.Str(), d.Str()
	p.Metadata = d.Metadata()
}

func (d *Decoder) Metadata() map[string]string {
	n := d.Count(2)
	if n == 0 {
		return nil
	}
	m := make(map[string]string, n)
	last := ""
	for i := range n {
		k := d.Str()
		m[k] = d.Str()
		d.Failed = d.Failed || i > 0 && k <= last
		last = k
	}
	return m
}

// A LogRow is the row of a commit: its id, time and parts. hash is the hash chain up to and
// including it.
type LogRow struct {
	Hash       ChainHash
	CommitTime time.Time
	TxnID      words.TxnID
	Parts      []LogPart // in byte order of the agents
	fields     fields
}

// A LogPart is one agent's part of a commit: an event.
type LogPart struct {
	Digest Digest
	Agent  words.AgentName // a name that is empty was erased
}

// ChainHash is the hash of a commit and of everything before it.
type ChainHash [sha256.Size]byte

func (r *LogRow) Append(dst []byte) []byte {
	return r.fields.append(r.appendNames(r.appendSealed(append(dst, r.Hash[:]...))))
}

// appendSealed appends what the chain covers, besides the hash before it and commit_ts.
func (r *LogRow) appendSealed(dst []byte) []byte {
	dst = AppendTime(dst, r.CommitTime)
	dst = AppendTxnID(dst, r.TxnID)
	dst = binary.AppendUvarint(dst, uint64(len(r.Parts)))
	for i := range r.Parts {
		dst = append(dst, r.Parts[i].Digest[:]...)
	}
	return dst
}

func (r *LogRow) appendNames(dst []byte) []byte {
	for i := range r.Parts {
		dst = AppendString(dst, r.Parts[i].Agent.Namespace)
		dst = AppendString(dst, r.Parts[i].Agent.Agent)
	}
	return dst
}

func ParseLogRow(body []byte) (r LogRow, ok bool) {
	d := Decoder{Rest: body}
	copy(r.Hash[:], d.Bytes(len(r.Hash)))
	r.CommitTime = d.Time()
	r.TxnID = d.TxnID()
	n := d.Count(len(Digest{}) + 2)
	r.Parts = make([]LogPart, n)
	for i := range r.Parts {
		copy(r.Parts[i].Digest[:], d.Bytes(len(Digest{})))
	}
	for i := range r.Parts {
		r.Parts[i].Agent = words.AgentName{Namespace: d.Str(), Agent: d.Str()}
	}
	r.fields = d.fields(logFields)
	return r, d.End()
}

// Chain is the hash of commit ts: SHA-256(previous · commit_ts · time · txn id · digests of
// the parts). The digests cover salted digests of names, values and metadata, so the chain
// covers all that was committed and nothing that an erasure takes out.
func (r *LogRow) Chain(previous ChainHash, ts words.CommitTS) ChainHash {
	var few [256]byte
	b := append(few[:0], previous[:]...)
	b = binary.BigEndian.AppendUint64(b, uint64(ts))
	return sha256.Sum256(r.fields.AppendSealed(r.appendSealed(b)))
}
