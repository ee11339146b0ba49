package history

import (
	"fmt"
	"strings"
)

// Format and Version are of the JSON lines that a history is kept in.
const (
	Format  = "statehouse-history"
	Version = 1
)

// History is what clients asked and were told, in the words of Jepsen.
type History struct {
	Header Header
	// Operations in the order of their calls.
	Operations []*Operation
	// Log is the whole log after the last operation, in commit_ts order, as an
	// observer read it. Complete says that it was read; without it, unknown outcomes
	// stay unknown and only what needs no log is checked.
	Log      []Event
	Complete bool
	// Notes of crashes, faults and the like, in order of time.
	Notes []Note
	// Gaps in what was recorded, in order of time.
	Gaps []Gap
}

// SourceClient is the source of a history that clients wrote of themselves: others
// may have written to the same store, of whom it knows what the log shows.
const SourceClient = "client"

// SourceIntent is the source of a history of what users of a client library asked and were
// told: an operation is one call of theirs, whatever it took on the wire (package sim/intent).
// A list is one operation over all its pages, and More says that it may have been left before
// its end. What a user is not told of it, such as a list's ReadTS, is 0.
const SourceIntent = "intent"

// Header is the first line of a history.
type Header struct {
	Format  string `json:"format"`
	Version int    `json:"version"`
	Source  string `json:"source,omitempty"` // who recorded it: sim, live, client, daemon
	Build   string `json:"build,omitempty"`
	Command string `json:"command,omitempty"` // that makes this history again
	// Unit of every time in it: "step" of a simulation or "ns" since some start.
	Unit string `json:"unit"`
	// Config is what the daemon was told, for people.
	Config map[string]string `json:"config,omitempty"`
	// Base is the state that the first operation met. Nil: an empty store.
	Base *Base `json:"base,omitempty"`
	// Redaction: "" for none; "digest": equal values have equal digests, and nothing
	// else is known of them; "digest+names": names are pseudonyms besides, which keep
	// equality, order and what is a prefix of what;
	// "names": those alone.
	Redaction string `json:"redaction,omitempty"`
}

// Base is the state at a commit_ts: each key's last version.
type Base struct {
	CommitTS uint64 `json:"commit_ts"`
	// Covers, when it is set, says that the log is not whole: up to this commit it holds
	// what was done to the agents that the base has a line of, and nothing else.
	Covers  uint64   `json:"covers,omitempty"`
	Records []Record `json:"-"` // tombstones among them: Exists is false
	Agents  []Agent  `json:"-"`
}

// maxCovered is how many commits a part of the log may stand for.
const maxCovered = 1 << 24

// check refuses a base that is none.
func (b *Base) check() error {
	if b == nil || b.Covers == 0 {
		return nil
	}
	if b.Covers < b.CommitTS || b.Covers-b.CommitTS > maxCovered {
		return fmt.Errorf("the base at commit %d covers up to commit %d: it must be from there on, and %d commits at most", b.CommitTS, b.Covers, maxCovered)
	}
	return nil
}

// Covered are the agents that the log tells of. Nil: all of them, the log is whole.
func (h *History) Covered() map[AgentName]bool {
	b := h.Header.Base
	if b == nil || b.Covers == 0 {
		return nil
	}
	list := make(map[AgentName]bool, len(b.Agents))
	for _, a := range b.Agents {
		list[AgentName{a.Namespace, a.Agent}] = true
	}
	return list
}

// Outcome of an operation, as its client knows it.
type Outcome string

// The outcomes.
const (
	// OK: it was answered.
	OK Outcome = "ok"
	// Fail: it was refused, and certainly had no effect.
	Fail Outcome = "fail"
	// Unknown: no one answered, or the answer says that it may have had its effect.
	Unknown Outcome = "unknown"
)

// Operation is one request, as its client saw it. A request that was sent again is
// another operation, with the same TxnID.
type Operation struct {
	ID     int    `json:"id"`     // from 1; unique, mostly in the order of calls
	Client string `json:"client"` // one client has at most one operation under way, streams aside
	Kind   Kind   `json:"kind"`
	Call   int64  `json:"call"`             // time
	Return int64  `json:"return,omitempty"` // time; 0 while Outcome is Unknown because no one answered
	In     Input  `json:"in,omitzero"`
	// Outcome, and what came with it: Out when OK, Error otherwise. A stream has
	// Batches whatever its outcome; OK says that it ended by itself.
	Outcome Outcome  `json:"outcome"`
	Out     Output   `json:"out,omitzero"`
	Error   *Refusal `json:"error,omitempty"`
	Batches []Batch  `json:"-"`
	// Rest is of a watch in a world that can be brought to rest: when nothing moved any
	// more, it was open, all it had been sent had arrived, and this was the last commit.
	Rest uint64 `json:"rest,omitempty"`
}

// Input is what was asked. Which fields count depends on the Kind.
type Input struct {
	TxnID     string `json:"txn,omitempty"` // transact, begun transactions, reads inside one
	Namespace string `json:"ns,omitempty"`  // never empty where it counts
	Agent     string `json:"agent,omitempty"`
	Key       string `json:"key,omitempty"`

	Value    string            `json:"value,omitempty"`    // of a staged write: JSON text, or a digest
	Expected *uint64           `json:"expected,omitempty"` // of a staged write or delete
	Writes   []Write           `json:"writes,omitempty"`   // of a transact
	Keys     []KeyCondition    `json:"keys,omitempty"`     // of a transact or commit
	Heads    []HeadCondition   `json:"heads,omitempty"`    // of a transact or commit
	Metadata map[string]string `json:"metadata,omitempty"` // of a transact or commit
	Reads    *Reads            `json:"reads,omitempty"`    // of a transact
	Timeout  *uint64           `json:"timeout,omitempty"`  // of a transact: milliseconds until its turn is too late

	Names       []Name  `json:"names,omitempty"`      // of a batch_get or refresh_expiry
	KeyVersion  uint64  `json:"version,omitempty"`    // of a get_version
	At          *uint64 `json:"at,omitempty"`         // as of this commit_ts
	AtTime      int64   `json:"at_time,omitempty"`    // as of this time, ns since 1970; 0: not given
	Prefix      string  `json:"prefix,omitempty"`     // of lists, scans, replays, watches, finds, diffs
	Limit       uint64  `json:"limit,omitempty"`      // items; 0: the daemon's choice
	Reverse     bool    `json:"reverse,omitempty"`    // of lists and scans; of a history: newest first is false
	PageOf      int     `json:"page_of,omitempty"`    // the operation whose answer this one continues
	NoValues    bool    `json:"no_values,omitempty"`  // the client asked for none
	Doubles     bool    `json:"doubles,omitempty"`    // the client speaks Struct: a number that is no double is shown as the nearest
	AllAgents   bool    `json:"all_agents,omitempty"` // of a replay, watch or find: the whole namespace
	From        *uint64 `json:"from,omitempty"`       // of a replay: first commit_ts; of a watch: events after it
	To          *uint64 `json:"to,omitempty"`         // of a replay: last commit_ts
	FromTime    int64   `json:"from_time,omitempty"`  // of a replay, ns since 1970
	ToTime      int64   `json:"to_time,omitempty"`    // of a replay, ns since 1970
	OldestFirst bool    `json:"oldest_first,omitempty"`

	Native        bool   `json:"native,omitempty"`           // bytes are shown as bytes, not as an object that has them
	MinRead       uint64 `json:"min_read_ts,omitempty"`      // the read may not be before this commit
	MaxStale      uint64 `json:"max_staleness_ms,omitempty"` // the read need not be of the newest state; 0: it must
	Delimiter     string `json:"delimiter,omitempty"`        // of a list_keys: it lists folders
	AllOperations bool   `json:"all_operations,omitempty"`   // of a replay or watch: leases, due records and acts, too
	Lineage       bool   `json:"lineage,omitempty"`          // of a replay: first what the agent was forked from
	Lease         string `json:"lease,omitempty"`            // of a watch: of this lease
	Due           bool   `json:"due,omitempty"`              // of a watch: of records that become due

	Renewals     []Renewal `json:"renewals,omitempty"`      // of a renew_leases
	TTL          uint64    `json:"ttl_ms,omitempty"`        // of a refresh_expiry; 0: as each was written
	Where        []Filter  `json:"where,omitempty"`         // of a find
	ByChange     bool      `json:"by_change,omitempty"`     // of a find: the record that was changed last comes first
	WithMetadata bool      `json:"with_metadata,omitempty"` // of a find
	Versus       *Point    `json:"versus,omitempty"`        // of a diff: what the agent as of At or AtTime is compared with; commit 0 has nothing
}

// PageMissing in place of an operation's number: it continues one that is not in the
// history.
const PageMissing = -1

// Name of a record.
type Name struct {
	Namespace string `json:"ns"`
	Agent     string `json:"agent"`
	Key       string `json:"key"`
}

// Write is an operation of a transact: a write of one key, its tombstone, or what the daemon
// makes of it when its turn comes (Op).
type Write struct {
	Name
	Value    string     `json:"value,omitempty"` // JSON text, bytes (see Bytes), or a digest; of a merge its patch
	Delete   bool       `json:"delete,omitempty"`
	Expected *uint64    `json:"expected,omitempty"` // version the key must be at; 0: it does not exist
	Op       Op         `json:"op,omitempty"`
	With     *Arguments `json:"with,omitempty"` // of Op, or how long the record is to stay, or when it is due
}

// KeyCondition: the key must be at this version; 0: it must not exist (a tombstone
// does not). With a Lease in place of the key, that lease must be held under the token Expected.
type KeyCondition struct {
	Name
	Expected uint64 `json:"expected"`
	Lease    string `json:"lease,omitempty"`
}

// Reads is what a transaction read that its client holds: it commits only where it would
// read the same.
type Reads struct {
	Snapshot uint64       `json:"snapshot"` // the commit_ts that it was read at
	Keys     []KeyVersion `json:"keys,omitempty"`
	Ranges   []Range      `json:"ranges,omitempty"`
}

// Range is a stretch of an agent's keys that was listed: those with the prefix, from the first
// to the last, if these are given.
type Range struct {
	Namespace string `json:"ns"`
	Agent     string `json:"agent"`
	Prefix    string `json:"prefix,omitempty"`
	First     string `json:"first,omitempty"`
	Last      string `json:"last,omitempty"`
}

// Contains reports whether the key is one of those.
func (r *Range) Contains(n Name) bool {
	return n.Namespace == r.Namespace && n.Agent == r.Agent && strings.HasPrefix(n.Key, r.Prefix) &&
		n.Key >= r.First && (r.Last == "" || n.Key <= r.Last)
}

// HeadCondition: the agent's last commit must be this one; 0: it has none.
type HeadCondition struct {
	Namespace string `json:"ns"`
	Agent     string `json:"agent"`
	Expected  uint64 `json:"expected"`
}

// Output is what was answered. Which fields count depends on the Kind.
type Output struct {
	TxnID      string       `json:"txn,omitempty"`      // of a begin
	SnapshotTS uint64       `json:"snapshot,omitempty"` // of a begin
	CommitTS   uint64       `json:"commit_ts,omitempty"`
	CommitTime int64        `json:"commit_time,omitempty"` // ns since 1970
	Versions   []KeyVersion `json:"versions,omitempty"`    // of a commit; of a transact in the order of its writes
	ReadTS     uint64       `json:"read_ts,omitempty"`     // the commit_ts that was read at
	Records    []Record     `json:"records,omitempty"`     // of a get (one), get_version (one), batch_get, scan, history
	Keys       []string     `json:"keys,omitempty"`        // of a list_keys; of namespaces: their names
	Agents     []Agent      `json:"agents,omitempty"`
	More       bool         `json:"more,omitempty"`  // there is another page
	State      string       `json:"state,omitempty"` // of a get_transaction: open, committed, aborted, expired, never_seen, too_old

	Results   []Result    `json:"results,omitempty"`   // of a transact with evaluated operations: one an operation
	Folders   []string    `json:"folders,omitempty"`   // of a list_keys with a delimiter
	Leases    []Lease     `json:"leases,omitempty"`    // of a list_leases
	Renewed   []Renewed   `json:"renewed,omitempty"`   // of a renew_leases: one a lease
	Refreshed []Refreshed `json:"refreshed,omitempty"` // of a refresh_expiry: one a name
	Scanned   uint64      `json:"scanned,omitempty"`   // of a find: records that were looked at
	Diffs     []KeyDiff   `json:"diffs,omitempty"`     // of a diff
	FromTS    uint64      `json:"from_ts,omitempty"`   // of a diff
	ToTS      uint64      `json:"to_ts,omitempty"`     // of a diff
	Origin    *Origin     `json:"origin,omitempty"`    // of a get_agent: what it was forked from
	Forks     []Agent     `json:"forks,omitempty"`     // of a get_agent
}

// KeyVersion is a key and the version that a commit gave it.
type KeyVersion struct {
	Name
	Version uint64 `json:"version"`
}

// Record is a key's state: a value, or its absence.
type Record struct {
	Name
	Exists     bool   `json:"exists,omitempty"`
	Version    uint64 `json:"version,omitempty"` // 0 when the key was never written
	CommitTS   uint64 `json:"commit_ts,omitempty"`
	CommitTime int64  `json:"commit_time,omitempty"` // ns since 1970
	Value      string `json:"value,omitempty"`
	Inexact    bool   `json:"inexact,omitempty"` // the value came with doubles in place of numbers that are none
	Erased     bool   `json:"erased,omitempty"`  // the version is known, its value was erased
	Pruned     bool   `json:"pruned,omitempty"`  // or dropped by retention
	// Of a history entry only.
	TxnID     string            `json:"txn,omitempty"`
	Metadata  map[string]string `json:"metadata,omitempty"`
	Principal string            `json:"principal,omitempty"`
	TraceID   string            `json:"trace_id,omitempty"`
	Cause     string            `json:"cause,omitempty"`
	// As of now, ns since 1970; 0: never.
	ExpiresAt int64 `json:"expires_at,omitempty"`
	DueAt     int64 `json:"due_at,omitempty"`
}

// Agent as a list shows it: the commit_ts of its first and last commit.
type Agent struct {
	Namespace string `json:"ns"`
	Agent     string `json:"agent"`
	FirstTS   uint64 `json:"first_ts"`
	HeadTS    uint64 `json:"head_ts"`
	HeadTime  int64  `json:"head_time,omitempty"` // of the last one, ns since 1970
}

// Refusal says why an operation was not answered with a result.
type Refusal struct {
	Code    string            `json:"code"` // a name of statehouse.v1.ErrorCode, or a gRPC code in lower case
	Message string            `json:"message,omitempty"`
	Details map[string]string `json:"details,omitempty"`
}

// Batch is one message of a stream.
type Batch struct {
	Time   int64   `json:"time"`
	Events []Event `json:"events,omitempty"`
	Cursor uint64  `json:"cursor"` // everything up to here has been sent
}

// Event is a commit as read from the log: all of it, or what a filter left.
type Event struct {
	CommitTS   uint64            `json:"commit_ts"`
	CommitTime int64             `json:"commit_time"` // ns since 1970
	TxnID      string            `json:"txn"`
	Metadata   map[string]string `json:"metadata,omitempty"`
	Principal  string            `json:"principal,omitempty"`
	TraceID    string            `json:"trace_id,omitempty"`
	Cause      string            `json:"cause,omitempty"` // of the daemon's own commit: expired, lapsed, due
	Ops        []EventOp         `json:"ops"`
}

// EventOp is what a commit did to one key.
type EventOp struct {
	Name
	Version uint64 `json:"version"`
	Delete  bool   `json:"delete,omitempty"`
	Value   string `json:"value,omitempty"`
	Inexact bool   `json:"inexact,omitempty"` // as of a Record; never in the log
	Erased  bool   `json:"erased,omitempty"`
	Pruned  bool   `json:"pruned,omitempty"`
	// In place of a value, the key being: the name of a lease, the name of a record that is due,
	// the prefix of keys that an act is on.
	Lease *LeaseChange `json:"lease,omitempty"`
	Due   bool         `json:"due,omitempty"`
	Act   *Act         `json:"act,omitempty"`
}

// Note is something that happened beside the operations: a crash, a fault, a
// restart, a step of the writer.
type Note struct {
	Time int64  `json:"time"`
	Lane string `json:"lane"` // daemon, disk, network, clock
	Kind string `json:"kind"` // crash, kill, halt, start, fault, plan, settle, flush, compact, …
	Text string `json:"text,omitempty"`
}

// Gap is a time of which not everything was recorded: operations under way in it
// may be missing.
type Gap struct {
	From int64  `json:"from"`
	To   int64  `json:"to"`
	Lost int    `json:"lost,omitempty"` // operations; 0: no one counted them
	Why  string `json:"why,omitempty"`
}
