package engine

import (
	"crypto/sha256"
	"encoding/binary"
	"maps"
	"slices"
	"time"
)

// The rows of the log. A log row is a commit and is kept for good; of each agent's part of
// the commit it has a digest. The part itself is an event row, which can go.

// An eventRow is one agent's part of a commit, without values. What its digest covers comes
// first (appendSealed). After that come the commit's time and id, which are in its log row,
// too, and the clear text of what is sealed by digests.
type eventRow struct {
	ops        []eventRowOp
	by         provenance
	commitTime time.Time
	txnID      TxnID
	fields     fields
	own        own // of fields
}

type eventRowOp struct {
	key       string // "": its name was erased, and the salt with it
	version   Version
	tombstone bool
	gone      gone       // of the value; the digest does not cover it
	size      int        // bytes of the value, so that readers know before they read it
	digest    Digest     // of the value; zero in a tombstone
	name      Digest     // of namespace, agent and key
	salt      salt       // of the name
	held      recordHold // what the record was written with: see fieldHolds
}

// provenance is what a commit says about itself.
type provenance struct {
	state              provenanceState
	digest             Digest // of the rest, when there is any
	salt               salt
	principal, traceID string
	metadata           map[string]string
}

type provenanceState byte

const (
	provenanceNone   provenanceState = 0
	provenanceThere  provenanceState = 1
	provenanceErased provenanceState = 1 | provenanceState(goneErased) // the digest is there
)

// flagMask takes from the flags of an event row those that may change: that a value or the
// provenance is gone.
type flagMask byte

const (
	sealedFlags flagMask = 1 // flagTombstone, provenanceThere
	allFlags    flagMask = 0xff
)

func (r *eventRow) append(dst []byte) []byte {
	return r.appendClear(r.appendSealed(dst, allFlags))
}

// appendSealed appends what the digest of the part covers. flags are those that it shows:
// all of them in a row, sealedFlags for the digest.
func (r *eventRow) appendSealed(dst []byte, flags flagMask) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(r.ops)))
	for i := range r.ops {
		op := &r.ops[i]
		dst = append(dst, flagsOf(op.tombstone, op.gone)&byte(flags))
		dst = binary.AppendUvarint(dst, uint64(op.version))
		dst = append(dst, op.name[:]...)
		if !op.tombstone {
			dst = binary.AppendUvarint(dst, uint64(op.size))
			dst = append(dst, op.digest[:]...)
		}
	}
	dst = append(dst, byte(r.by.state)&byte(flags))
	if r.by.state != provenanceNone {
		dst = append(dst, r.by.digest[:]...)
	}
	return dst
}

func (r *eventRow) appendClear(dst []byte) []byte {
	dst = appendTime(dst, r.commitTime)
	dst = appendTxnID(dst, r.txnID)
	for i := range r.ops {
		op := &r.ops[i]
		if dst = appendString(dst, op.key); op.key != "" {
			dst = append(dst, op.salt[:]...)
		}
	}
	if r.by.state == provenanceThere {
		dst = r.by.append(dst)
	}
	return r.fields.append(dst)
}

// digest is the digest of the part, which its log row has.
func (r *eventRow) digest() Digest {
	return digestOf(r.fields.appendSealed(r.appendSealed(nil, sealedFlags)))
}

// append appends the clear text, which begins with its salt: what the digest is of.
func (p *provenance) append(dst []byte) []byte {
	dst = append(dst, p.salt[:]...)
	dst = appendString(appendString(dst, p.principal), p.traceID)
	dst = binary.AppendUvarint(dst, uint64(len(p.metadata)))
	for _, k := range slices.Sorted(maps.Keys(p.metadata)) {
		dst = appendString(dst, k)
		dst = appendString(dst, p.metadata[k])
	}
	return dst
}

// size is about what it takes in an answer.
func (p *provenance) size() int {
	n := len(p.principal) + len(p.traceID)
	for k, v := range p.metadata { // a sum
		n += len(k) + len(v)
	}
	return n
}

func parseEventRow(body []byte) (r eventRow, ok bool) {
	d := decoder{rest: body}
	n := d.count(2 + len(Digest{}))
	r.ops = make([]eventRowOp, n)
	for i := range r.ops {
		op := &r.ops[i]
		var good bool
		op.tombstone, op.gone, good = parseFlags(d.byte())
		op.version = Version(d.uvarint())
		copy(op.name[:], d.bytes(len(op.name)))
		if !op.tombstone {
			op.size = int(d.uvarint())
			copy(op.digest[:], d.bytes(len(op.digest)))
		}
		d.failed = d.failed || !good || op.size < 0
	}
	r.by.state = provenanceState(d.byte())
	if r.by.state != provenanceNone {
		copy(r.by.digest[:], d.bytes(len(r.by.digest)))
	}
	r.commitTime = d.time()
	r.txnID = d.txnID()
	for i := range r.ops {
		op := &r.ops[i]
		if op.key = d.string(); op.key != "" {
			copy(op.salt[:], d.bytes(len(op.salt)))
		}
	}
	switch r.by.state {
	case provenanceThere:
		r.by.parse(&d)
	case provenanceNone, provenanceErased:
	default:
		d.failed = true
	}
	r.fields = d.fields(eventFields)
	var ok2 bool
	r.own, ok2 = r.fields.own()
	return r, ok2 && r.parseHolds() && d.end()
}

func (p *provenance) parse(d *decoder) {
	copy(p.salt[:], d.bytes(len(p.salt)))
	p.principal, p.traceID = d.string(), d.string()
	p.metadata = d.metadata()
}

func (d *decoder) metadata() map[string]string {
	n := d.count(2)
	if n == 0 {
		return nil
	}
	m := make(map[string]string, n)
	last := ""
	for i := range n {
		k := d.string()
		m[k] = d.string()
		d.failed = d.failed || i > 0 && k <= last
		last = k
	}
	return m
}

// A logRow is the row of a commit: its id, time and parts. hash is the hash chain up to and
// including it.
type logRow struct {
	hash       chainHash
	commitTime time.Time
	txnID      TxnID
	parts      []logPart // in byte order of the agents
	fields     fields
}

// A logPart is one agent's part of a commit: an event.
type logPart struct {
	digest Digest
	agent  AgentName // a name that is empty was erased
}

// chainHash is the hash of a commit and of everything before it.
type chainHash [sha256.Size]byte

func (r *logRow) append(dst []byte) []byte {
	return r.fields.append(r.appendNames(r.appendSealed(append(dst, r.hash[:]...))))
}

// appendSealed appends what the chain covers, besides the hash before it and commit_ts.
func (r *logRow) appendSealed(dst []byte) []byte {
	dst = appendTime(dst, r.commitTime)
	dst = appendTxnID(dst, r.txnID)
	dst = binary.AppendUvarint(dst, uint64(len(r.parts)))
	for i := range r.parts {
		dst = append(dst, r.parts[i].digest[:]...)
	}
	return dst
}

func (r *logRow) appendNames(dst []byte) []byte {
	for i := range r.parts {
		dst = appendString(dst, r.parts[i].agent.Namespace)
		dst = appendString(dst, r.parts[i].agent.Agent)
	}
	return dst
}

func parseLogRow(body []byte) (r logRow, ok bool) {
	d := decoder{rest: body}
	copy(r.hash[:], d.bytes(len(r.hash)))
	r.commitTime = d.time()
	r.txnID = d.txnID()
	n := d.count(len(Digest{}) + 2)
	r.parts = make([]logPart, n)
	for i := range r.parts {
		copy(r.parts[i].digest[:], d.bytes(len(Digest{})))
	}
	for i := range r.parts {
		r.parts[i].agent = AgentName{Namespace: d.string(), Agent: d.string()}
	}
	r.fields = d.fields(logFields)
	return r, d.end()
}

// chain is the hash of commit ts: SHA-256(previous · commit_ts · time · txn id · digests of
// the parts). The digests cover salted digests of names, values and metadata, so the chain
// covers all that was committed and nothing that an erasure takes out.
func (r *logRow) chain(previous chainHash, ts CommitTS) chainHash {
	var few [256]byte
	b := append(few[:0], previous[:]...)
	b = binary.BigEndian.AppendUint64(b, uint64(ts))
	return sha256.Sum256(r.fields.appendSealed(r.appendSealed(b)))
}
