package engine

import (
	"statehouse.dev/statehouse/engine/layout"
	"statehouse.dev/statehouse/engine/words"
)

// The words that all rooms of the engine share, under the names that its users know, as package os has those
// of io/fs. What they mean is said where they are declared.

type (
	AgentName  = words.AgentName
	CommitTS   = words.CommitTS
	Failure    = words.Failure
	RecordName = words.RecordName
	TxnID      = words.TxnID
	Version    = words.Version
)

const (
	DefaultNamespace  = words.DefaultNamespace
	MaxAgentBytes     = words.MaxAgentBytes
	MaxKeyBytes       = words.MaxKeyBytes
	MaxLeaseBytes     = words.MaxLeaseBytes
	MaxNamespaceBytes = words.MaxNamespaceBytes
	MaxPrincipalBytes = words.MaxPrincipalBytes
	MaxTraceIDBytes   = words.MaxTraceIDBytes
)

// What the rows of the store say, and their readers are told.
type (
	Cause = layout.Cause
	Epoch = layout.Epoch
)

const (
	CauseExpired = layout.CauseExpired
	CauseLapsed  = layout.CauseLapsed
	CauseDue     = layout.CauseDue
	MaxTTL       = layout.MaxTTL
)

// The closed set of errors: match them with errors.Is.
var (
	ErrInvalid         = words.ErrInvalid
	ErrLimit           = words.ErrLimit
	ErrOverloaded      = words.ErrOverloaded
	ErrStopped         = words.ErrStopped
	ErrNotLeader       = words.ErrNotLeader
	ErrDiskFull        = words.ErrDiskFull
	ErrTxnNotFound     = words.ErrTxnNotFound
	ErrTxnExpired      = words.ErrTxnExpired
	ErrTxnCommitted    = words.ErrTxnCommitted
	ErrTxnAborted      = words.ErrTxnAborted
	ErrTxnIDReused     = words.ErrTxnIDReused
	ErrTxnTooOld       = words.ErrTxnTooOld
	ErrConflict        = words.ErrConflict
	ErrPrecondition    = words.ErrPrecondition
	ErrLeaseHeld       = words.ErrLeaseHeld
	ErrLeaseLost       = words.ErrLeaseLost
	ErrEvaluation      = words.ErrEvaluation
	ErrVersionNotFound = words.ErrVersionNotFound
	ErrOutOfRange      = words.ErrOutOfRange
	ErrErased          = words.ErrErased
	ErrEpoch           = words.ErrEpoch
	ErrDataLoss        = words.ErrDataLoss
	ErrStorage         = words.ErrStorage
	ErrOutcomeUnknown  = words.ErrOutcomeUnknown
	ErrNoStore         = words.ErrNoStore
	ErrUnusable        = words.ErrUnusable
	ErrLocked          = words.ErrLocked
	ErrFormat          = words.ErrFormat
	ErrDisplaced       = words.ErrDisplaced
)

// CheckNamespace checks the name of a namespace. Error: ErrInvalid.
func CheckNamespace(name string) error { return words.CheckNamespace(name) }
