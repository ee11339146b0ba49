package engine

import (
	"crypto/sha256"
	"encoding/binary"
	"time"

	"statehouse.dev/statehouse/engine/layout"
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
	d := layout.Decoder{Rest: body}
	flags := d.Byte()
	r.tombstone = flags&layout.FlagTombstone != 0
	r.commitTS = CommitTS(d.Uvarint())
	r.commitTime = d.Time()
	r.value = d.Rest
	return r, !d.Failed && flags&^layout.FlagTombstone == 0 && (!r.tombstone || len(r.value) == 0)
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
	digest    layout.Digest // of the value alone
}

func parseEventRow1(body []byte) (r eventRow1, ok bool) {
	d := layout.Decoder{Rest: body}
	r.txnID = d.TxnID()
	r.commitTime = d.Time()
	r.metadata = d.Metadata()
	n := d.Count(3)
	r.ops = make([]eventRowOp1, 0, n)
	for range n {
		flags := d.Byte()
		op := eventRowOp1{tombstone: flags&layout.FlagTombstone != 0, key: d.Str(), version: Version(d.Uvarint())}
		if !op.tombstone {
			op.size = int(d.Uvarint())
			copy(op.digest[:], d.Bytes(len(op.digest)))
		}
		d.Failed = d.Failed || flags&^layout.FlagTombstone != 0 || op.size < 0
		r.ops = append(r.ops, op)
	}
	return r, d.End() && len(r.ops) > 0
}

type logRow1 struct {
	hash       layout.ChainHash
	commitTime time.Time
	txnID      TxnID
	agents     []AgentName // in byte order
}

func parseLogRow1(body []byte) (r logRow1, ok bool) {
	d := layout.Decoder{Rest: body}
	copy(r.hash[:], d.Bytes(len(r.hash)))
	r.commitTime = d.Time()
	r.txnID = d.TxnID()
	n := d.Count(2)
	r.agents = make([]AgentName, 0, n)
	for range n {
		r.agents = append(r.agents, AgentName{Namespace: d.Str(), Agent: d.Str()})
	}
	return r, d.End()
}

// chain1 is the hash chain of format 1: SHA-256(previous · commit_ts · log row without hash ·
// event rows), with the length of each row before it.
func chain1(previous layout.ChainHash, ts CommitTS, logBody []byte, eventBodies [][]byte) layout.ChainHash {
	h := sha256.New()
	var n [8]byte
	number := func(v int) { binary.BigEndian.PutUint64(n[:], uint64(v)); h.Write(n[:]) }
	h.Write(previous[:])
	number(int(ts))
	unhashed := logBody[len(layout.ChainHash{}):]
	number(len(unhashed))
	h.Write(unhashed)
	for _, b := range eventBodies {
		number(len(b))
		h.Write(b)
	}
	var sum layout.ChainHash
	h.Sum(sum[:0])
	return sum
}
