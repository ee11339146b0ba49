package words

import (
	"errors"
	"fmt"
	"strconv"
	"time"
)

// The closed set of errors. Match them with errors.Is; the message and the details say
// more. Every error is definite (the operation was not applied) except ErrOutcomeUnknown
// and a Failure that is InDoubt.
var (
	// Refused before the state is read.

	// ErrInvalid: the request breaks a rule of the model.
	ErrInvalid = errors.New("invalid request")
	// ErrLimit: a limit is reached (G9); the message names it.
	ErrLimit = errors.New("limit reached")
	// ErrOverloaded: more is asked than can be done in time. It says when to try again.
	ErrOverloaded = errors.New("overloaded")
	// ErrStopped: the engine is closing; nothing was applied.
	ErrStopped = errors.New("stopped")
	// ErrNotLeader is the ErrStopped of a machine that follows: nothing was applied, and it is tried
	// elsewhere, or again.
	ErrNotLeader = fmt.Errorf("%w: not the leader", ErrStopped)
	// ErrDiskFull: free space is below the reserve; reads go on.
	ErrDiskFull = errors.New("disk nearly full")

	// About a transaction.

	// ErrTxnNotFound: no transaction of that id is known.
	ErrTxnNotFound = errors.New("transaction not found")
	// ErrTxnExpired: the transaction reached its timeout and was aborted.
	ErrTxnExpired = errors.New("transaction expired")
	// ErrTxnCommitted: a write to, or abort of, a committed transaction.
	ErrTxnCommitted = errors.New("transaction already committed")
	// ErrTxnAborted: the transaction was aborted.
	ErrTxnAborted = errors.New("transaction aborted")
	// ErrTxnIDReused: the id was used for other operations.
	ErrTxnIDReused = errors.New("transaction id reused")
	// ErrTxnTooOld: outcomes of that age are no longer kept, so a commit could be a repeat.
	ErrTxnTooOld = errors.New("transaction id too old")

	// Decided when a commit is planned.

	// ErrConflict: something the transaction read has changed since.
	ErrConflict = errors.New("conflict")
	// ErrPrecondition: an expected version or head is not the current one.
	ErrPrecondition = errors.New("precondition failed")
	// ErrLeaseHeld: the lease that is asked for is held.
	ErrLeaseHeld = errors.New("lease held")
	// ErrLeaseLost: a lease is not held under the token that is required.
	ErrLeaseLost = errors.New("lease lost")
	// ErrEvaluation: what is there is not what an operation asks for, or what would come out
	// is not allowed.
	ErrEvaluation = errors.New("evaluation failed")

	// About a read.

	// ErrVersionNotFound: the record never had that version.
	ErrVersionNotFound = errors.New("version not found")
	// ErrOutOfRange: older than what the namespace's retention keeps.
	ErrOutOfRange = errors.New("out of range")
	// ErrErased: the value was erased.
	ErrErased = errors.New("erased")
	// ErrEpoch: a commit_ts of another epoch, which means another commit here.
	ErrEpoch = errors.New("epoch changed")

	// About storage.

	// ErrDataLoss: data on disk is corrupt (G8).
	ErrDataLoss = errors.New("damaged data")
	// ErrStorage: a read failed for another reason; nothing was changed.
	ErrStorage = errors.New("storage error")
	// ErrOutcomeUnknown: a commit may or may not have been applied. Send it again
	// under the same id, or ask Outcome. The only error that is not definite.
	ErrOutcomeUnknown = errors.New("outcome unknown")

	// From Open.

	// ErrNoStore: there is no Statehouse store where one must be.
	ErrNoStore = errors.New("no store")
	// ErrUnusable: the path cannot hold a store (a file, read-only, foreign files).
	ErrUnusable = errors.New("unusable data directory")
	// ErrLocked: another process owns the directory.
	ErrLocked = errors.New("data directory in use")
	// ErrFormat: the store was written by a newer build or an unknown one.
	ErrFormat = errors.New("unknown format")
	// ErrDisplaced: the data directory is no longer where it was opened. Passed to Halt.
	ErrDisplaced = errors.New("data directory moved or replaced")
)

// Failure is an error of the engine: one of the set above, a sentence for a person and
// facts for a program.
type Failure struct {
	Kind    error
	Message string
	Details map[string]string
	// InDoubt: the commit may have been applied when it was sent before. ErrOutcomeUnknown
	// implies it.
	InDoubt bool
}

func (f *Failure) Error() string { return f.Message }

// Unwrap makes errors.Is find the kind.
func (f *Failure) Unwrap() error { return f.Kind }

// Failf makes a Failure of that kind.
func Failf(kind error, format string, args ...any) *Failure {
	return &Failure{Kind: kind, Message: fmt.Sprintf(format, args...)}
}

// With adds a detail and returns f.
func (f *Failure) With(key, value string) *Failure {
	if f.Details == nil {
		f.Details = make(map[string]string, 4)
	}
	f.Details[key] = value
	return f
}

// Bounds of what a client is told to wait.
const (
	leastRetryAfter = 20 * time.Millisecond
	mostRetryAfter  = 5 * time.Second
)

// retryAfterDetail is the detail of every refusal for load: milliseconds.
const retryAfterDetail = "retry_after_ms"

// RetryAfter says in f's details when to try again, and returns f.
func (f *Failure) RetryAfter(d time.Duration) *Failure {
	d = min(max(d, leastRetryAfter), mostRetryAfter)
	return f.With(retryAfterDetail, strconv.FormatInt(d.Milliseconds(), 10))
}
