package history

import (
	"encoding/base64"
	"slices"
	"strings"
)

// What agents ask of a store besides reads and writes: operations that the daemon evaluates, leases,
// bytes, expiry, wake-ups, forks, filters and differences.

// Op is what the daemon makes of an operation of a transact when its turn comes. None: a write of the
// value, or a delete.
type Op string

// What is evaluated.
const (
	Append       Op = "append"    // the key is the prefix of a sequence
	IfAbsent     Op = "if_absent" // writes nothing if the key exists
	Increment    Op = "increment"
	Merge        Op = "merge" // the value is the patch
	DeletePrefix Op = "delete_prefix"
	DeleteAgent  Op = "delete_agent"
	Restore      Op = "restore"
	Fork         Op = "fork"
	Acquire      Op = "acquire" // the key names a lease
	Release      Op = "release" // the key names a lease
	Claim        Op = "claim"   // the key is a prefix of due records
	Complete     Op = "complete"
)

// Ops are all of them.
func Ops() []Op {
	return []Op{Append, IfAbsent, Increment, Merge, DeletePrefix, DeleteAgent, Restore, Fork, Acquire, Release, Claim, Complete}
}

// Arguments of an operation of a transact. Which count depends on its Op.
type Arguments struct {
	Pointer string `json:"pointer,omitempty"` // of an increment, with its number
	Delta   string `json:"delta,omitempty"`
	Min     string `json:"min,omitempty"`
	Max     string `json:"max,omitempty"`

	Namespace string  `json:"ns,omitempty"`      // of a fork: what is forked
	Agent     string  `json:"agent,omitempty"`   // of a fork
	At        *uint64 `json:"at,omitempty"`      // of a fork or restore: as of this commit_ts
	AtTime    int64   `json:"at_time,omitempty"` // of a fork or restore: as of this time

	Holder string `json:"holder,omitempty"` // of an acquire or claim
	Token  uint64 `json:"token,omitempty"`  // of a release or complete

	TTL   uint64  `json:"ttl_ms,omitempty"` // of a write: until it expires; of an acquire or claim: until the lease lapses
	DueAt int64   `json:"due_at,omitempty"` // of a write
	DueIn *uint64 `json:"due_in_ms,omitempty"`

	Limit     uint64 `json:"limit,omitempty"`      // of a claim
	AllAgents bool   `json:"all_agents,omitempty"` // of a claim
}

// Result is what came of an operation of a transact.
type Result struct {
	Key     string      `json:"key,omitempty"` // of an append, the one that it got
	Version uint64      `json:"version,omitempty"`
	Value   string      `json:"value,omitempty"` // the record's now
	Inexact bool        `json:"inexact,omitempty"`
	Existed bool        `json:"existed,omitempty"` // of an if_absent: nothing was written
	Keys    uint64      `json:"keys,omitempty"`    // how many it changed
	Lease   *Lease      `json:"lease,omitempty"`   // of an acquire
	Claimed []DueRecord `json:"claimed,omitempty"` // of a claim
}

// DueRecord is a record that a claim took, and the lease that is held on it.
type DueRecord struct {
	Record *Record `json:"record,omitempty"`
	DueAt  int64   `json:"due_at,omitempty"`
	Lease  *Lease  `json:"lease,omitempty"`
}

// Lease is one that is held.
type Lease struct {
	Namespace  string `json:"ns"`
	Agent      string `json:"agent"`
	Lease      string `json:"lease"`
	Token      uint64 `json:"token"`
	Holder     string `json:"holder,omitempty"`
	TTL        uint64 `json:"ttl_ms,omitempty"`
	Deadline   int64  `json:"deadline,omitempty"` // by commit_time, ns since 1970
	AcquiredTS uint64 `json:"acquired_ts,omitempty"`
	AcquiredAt int64  `json:"acquired_at,omitempty"` // ns since 1970
}

// Renewal asks for the lease to be held longer.
type Renewal struct {
	Namespace string `json:"ns"`
	Agent     string `json:"agent"`
	Lease     string `json:"lease"`
	Token     uint64 `json:"token"`
	TTL       uint64 `json:"ttl_ms,omitempty"` // 0: as it was acquired
}

// Renewed is what came of a renewal.
type Renewed struct {
	Lost     bool  `json:"lost,omitempty"`
	Deadline int64 `json:"deadline,omitempty"` // ns since 1970
}

// Refreshed is what came of the refresh of a record's expiry; empty: there is no such record, or it
// does not expire.
type Refreshed struct {
	ExpiresAt int64  `json:"expires_at,omitempty"` // ns since 1970
	Version   uint64 `json:"version,omitempty"`
}

// LeaseChange is what was done to a lease: it was acquired, or with a delete released, or it lapsed.
type LeaseChange struct {
	Holder string `json:"holder,omitempty"`
	TTL    uint64 `json:"ttl_ms,omitempty"`
}

// Act is one operation on all keys of an agent under a prefix.
type Act struct {
	Kind      string `json:"kind"`         // deleted, restored, forked
	Namespace string `json:"ns,omitempty"` // of what was restored or forked
	Agent     string `json:"agent,omitempty"`
	CommitTS  uint64 `json:"commit_ts,omitempty"`
}

// Filter is a condition of a find on a record's value, or on the metadata of its last commit.
type Filter struct {
	Pointer  string `json:"pointer,omitempty"`
	Metadata string `json:"metadata,omitempty"` // in place of a pointer
	Is       string `json:"is"`                 // =, !=, <, <=, >, >=, in, exists
	Value    string `json:"value,omitempty"`    // JSON text; of in, a list
	Not      bool   `json:"not,omitempty"`
}

// Point is an agent at a moment.
type Point struct {
	Namespace string  `json:"ns,omitempty"`
	Agent     string  `json:"agent,omitempty"`
	At        *uint64 `json:"at,omitempty"`
	AtTime    int64   `json:"at_time,omitempty"`
}

// KeyDiff is a key whose state differs.
type KeyDiff struct {
	Key    string `json:"key"`
	Before Record `json:"before,omitzero"`
	After  Record `json:"after,omitzero"`
	Patch  string `json:"patch,omitempty"` // a JSON Patch
}

// Origin is what an agent was forked from.
type Origin struct {
	Namespace string `json:"ns"`
	Agent     string `json:"agent"`
	CommitTS  uint64 `json:"commit_ts"`
	ForkedTS  uint64 `json:"forked_ts"`
	ForkedAt  int64  `json:"forked_at,omitempty"` // ns since 1970
}

// Evaluates reports whether the daemon decides what an operation writes.
func (w *Write) Evaluates() bool { return w.Op != "" }

// EvaluatesAny reports whether it decides what any of these writes, or must remember more than the
// value of one.
func EvaluatesAny(writes []Write) bool {
	return slices.ContainsFunc(writes, func(w Write) bool { return w.Op != "" || w.With != nil })
}

// Arguments are those of an operation; none: the empty ones.
func (w *Write) Arguments() Arguments {
	if w.With == nil {
		return Arguments{}
	}
	return *w.With
}

// bytesPrefix begins what no JSON text and no digest begins with.
const bytesPrefix = "bytes:"

// Bytes is how a history has a value that is bytes: bytes:image/png;base64,iVBO…
func Bytes(contentType string, data []byte) string {
	return bytesPrefix + contentType + ";base64," + base64.StdEncoding.EncodeToString(data)
}

// AsBytes is the other way round; not ok: the value is none.
func AsBytes(value string) (contentType string, data []byte, ok bool) {
	rest, is := strings.CutPrefix(value, bytesPrefix)
	i := strings.LastIndex(rest, ";base64,")
	if !is || i < 0 {
		return "", nil, false
	}
	data, err := base64.StdEncoding.DecodeString(rest[i+len(";base64,"):])
	return rest[:i], data, err == nil
}

// IsBytes reports whether a value is bytes.
func IsBytes(value string) bool { return strings.HasPrefix(value, bytesPrefix) }

// Equal reports whether two operations of an event say the same.
func (o *EventOp) Equal(p *EventOp) bool {
	x, y := *o, *p
	if (x.Lease == nil) != (y.Lease == nil) || (x.Act == nil) != (y.Act == nil) {
		return false
	}
	if x.Lease != nil && *x.Lease != *y.Lease || x.Act != nil && *x.Act != *y.Act {
		return false
	}
	x.Lease, y.Lease, x.Act, y.Act = nil, nil, nil, nil
	return x == y
}
