package client

import (
	"time"

	"statehouse.dev/statehouse/client/state"
)

// What is stored, asked for and answered, as package state has it.
type (
	CommitTS          = state.CommitTS
	Version           = state.Version
	RecordName        = state.RecordName
	Record            = state.Record
	Bytes             = state.Bytes
	Write             = state.Write
	Sum               = state.Sum
	KeyPrecondition   = state.KeyPrecondition
	HeadPrecondition  = state.HeadPrecondition
	LeasePrecondition = state.LeasePrecondition
	Conditions        = state.Conditions
	Batch             = state.Batch
	Commit            = state.Commit
	Result            = state.Result
	KeyVersion        = state.KeyVersion
	TxnState          = state.TxnState
	TxnOutcome        = state.TxnOutcome
	Event             = state.Event
	Operation         = state.Operation
	LeaseChange       = state.LeaseChange
	HistoryEntry      = state.HistoryEntry
	Agent             = state.Agent
	Origin            = state.Origin
	Lineage           = state.Lineage
	HeldLease         = state.HeldLease
	Due               = state.Due
	DueRecord         = state.DueRecord
	At                = state.At
	Status            = state.Status
	Archive           = state.Archive
	Build             = state.Build
	Refusal           = state.Refusal
	Stream            = state.Stream
)

// The states of a transaction.
const (
	TxnOpen      = state.TxnOpen
	TxnCommitted = state.TxnCommitted
	TxnAborted   = state.TxnAborted
	TxnExpired   = state.TxnExpired
	TxnNeverSeen = state.TxnNeverSeen // and will not commit unless it is sent (again)
	TxnTooOld    = state.TxnTooOld    // outcomes of that age are no longer kept
)

// AtCommit is the point after commit ts. One that has not been reached is refused.
func AtCommit(ts CommitTS) At { return state.AtCommit(ts) }

// AtTime is the point after the last commit whose time is not later than t.
func AtTime(t time.Time) At { return state.AtTime(t) }

// NotBefore is now, but not before commit ts: whoever was told of that commit, by whatever daemon,
// sees it. A daemon that is behind others waits for it; if it has not happened at all it refuses. Of it
// [At.AtMostStale] is what a program reads from replicas, and sees its own writes.
func NotBefore(ts CommitTS) At { return state.NotBefore(ts) }
