package state

import (
	"encoding/json"
	"strconv"
	"time"
)

// CommitTS is a place in the total order of commits: dense, from 1. Zero is before the
// first commit.
type CommitTS uint64

// Version counts the writes and deletes of one key: 1, 2, 3…
type Version uint64

func (ts CommitTS) String() string { return strconv.FormatUint(uint64(ts), 10) }
func (v Version) String() string   { return strconv.FormatUint(uint64(v), 10) }

// RecordName names a record. An empty namespace is the client's own.
type RecordName struct{ Namespace, Agent, Key string }

// Record is one version of a record.
type Record struct {
	RecordName
	Exists     bool            // false: never written, or deleted
	Value      json.RawMessage // a JSON object
	Bytes      *Bytes          // in place of Value
	Version    Version
	CommitTS   CommitTS
	CommitTime time.Time
	// ReadTS is the point of the order that was read; 0 from GetAtVersion.
	ReadTS CommitTS
	// ExpiresAt is when it expires, as far as that was known when it was read. Zero: never.
	ExpiresAt time.Time
	// DueAt is when it is due, or became it (DueIn). Zero: it is not. Only of Get, as of now.
	DueAt time.Time
	// Of a batch, scan or list as of a moment: Value is not there any more. It was erased, or
	// dropped by the retention of old versions.
	Erased, Pruned bool
}

// Write is one key set or, as a tombstone, deleted. Put and Delete make them.
type Write struct {
	RecordName
	Value     json.RawMessage // a JSON object
	Bytes     *Bytes          // in place of Value
	Tombstone bool
	// Expected, when set, is the version that the key must be at before the commit;
	// 0: the key does not exist.
	Expected *Version
	// TTL is how long after the commit the record expires; 0: it does not. It is of a value, and counts in
	// milliseconds.
	TTL time.Duration
	// Due is when the record is due, and can be claimed; nil: as before. It is of a value that is set.
	Due *Due

	// What the daemon does with what is there; none: it sets the value, or deletes. Increment,
	// Merge, Append and PutIfAbsent make such writes.
	Sum      *Sum // added to a number in the value
	Patch    bool // Value is a merge patch
	Append   bool // Key is the prefix of a sequence
	IfAbsent bool // nothing, if the key exists
	// act is an operation on no value: on a lease, on many keys, or a fork (Acting).
	act Act
}

// Sum is what an increment adds, and where.
type Sum struct {
	Pointer string // a JSON Pointer (RFC 6901)
	Delta   json.Number
	// Least and Most, unless empty, refuse a sum below or above.
	Least, Most json.Number
}

// Bytes is a value that is not JSON.
type Bytes struct {
	ContentType string // a media type, such as image/png; "": application/octet-stream
	Data        []byte
}

// MarshalJSON is how those who know JSON only have bytes: {"$bytes": base64, "$content_type": text}.
func (b Bytes) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		Data        []byte `json:"$bytes"`
		ContentType string `json:"$content_type"`
	}{b.data(), b.ContentType})
}

// For is w that expires a time after its commit.
func (w Write) For(ttl time.Duration) Write {
	w.TTL = ttl
	return w
}

// IfVersion is w on the condition that the key is at version v; 0: that it does
// not exist.
func (w Write) IfVersion(v Version) Write {
	w.Expected = &v
	return w
}

// KeyPrecondition holds when the key is at this version.
type KeyPrecondition struct {
	RecordName
	Expected Version // 0: does not exist
}

// HeadPrecondition holds when the agent's last commit is this one.
type HeadPrecondition struct {
	Namespace, Agent string
	Expected         CommitTS // 0: no commit
}

// Conditions is what a commit carries besides its writes.
type Conditions struct {
	Keys     []KeyPrecondition
	Heads    []HeadPrecondition
	Leases   []LeasePrecondition
	Metadata map[string]string // provenance, returned by replay, watch and history
}

// Batch is a transaction for Transact.
type Batch struct {
	// TxnID is the transaction's id: 1 to 128 printable ASCII characters without
	// space. Empty: Transact makes one. Set it to send the same batch again later.
	TxnID  string
	Writes []Write
	Conditions
}

// Commit is what became durable.
type Commit struct {
	TxnID      string
	CommitTS   CommitTS
	CommitTime time.Time
	// Versions has the version that each key got. From Transact: one for each write, in
	// their order. From Txn.Commit: one for each key, agent by agent in byte order, and
	// within an agent in the order first staged.
	Versions []KeyVersion
	// Results has what came of each operation, in their order, if the daemon evaluated any.
	Results []Result
}

// KeyVersion is the version that a commit gave a key.
type KeyVersion struct {
	RecordName
	Version Version
}

// TxnState is the state of a transaction.
type TxnState string

const (
	TxnOpen      TxnState = "open"
	TxnCommitted TxnState = "committed"
	TxnAborted   TxnState = "aborted"
	TxnExpired   TxnState = "expired"
	TxnNeverSeen TxnState = "never seen" // and will not commit unless it is sent (again)
	TxnTooOld    TxnState = "too old"    // outcomes of that age are no longer kept
)

// TxnOutcome is a transaction's state and, when committed, its commit.
type TxnOutcome struct {
	State  TxnState
	Commit Commit
}

// Event is a commit as read from the log, reduced to what the query selects.
type Event struct {
	CommitTS CommitTS
	// Epoch of the store, in which CommitTS is this commit: a cursor is both. Empty when the
	// daemon is older than epochs.
	Epoch      string
	CommitTime time.Time
	TxnID      string
	Metadata   map[string]string
	// Who committed it, and the trace that it was part of; "": not known.
	Principal, TraceID string
	// Cause is why the daemon made the commit by itself: "expired", "lapsed", "due"; "": it did not.
	Cause      string
	Operations []Operation
	// Mark: not a commit; everything up to CommitTS has been seen. Watch yields these if
	// WatchQuery.Marks is set.
	Mark bool
}

// Operation is one write or delete of an Event.
type Operation struct {
	RecordName
	Version Version
	Deleted bool
	Value   json.RawMessage
	Bytes   *Bytes // in place of Value
	// As in Record. The delete that an erasure leaves is Erased, too.
	Erased, Pruned bool
	// Lease is set if it is on the lease Key, and no record: acquired, or ended, which is a delete. Only
	// queries with AllOperations or Lease have these.
	Lease *LeaseChange
	// Due: it is on what becomes of record Key as one that is due, and no record: it was set, became due
	// (Event.Cause), was claimed or released; a delete ends that. Only queries with AllOperations or Due have
	// these.
	Due bool
	// Fork is set if the agent began here as a fork of this; there is no key. Only queries with
	// AllOperations have it.
	Fork *Origin
	// Many: each key that begins with this one, which may be empty, and existed, was deleted. Deletes of more
	// keys than a transaction may change are told like this, to queries with AllOperations; to others key by
	// key.
	Many bool
	// RestoredTo is set if instead each key that begins with this one got the state that it had after this
	// commit, unless it was as then. Restores of so many keys are told like such deletes.
	RestoredTo *CommitTS
}

// LeaseChange is what an operation on a lease says.
type LeaseChange struct {
	Holder string
	TTL    time.Duration // as it was acquired
}

// HistoryEntry is one version of a key.
type HistoryEntry struct {
	Version    Version
	CommitTS   CommitTS
	CommitTime time.Time
	TxnID      string
	Metadata   map[string]string
	// Who committed it, and the trace that it was part of; "": not known.
	Principal, TraceID string
	Cause              string // as in Event
	Deleted            bool
	Value              json.RawMessage
	Bytes              *Bytes // in place of Value
	// As in Operation.
	Erased, Pruned bool
}

// Agent is an agent with its first and last commit.
type Agent struct {
	Namespace, Agent string
	First, Head      CommitTS
	HeadTime         time.Time // commit_time of Head
}

// Refusal is how often something was refused in the last hour. What is not known, or was left out where there
// were too many kinds, is empty.
type Refusal struct {
	Namespace           string
	Agent, Key, Lease   string // what was in the way, of a conflict
	Principal, Method   string // who asked, for what
	Code, Limit         string // Code as the contract has it: CONFLICT; the limit that was reached, if it has a name
	Count               uint64
	FirstTime, LastTime time.Time // the first to the minute
}

// Stream is a watch, replay or session that a daemon has open.
type Stream struct {
	Kind                        string // "watch", "replay" or "session"
	Namespace, Agent, KeyPrefix string // Agent "": all agents of the namespace
	Lease                       string // of a watch of a lease
	Due                         bool   // of a watch of what is due
	Principal                   string
	Peer                        string // the address that it comes from, for who may administer all
	BeginTime                   time.Time
	Cursor                      CommitTS // how far it has looked
	Lag                         uint64   // how many commits there are after that, whether or not they concern it
}

// At is a point of the order to read at. The zero value is now.
type At struct {
	commit *CommitTS
	time   *time.Time
	least  CommitTS
	stale  time.Duration
}

// AtCommit is the point after commit ts.
func AtCommit(ts CommitTS) At { return At{commit: &ts} }

// AtTime is the point after the last commit whose time is not later than t.
func AtTime(t time.Time) At { return At{time: &t} }

// NotBefore is now, but not before commit ts.
func NotBefore(ts CommitTS) At { return At{least: ts} }

// AtMostStale is a, or what a daemon has that is behind by no more than d, when it is one of several: it answers at once,
// whoever leads. It is of no consequence for a point of the past.
func (a At) AtMostStale(d time.Duration) At {
	a.stale = d
	return a
}

// String shows the point as the contract's clients write it: a commit_ts, a time in
// UTC, or nothing for now.
func (a At) String() string {
	switch {
	case a.commit != nil:
		return a.commit.String()
	case a.time != nil:
		return a.time.UTC().Format(time.RFC3339Nano)
	}
	return ""
}

// Status is the position, size and condition of the store.
type Status struct {
	Published      CommitTS // the last commit that readers may see
	LastCommitTime time.Time
	OpenTxns       uint64
	DiskUsed       uint64 // bytes
	DiskFree       uint64 // bytes
	WritesRefused  string // empty while writes are accepted, else why not
	Durable        bool   // false: acknowledged without fsync, or in memory
	StoreID        string
	Format         uint32
	Sessions       uint64 // streams that carry requests of many callers
	InSessions     uint64 // requests under way in them
	// Epoch in which commit_ts are those commits. It began after EpochBegan: 0 if the store was never
	// restored.
	Epoch      string
	EpochBegan CommitTS
	Archive    *Archive // nil: nothing is archived
}

// Archive is how the continuous archive of a store fares.
type Archive struct {
	Archived CommitTS      // everything up to here is in it
	Behind   uint64        // commits that are not
	Lag      time.Duration // since the first of them
	Problem  string        // of the last try; empty: it ended well
}

// Build names a build of the daemon.
type Build struct{ Version, GitSHA string }

// Result is what came of one operation.
type Result struct {
	RecordName // of an append with the key that it got
	Version    Version
	// Value is the record's after the commit, of an operation that changed a value or found one. Of several on one
	// key the last has it. Nil: it is too large to be answered, or has been erased or pruned since.
	Value json.RawMessage
	Bytes *Bytes // in place of Value
	// Keys is how many keys were changed, of an operation on many.
	Keys uint64
	// Existed, of PutIfAbsent: there was a record, which Version and Value are of.
	Existed bool
	// Claimed, of Claim: what it took.
	Claimed []DueRecord
}

// Record is the record as the operation at i, which was w, has left or found it.
func (c *Commit) Record(i int, w Write) Record {
	r := &c.Results[i]
	rec := Record{RecordName: r.RecordName, Exists: true, Value: r.Value, Bytes: r.Bytes, Version: r.Version}
	if r.Existed {
		return rec
	}
	if w.Append || w.IfAbsent {
		rec.Value, rec.Bytes = w.Value, w.Bytes
	}
	rec.CommitTS, rec.CommitTime = c.CommitTS, c.CommitTime
	return rec
}

// Origin is what an agent was forked from.
type Origin struct {
	Namespace, Agent string
	CommitTS         CommitTS // the commit after which the state was that of the fork
	ForkedTS         CommitTS // the fork's own first commit
	ForkedAt         time.Time
}

// Lineage is an agent, what it was forked from, and what was forked from it.
type Lineage struct {
	Agent
	From  *Origin // nil: it is no fork
	Forks []Agent // in the order in which they were made; at most 1,000
}

// LeasePrecondition holds while the lease is held under the token. What is refused for it fails with
// ErrLeaseLost.
type LeasePrecondition struct {
	Namespace, Agent, Lease string
	Token                   Version
}

// HeldLease is a lease that somebody holds.
type HeldLease struct {
	Namespace, Agent, Name string
	Token                  Version
	Holder                 string
	TTL                    time.Duration // as it was acquired
	Deadline               time.Time     // by commit times, unless it is renewed
	AcquiredTS             CommitTS
	AcquiredAt             time.Time
}
