package engine

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"hash/crc32"
	"maps"
	"slices"
	"time"
)

// Rows are the values under the keys of keys.go; docs/FORMAT.md has the byte tables.
// Each ends in a CRC-32C over its key and its body, which fails for a row that is corrupt
// or was read from the wrong place (G8).

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

const sealSize = 4

func rowSum(key, body []byte) uint32 {
	return crc32.Update(crc32.Checksum(key, castagnoli), castagnoli, body)
}

// sealRow appends the checksum that openRow checks.
func sealRow(key, body []byte) []byte {
	return binary.LittleEndian.AppendUint32(body, rowSum(key, body))
}

// openRow checks a row and returns its body.
func openRow(key, row []byte) ([]byte, error) {
	if len(row) < sealSize {
		return nil, corruptRow(key, "too short")
	}
	body := row[:len(row)-sealSize]
	if binary.LittleEndian.Uint32(row[len(body):]) != rowSum(key, body) {
		return nil, corruptRow(key, "checksum mismatch")
	}
	return body, nil
}

func corruptRow(key []byte, what string) error {
	return failf(ErrDataLoss, "damaged row %q: %s", key, what).with("row", hex.EncodeToString(key))
}

// Digest stands for a value, or for a commit's operations, where only equality matters:
// the first 16 bytes of SHA-256.
type Digest [16]byte

func digestOf(b []byte) Digest {
	sum := sha256.Sum256(b)
	return Digest(sum[:16])
}

// chainHash is the hash of a commit and of everything before it.
type chainHash [sha256.Size]byte

// A recordRow is one version of a record.
type recordRow struct {
	tombstone  bool
	commitTS   CommitTS
	commitTime time.Time
	value      []byte
}

const flagTombstone = 1

func (r *recordRow) append(dst []byte) []byte {
	var flags byte
	if r.tombstone {
		flags |= flagTombstone
	}
	dst = append(dst, flags)
	dst = binary.AppendUvarint(dst, uint64(r.commitTS))
	dst = appendTime(dst, r.commitTime)
	return append(dst, r.value...)
}

// parseRecordRow parses body; the row's value aliases it.
func parseRecordRow(body []byte) (r recordRow, ok bool) {
	d := decoder{rest: body}
	flags := d.byte()
	r.tombstone = flags&flagTombstone != 0
	r.commitTS = CommitTS(d.uvarint())
	r.commitTime = d.time()
	r.value = d.rest
	return r, !d.failed && flags&^flagTombstone == 0 && (!r.tombstone || len(r.value) == 0)
}

// An eventRow is one agent's part of a commit, without values.
type eventRow struct {
	txnID      TxnID
	commitTime time.Time
	metadata   map[string]string
	ops        []eventRowOp
}

type eventRowOp struct {
	key       string
	version   Version
	tombstone bool
	size      int    // bytes of the value, so that readers know before they read it
	digest    Digest // of the value; zero in a tombstone
}

func (r *eventRow) append(dst []byte) []byte {
	dst = appendTxnID(dst, r.txnID)
	dst = appendTime(dst, r.commitTime)
	dst = binary.AppendUvarint(dst, uint64(len(r.metadata)))
	for _, k := range slices.Sorted(maps.Keys(r.metadata)) {
		dst = appendString(dst, k)
		dst = appendString(dst, r.metadata[k])
	}
	dst = binary.AppendUvarint(dst, uint64(len(r.ops)))
	for i := range r.ops {
		op := &r.ops[i]
		var flags byte
		if op.tombstone {
			flags |= flagTombstone
		}
		dst = append(dst, flags)
		dst = appendString(dst, op.key)
		dst = binary.AppendUvarint(dst, uint64(op.version))
		if !op.tombstone {
			dst = binary.AppendUvarint(dst, uint64(op.size))
			dst = append(dst, op.digest[:]...)
		}
	}
	return dst
}

func parseEventRow(body []byte) (r eventRow, ok bool) {
	d := decoder{rest: body}
	r.txnID = d.txnID()
	r.commitTime = d.time()
	if n := d.count(2); n > 0 {
		r.metadata = make(map[string]string, n)
		last := ""
		for i := range n {
			k := d.string()
			r.metadata[k] = d.string()
			d.failed = d.failed || i > 0 && k <= last
			last = k
		}
	}
	n := d.count(3)
	r.ops = make([]eventRowOp, 0, n)
	for range n {
		flags := d.byte()
		op := eventRowOp{tombstone: flags&flagTombstone != 0, key: d.string(), version: Version(d.uvarint())}
		if !op.tombstone {
			op.size = int(d.uvarint())
			copy(op.digest[:], d.bytes(len(op.digest)))
		}
		d.failed = d.failed || flags&^flagTombstone != 0 || op.size < 0
		r.ops = append(r.ops, op)
	}
	return r, !d.failed && len(d.rest) == 0
}

// A logRow is the row of a commit: its id, time and agents, whose events it has. hash is
// the hash chain up to and including it.
type logRow struct {
	hash       chainHash
	commitTime time.Time
	txnID      TxnID
	agents     []AgentName // in byte order
}

func (r *logRow) append(dst []byte) []byte {
	return r.appendUnhashed(append(dst, r.hash[:]...))
}

func (r *logRow) appendUnhashed(dst []byte) []byte {
	dst = appendTime(dst, r.commitTime)
	dst = appendTxnID(dst, r.txnID)
	dst = binary.AppendUvarint(dst, uint64(len(r.agents)))
	for _, a := range r.agents {
		dst = appendString(dst, a.Namespace)
		dst = appendString(dst, a.Agent)
	}
	return dst
}

func parseLogRow(body []byte) (r logRow, ok bool) {
	d := decoder{rest: body}
	copy(r.hash[:], d.bytes(len(r.hash)))
	r.commitTime = d.time()
	r.txnID = d.txnID()
	n := d.count(2)
	r.agents = make([]AgentName, 0, n)
	for range n {
		r.agents = append(r.agents, AgentName{Namespace: d.string(), Agent: d.string()})
	}
	return r, !d.failed && len(d.rest) == 0
}

// chain computes the hash of commit ts from the hash before it and the rows'
// bytes: SHA-256(previous · commit_ts · log row without hash · event rows). The
// event rows hold digests of the values, so the chain covers values, too.
func chain(previous chainHash, ts CommitTS, unhashedLogRow []byte, eventBodies [][]byte) chainHash {
	h := sha256.New()
	var n [8]byte
	number := func(v int) { binary.BigEndian.PutUint64(n[:], uint64(v)); h.Write(n[:]) }
	h.Write(previous[:])
	number(int(ts))
	number(len(unhashedLogRow))
	h.Write(unhashedLogRow)
	for _, b := range eventBodies {
		number(len(b))
		h.Write(b)
	}
	var sum chainHash
	h.Sum(sum[:0])
	return sum
}

// An outcomeRow answers a commit that is sent again.
type outcomeRow struct {
	commitTS    CommitTS
	fingerprint Digest // of the operations and preconditions
}

func (r *outcomeRow) append(dst []byte) []byte {
	dst = binary.AppendUvarint(dst, uint64(r.commitTS))
	return append(dst, r.fingerprint[:]...)
}

func parseOutcomeRow(body []byte) (r outcomeRow, ok bool) {
	d := decoder{rest: body}
	r.commitTS = CommitTS(d.uvarint())
	copy(r.fingerprint[:], d.bytes(len(r.fingerprint)))
	return r, !d.failed && len(d.rest) == 0
}
