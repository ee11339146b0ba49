package engine

import (
	"time"

	"statehouse.dev/statehouse/engine/layout"
)

// Write is one key set, or a tombstone.
type Write struct {
	Name  RecordName
	Value []byte // JSON text, see package jsonform, unless Bytes is set; unused in a tombstone
	// SentBytes is the value's size in the encoding it was sent in, which is what
	// Limits.ValueBytes bounds; 0: it was sent as Value.
	SentBytes int
	Tombstone bool
	// TTL is how long after its commit's time the record expires; 0: it does not. Not of a tombstone.
	TTL time.Duration
	// Expected, when set, is the version the key must be at before the commit; 0:
	// the key does not exist.
	Expected *Version
	// Bytes says that Value is not JSON but bytes, of a content type.
	Bytes       bool
	ContentType string
	// Eval, of Transact only, is what the writer is to do with what is there.
	Eval Evaluation

	normal bool // Value was checked and is in its normal form
}

// KeyPrecondition holds when the key is at this version.
type KeyPrecondition struct {
	Name     RecordName
	Expected Version // 0: does not exist
}

// HeadPrecondition holds when the agent's last commit is this one.
type HeadPrecondition struct {
	Agent    AgentName
	Expected CommitTS // 0: no commit
}

// Conditions is what a commit carries besides its writes.
type Conditions struct {
	Keys     []KeyPrecondition
	Heads    []HeadPrecondition
	Leases   []LeasePrecondition
	Metadata map[string]string // provenance, returned by replay, watch and history
	// Who commits, and the trace that it is part of: returned with the metadata.
	Principal, TraceID string
	// Permit, unless nil, is asked when the commit's turn comes, and its error refuses it: what
	// let the request in may have been taken away since. It must not wait.
	Permit func() error
	// Share names whose share of the writer's time it takes; see line.
	Share string

	// Of Transact only: a transaction that Begin opened has its own.
	Reads   *ReadSet
	Timeout *time.Duration // after which its turn is too late; nil: none is

	// Phases, unless nil, is filled in when the commit is answered, if there is an Observer.
	Phases *Phases
}

// ReadSet is what a transaction read that its client holds. At the commit's place in the
// order it would read the same.
type ReadSet struct {
	Snapshot CommitTS // that it was read after
	Keys     []ReadKey
	Ranges   []ReadRange
}

// ReadKey is a key and the version that was read; 0: it was never written.
type ReadKey struct {
	Name RecordName
	Seen Version
}

// ReadRange is a stretch of an agent's keys that was listed: those with the prefix that
// are within the bounds, which are inclusive where they are not empty.
type ReadRange struct {
	Agent               AgentName
	Prefix, First, Last string
}

// KeyVersion is the version that a commit gave a key.
type KeyVersion struct {
	Name    RecordName
	Version Version
}

// CommitResult is the answer to a commit, the first time and every later one (G6).
type CommitResult struct {
	CommitTS   CommitTS
	CommitTime time.Time
	Versions   []KeyVersion // agent by agent in byte order, an agent's keys as first staged
	// Results has one for each operation of a Transact, in their order, if the writer evaluated any.
	Results []OpResult
}

// Record is one version of a record.
type Record struct {
	Name       RecordName
	Exists     bool   // false: never written, or a tombstone
	Erased     bool   // the value was erased, or the tombstone is an erasure's
	Pruned     bool   // the value was dropped by the retention of old versions
	Value      []byte // JSON text or bytes, see AsBytes; other readers may have it, too: not to be changed
	Version    Version
	CommitTS   CommitTS
	CommitTime time.Time
	// ExpiresAt is when it expires, as far as that was known when it was read; of a version that is
	// not the current one, when it would have, as it was written. Zero: never.
	ExpiresAt time.Time

	hold layout.RecordHold
}

// Event is a commit as read from the log, reduced to what the Filter selects.
type Event struct {
	CommitTS   CommitTS
	CommitTime time.Time
	TxnID      TxnID
	Metadata   map[string]string
	// Who committed it, and the trace that it was part of; "": not known.
	Principal, TraceID string
	Cause              Cause // why the daemon made it by itself; 0: it did not
	Ops                []EventOp
	// Rest is where to go on when more of the commit follows in the next event; nil: this is all.
	Rest *Inside
}

// Inside is a place among the operations that the acts of a commit come to.
type Inside struct {
	CommitTS CommitTS  // of the commit; 0: nowhere
	Agent    AgentName // whose act was read last; "": what else the commit did was
	Key      string    // up to here
}

// EventOp is one write or tombstone of a commit.
type EventOp struct {
	Name      RecordName
	Version   Version
	Tombstone bool
	Value     []byte
	// Erased and Pruned are as in Record. An operation whose name was erased, too, has no key.
	Erased, Pruned bool
	// Fork: the operation is the act that made the agent a fork. It has no key.
	Fork *Lineage
	// Many: the operation is the act that deleted each key which begins with that of Name, and existed; or
	// that gave each the state it had after a commit, if that is not nil.
	Many       bool
	RestoredTo *CommitTS
}

// TxnState is the state of a transaction.
type TxnState int

const (
	TxnNeverSeen TxnState = iota
	TxnOpen
	TxnCommitted
	TxnAborted
	TxnExpired
	// TxnTooOld: outcomes of that age are no longer kept.
	TxnTooOld
)

func (s TxnState) String() string {
	return [...]string{"never seen", "open", "committed", "aborted", "expired", "too old"}[s]
}

// TxnOutcome is a transaction's state and, when committed, its result.
type TxnOutcome struct {
	State  TxnState
	Result CommitResult
}
