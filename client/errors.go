package client

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"statehouse.dev/statehouse/client/reach"
	pb "statehouse.dev/statehouse/proto/statehouse/v1"
)

// The closed set of errors. Match them with errors.Is; [*Error] says more. All but
// ErrOutcomeUnknown are definite; see Error.MaybeApplied.
var (
	// Refused before the state is read.

	// ErrInvalid: the request, or the configuration, breaks a rule.
	ErrInvalid = errors.New("invalid request")
	// ErrLimit: a limit is reached; the message names it.
	ErrLimit = errors.New("limit reached")
	// ErrDiskFull: the daemon's disk is nearly full; reads go on.
	ErrDiskFull = errors.New("disk nearly full")
	// ErrUnavailable: the daemon cannot be reached, does not answer or is stopping.
	// Of a commit: it was not applied.
	ErrUnavailable = errors.New("unavailable")
	// ErrTLS: a server answers, but its certificate is not trusted, or one side speaks TLS
	// and the other does not. It is an ErrUnavailable that repeating does not help, so it
	// ends a call at once.
	ErrTLS = errors.New("no agreement on TLS")
	// ErrUnauthenticated: the token is missing or wrong.
	ErrUnauthenticated = errors.New("unauthenticated")
	// ErrPermissionDenied: the key may not do this; the message says what it may not.
	ErrPermissionDenied = errors.New("permission denied")
	// ErrOverloaded: more is asked than the daemon can do in time, or than the key may ask.
	// Nothing was applied. The daemon says when to try again.
	ErrOverloaded = errors.New("overloaded")
	// ErrUnimplemented: the daemon does not know the method; it is older than this
	// client, or something else.
	ErrUnimplemented = errors.New("unimplemented")

	// About a transaction.

	// ErrTxnNotFound: the daemon knows no transaction of that id; open ones do not
	// survive its restart.
	ErrTxnNotFound = errors.New("transaction not found")
	// ErrTxnExpired: the transaction reached its timeout and was aborted.
	ErrTxnExpired = errors.New("transaction expired")
	// ErrTxnCommitted: a write to, or abort of, a committed transaction.
	ErrTxnCommitted = errors.New("transaction already committed")
	// ErrTxnAborted: the transaction was aborted.
	ErrTxnAborted = errors.New("transaction aborted")
	// ErrTxnIDReused: the id was used for other operations.
	ErrTxnIDReused = errors.New("transaction id reused")
	// ErrTxnTooOld: outcomes of the id's age are no longer kept, so a commit could be a repeat.
	ErrTxnTooOld = errors.New("transaction id too old")
	// ErrConflict: something that the transaction read has changed since.
	ErrConflict = errors.New("conflict")
	// ErrPreconditionFailed: an expected version or head is not the current one.
	ErrPreconditionFailed = errors.New("precondition failed")
	// ErrLeaseHeld: the lease that is asked for is held.
	ErrLeaseHeld = errors.New("lease held")
	// ErrLeaseLost: the lease is not held under that token any more.
	ErrLeaseLost = errors.New("lease lost")
	// ErrEvaluation: what is there is not what an operation asks for, or what would come out is
	// not allowed.
	ErrEvaluation = errors.New("evaluation failed")
	// ErrOutcomeUnknown: a commit may or may not have been applied.
	ErrOutcomeUnknown = errors.New("outcome unknown")

	// About a read.

	// ErrNotFound: the record never had that version.
	ErrNotFound = errors.New("not found")
	// ErrOutOfRange: older than what the namespace's retention keeps.
	ErrOutOfRange = errors.New("out of range")
	// ErrErased: the value was erased.
	ErrErased = errors.New("erased")
	// ErrEpochChanged: the store was restored, and the cursor, page or commit_ts is of an
	// earlier epoch.
	ErrEpochChanged = errors.New("epoch changed")
	// ErrNotRepresentable: the value cannot be carried in the encoding asked for.
	ErrNotRepresentable = errors.New("not representable")

	// About the daemon.

	// ErrDataLoss: data on the daemon's disk is corrupt.
	ErrDataLoss = errors.New("data loss")
	// ErrInternal: any other failure of the daemon.
	ErrInternal = errors.New("internal error")
)

// Code names an error on the wire.
type Code string

// codeKinds is the one table from the contract's codes to the errors above. A code
// that is not in it comes from a newer daemon and is ErrInternal.
var codeKinds = map[pb.ErrorCode]error{
	pb.ErrorCode_UNKNOWN:               ErrInternal,
	pb.ErrorCode_INVALID_REQUEST:       ErrInvalid,
	pb.ErrorCode_TXN_NOT_FOUND:         ErrTxnNotFound,
	pb.ErrorCode_TXN_EXPIRED:           ErrTxnExpired,
	pb.ErrorCode_TXN_ALREADY_COMMITTED: ErrTxnCommitted,
	pb.ErrorCode_KEY_NOT_FOUND:         ErrNotFound,
	pb.ErrorCode_VERSION_NOT_FOUND:     ErrNotFound,
	pb.ErrorCode_STORAGE_ERROR:         ErrInternal,
	pb.ErrorCode_INTERNAL_ERROR:        ErrInternal,
	pb.ErrorCode_CONFLICT:              ErrConflict,
	pb.ErrorCode_PRECONDITION_FAILED:   ErrPreconditionFailed,
	pb.ErrorCode_LIMIT_EXCEEDED:        ErrLimit,
	pb.ErrorCode_DATA_LOSS:             ErrDataLoss,
	pb.ErrorCode_TXN_ID_REUSED:         ErrTxnIDReused,
	pb.ErrorCode_TXN_ABORTED:           ErrTxnAborted,
	pb.ErrorCode_OUTCOME_UNKNOWN:       ErrOutcomeUnknown,
	pb.ErrorCode_UNAVAILABLE:           ErrUnavailable,
	pb.ErrorCode_DISK_FULL:             ErrDiskFull,
	pb.ErrorCode_NOT_REPRESENTABLE:     ErrNotRepresentable,
	pb.ErrorCode_TXN_TOO_OLD:           ErrTxnTooOld,
	pb.ErrorCode_UNAUTHENTICATED:       ErrUnauthenticated,
	pb.ErrorCode_PERMISSION_DENIED:     ErrPermissionDenied,
	pb.ErrorCode_OUT_OF_RANGE:          ErrOutOfRange,
	pb.ErrorCode_ERASED:                ErrErased,
	pb.ErrorCode_EPOCH_CHANGED:         ErrEpochChanged,
	pb.ErrorCode_OVERLOADED:            ErrOverloaded,
	pb.ErrorCode_LEASE_HELD:            ErrLeaseHeld,
	pb.ErrorCode_LEASE_LOST:            ErrLeaseLost,
	pb.ErrorCode_EVALUATION_FAILED:     ErrEvaluation,
	pb.ErrorCode_NOT_LEADER:            ErrUnavailable,
}

// Error is a failed call.
type Error struct {
	// Code is the daemon's code; UNAVAILABLE if there was no answer.
	Code    Code
	Message string
	// Details are the facts for a program: key, current_version, field, limit…
	Details map[string]string
	// MaybeApplied: the daemon refused a commit, but an earlier try, which was not
	// answered and may still be under way, could yet be applied. False for all other
	// errors.
	MaybeApplied bool
	// RetryAfter is when the daemon wants to be asked again, which refused for load; 0: it did
	// not say. Calls wait that long and try again by themselves while their time lasts.
	RetryAfter time.Duration
	// Answered: the daemon sent this error. Otherwise there was no answer.
	Answered bool

	kind  error
	sent  bool  // the daemon may have seen the request
	cause error // the context's error if it ended the call; else ErrTLS or nil
}

func (e *Error) Error() string { return e.Message }

// Unwrap makes errors.Is find the kind, and the cause.
func (e *Error) Unwrap() []error {
	if e.cause != nil {
		return []error{e.kind, e.cause}
	}
	return []error{e.kind}
}

// OutcomeUnknownError says that a commit may have been applied, or may yet be. Send the
// same transaction again under the same id, or ask GetTransaction.
type OutcomeUnknownError struct {
	TxnID string
	// Last is how the last try failed.
	Last error
}

func (e *OutcomeUnknownError) Error() string {
	return fmt.Sprintf("the outcome of transaction %s is unknown: %v", e.TxnID, e.Last)
}

// Unwrap returns ErrOutcomeUnknown and the context's error, but not the kind of the last
// failure, which would look definite.
func (e *OutcomeUnknownError) Unwrap() []error {
	out := []error{ErrOutcomeUnknown}
	for _, ended := range []error{context.Canceled, context.DeadlineExceeded} {
		if errors.Is(e.Last, ended) {
			out = append(out, ended)
		}
	}
	return out
}

// invalid is an ErrInvalid that says what err says; nil for none.
func invalid(err error) error {
	if err == nil {
		return nil
	}
	return invalidf("%v", err)
}

func invalidf(format string, args ...any) error {
	return &Error{Code: Code(pb.ErrorCode_INVALID_REQUEST.String()), Message: fmt.Sprintf(format, args...), kind: ErrInvalid}
}

// ended is the failure of a call whose context ended before an answer came.
func ended(err error) *Error {
	return &Error{Code: Code(pb.ErrorCode_UNAVAILABLE.String()), Message: "no answer: " + err.Error(), kind: ErrUnavailable, cause: err}
}

// broken is an answer that breaks the contract.
func broken(format string, args ...any) error {
	return &Error{
		Code: Code(pb.ErrorCode_INTERNAL_ERROR.String()), Message: "the daemon's answer breaks the contract: " + fmt.Sprintf(format, args...),
		Answered: true, kind: ErrInternal,
	}
}

// fromStatus turns what gRPC returned into an Error.
func fromStatus(err error) *Error {
	s := status.Convert(err)
	for _, d := range s.Details() {
		if detail, ok := d.(*pb.StatehouseError); ok {
			return fromDetail(detail, s.Message())
		}
	}
	e := &Error{Message: s.Message()}
	code := pb.ErrorCode_UNAVAILABLE
	switch s.Code() {
	case codes.ResourceExhausted: // of gRPC's own limits: the request is too large
		code, e.Answered = pb.ErrorCode_LIMIT_EXCEEDED, true
	case codes.Unauthenticated, codes.PermissionDenied:
		code, e.Answered = pb.ErrorCode_UNAUTHENTICATED, true
	case codes.InvalidArgument, codes.OutOfRange:
		code, e.Answered = pb.ErrorCode_INVALID_REQUEST, true
	case codes.Unimplemented:
		e.Code, e.kind, e.Answered = "UNIMPLEMENTED", ErrUnimplemented, true
		e.Message = "the daemon does not know this call: " + s.Message()
		return e
	case codes.Canceled:
		e.cause = context.Canceled
	case codes.DeadlineExceeded:
		e.cause = context.DeadlineExceeded
	}
	// Any other status did not come from the daemon: INTERNAL and UNKNOWN without a detail
	// are how gRPC reports a broken stream.
	e.Code, e.kind = Code(code.String()), codeKinds[code]
	if said, found := reach.Disagreement(s.Message()); found {
		e.Message, e.cause = said, ErrTLS
	} else if !e.Answered {
		e.Message = "no answer: " + s.Message()
	}
	return e
}

// passes reports whether the failure may pass, so that a later try can succeed.
func (e *Error) passes() bool {
	return e.kind == ErrUnavailable && e.cause != ErrTLS || e.RetryAfter > 0
}

func fromDetail(d *pb.StatehouseError, fallback string) *Error {
	code := d.GetCode()
	if codeKinds[d.GetExactCode()] != nil && d.GetExactCode() != pb.ErrorCode_UNKNOWN {
		code = d.GetExactCode()
	}
	e := &Error{Code: Code(code.String()), Message: d.GetMessage(), Details: d.GetDetails(), Answered: true, kind: codeKinds[code]}
	if e.kind == nil {
		e.kind = ErrInternal
	}
	// Milliseconds, and no more than a daemon would say.
	if ms, err := strconv.ParseUint(d.GetDetails()["retry_after_ms"], 10, 16); err == nil {
		e.RetryAfter = time.Duration(ms) * time.Millisecond
	}
	if d.GetMaybeApplied() {
		e.kind = ErrOutcomeUnknown
	}
	if e.Message == "" {
		e.Message = fallback
	}
	return e
}
