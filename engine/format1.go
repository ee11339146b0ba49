package engine

import (
	"crypto/sha256"
	"encoding/binary"
	"time"
)

// Format 1, as far as a migration reads it (migrate.go). Keys, outcomes, agents, namespaces and
// the floor of the outcomes are as in format 2. docs/FORMAT.md has the tables.

const format1 = 1

type recordRow1 struct {
	tombstone  bool
	commitTS   CommitTS
	commitTime time.Time
	value      []byte // to the end of the row
}

func parseRecordRow1(body []byte) (r recordRow1, ok bool) {
	d := decoder{rest: body}
	flags := d.byte()
	r.tombstone = flags&flagTombstone != 0
	r.commitTS = CommitTS(d.uvarint())
	r.commitTime = d.time()
	r.value = d.rest
	return r, !d.failed && flags&^flagTombstone == 0 && (!r.tombstone || len(r.value) == 0)
}

type eventRow1 struct {
	txnID      TxnID
	commitTime time.Time
	metadata   map[string]string
	ops        []eventRowOp1
}

type eventRowOp1 struct {
	key       string
	version   Version
	tombstone bool
	size      int
	digest    Digest // of the value alone
}

func parseEventRow1(body []byte) (r eventRow1, ok bool) {
	d := decoder{rest: body}
	r.txnID = d.txnID()
	r.commitTime = d.time()
	r.metadata = d.metadata()
	n := d.count(3)
	r.ops = make([]eventRowOp1, 0, n)
	for range n {
		flags := d.byte()
		op := eventRowOp1{tombstone: flags&flagTombstone != 0, key: d.string(), version: Version(d.uvarint())}
		if !op.tombstone {
			op.size = int(d.uvarint())
			copy(op.digest[:], d.bytes(len(op.digest)))
		}
		d.failed = d.failed || flags&^flagTombstone != 0 || op.size < 0
		r.ops = append(r.ops, op)
	}
	return r, d.end() && len(r.ops) > 0
}

type logRow1 struct {
	hash       chainHash
	commitTime time.Time
	txnID      TxnID
	agents     []AgentName // in byte order
}

func parseLogRow1(body []byte) (r logRow1, ok bool) {
	d := decoder{rest: body}
	copy(r.hash[:], d.bytes(len(r.hash)))
	r.commitTime = d.time()
	r.txnID = d.txnID()
	n := d.count(2)
	r.agents = make([]AgentName, 0, n)
	for range n {
		r.agents = append(r.agents, AgentName{Namespace: d.string(), Agent: d.string()})
	}
	return r, d.end()
}

// chain1 is the hash chain of format 1: SHA-256(previous · commit_ts · log row without hash ·
// event rows), with the length of each row before it.
func chain1(previous chainHash, ts CommitTS, logBody []byte, eventBodies [][]byte) chainHash {
	h := sha256.New()
	var n [8]byte
	number := func(v int) { binary.BigEndian.PutUint64(n[:], uint64(v)); h.Write(n[:]) }
	h.Write(previous[:])
	number(int(ts))
	unhashed := logBody[len(chainHash{}):]
	number(len(unhashed))
	h.Write(unhashed)
	for _, b := range eventBodies {
		number(len(b))
		h.Write(b)
	}
	var sum chainHash
	h.Sum(sum[:0])
	return sum
}
