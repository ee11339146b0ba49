// Package wire is what the service of agents says and is told, as bytes: the codec, values and conditions
// of requests, and errors as statuses with their details.
package wire

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/protoadapt"
	"google.golang.org/protobuf/types/known/durationpb"

	"statehouse.dev/statehouse/engine"
	pb "statehouse.dev/statehouse/proto/statehouse/v1"
	"statehouse.dev/statehouse/server/access"
)

// mapping is the one table from the engine's closed set of errors to the wire.
// errors_test.go holds it to be exhaustive.
var mapping = []struct {
	err    error
	code   pb.ErrorCode
	status codes.Code
}{
	{engine.ErrInvalid, pb.ErrorCode_INVALID_REQUEST, codes.InvalidArgument},
	{engine.ErrLimit, pb.ErrorCode_LIMIT_EXCEEDED, codes.ResourceExhausted},
	{engine.ErrOverloaded, pb.ErrorCode_OVERLOADED, codes.ResourceExhausted},
	{engine.ErrNotLeader, pb.ErrorCode_NOT_LEADER, codes.Unavailable}, // before ErrStopped, which it is, too
	{engine.ErrStopped, pb.ErrorCode_UNAVAILABLE, codes.Unavailable},
	{engine.ErrDiskFull, pb.ErrorCode_DISK_FULL, codes.ResourceExhausted},
	{engine.ErrTxnNotFound, pb.ErrorCode_TXN_NOT_FOUND, codes.NotFound},
	{engine.ErrTxnExpired, pb.ErrorCode_TXN_EXPIRED, codes.DeadlineExceeded},
	{engine.ErrTxnCommitted, pb.ErrorCode_TXN_ALREADY_COMMITTED, codes.FailedPrecondition},
	{engine.ErrTxnAborted, pb.ErrorCode_TXN_ABORTED, codes.FailedPrecondition},
	{engine.ErrTxnIDReused, pb.ErrorCode_TXN_ID_REUSED, codes.FailedPrecondition},
	{engine.ErrTxnTooOld, pb.ErrorCode_TXN_TOO_OLD, codes.FailedPrecondition},
	{engine.ErrConflict, pb.ErrorCode_CONFLICT, codes.Aborted},
	{engine.ErrPrecondition, pb.ErrorCode_PRECONDITION_FAILED, codes.FailedPrecondition},
	{engine.ErrLeaseHeld, pb.ErrorCode_LEASE_HELD, codes.FailedPrecondition},
	{engine.ErrLeaseLost, pb.ErrorCode_LEASE_LOST, codes.FailedPrecondition},
	{engine.ErrEvaluation, pb.ErrorCode_EVALUATION_FAILED, codes.FailedPrecondition},
	{engine.ErrVersionNotFound, pb.ErrorCode_VERSION_NOT_FOUND, codes.NotFound},
	{engine.ErrOutOfRange, pb.ErrorCode_OUT_OF_RANGE, codes.OutOfRange},
	{engine.ErrErased, pb.ErrorCode_ERASED, codes.NotFound},
	{engine.ErrEpoch, pb.ErrorCode_EPOCH_CHANGED, codes.FailedPrecondition},
	{engine.ErrDataLoss, pb.ErrorCode_DATA_LOSS, codes.DataLoss},
	{engine.ErrStorage, pb.ErrorCode_STORAGE_ERROR, codes.Internal},
	{engine.ErrOutcomeUnknown, pb.ErrorCode_OUTCOME_UNKNOWN, codes.Unavailable},
	{errNotRepresentable, pb.ErrorCode_NOT_REPRESENTABLE, codes.FailedPrecondition},
	{access.ErrUnauthenticated, pb.ErrorCode_UNAUTHENTICATED, codes.Unauthenticated},
	{access.ErrPermission, pb.ErrorCode_PERMISSION_DENIED, codes.PermissionDenied},
}

// olderCodes are what clients know that do not know a later code, and take what they do not know for an
// error that does not pass. They read code; those that know it read exact_code.
var olderCodes = map[pb.ErrorCode]pb.ErrorCode{pb.ErrorCode_NOT_LEADER: pb.ErrorCode_UNAVAILABLE}

// The errors that are the server's own.
var (
	errNotRepresentable = errors.New("value not representable")
)

// Fail is a failure of a kind.
func Fail(kind error, message string) error {
	return &engine.Failure{Kind: kind, Message: message}
}

// Invalid refuses a field of a request.
func Invalid(field, message string) error {
	return &engine.Failure{Kind: engine.ErrInvalid, Message: message, Details: map[string]string{"field": field}}
}

// Status turns any error into a gRPC status with a StatehouseError detail. A
// request that its client gave up has no detail: no one reads it.
func Status(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, context.Canceled):
		return status.FromContextError(context.Canceled).Err()
	case errors.Is(err, context.DeadlineExceeded):
		return status.FromContextError(context.DeadlineExceeded).Err()
	}
	if s, ok := status.FromError(err); ok {
		return s.Err() // from gRPC itself: a stream that broke
	}
	detail := &pb.StatehouseError{Code: pb.ErrorCode_INTERNAL_ERROR, Message: clip(err.Error())}
	code := codes.Internal
	for _, m := range mapping {
		if errors.Is(err, m.err) {
			detail.Code, code = m.code, m.status
			if older, is := olderCodes[m.code]; is {
				detail.Code, detail.ExactCode = older, m.code
			}
			detail.MaybeApplied = m.err == engine.ErrOutcomeUnknown
			break
		}
	}
	var f *engine.Failure
	if errors.As(err, &f) {
		detail.Details = f.Details
		detail.MaybeApplied = detail.MaybeApplied || f.InDoubt
	}
	s := status.New(code, detail.Message)
	details := []protoadapt.MessageV1{detail}
	if ms, err := strconv.ParseInt(detail.GetDetails()["retry_after_ms"], 10, 64); err == nil {
		details = append(details, &errdetails.RetryInfo{RetryDelay: durationpb.New(time.Duration(ms) * time.Millisecond)})
	}
	if with, err := s.WithDetails(details...); err == nil {
		s = with
	}
	return s.Err()
}

// Bounds of an error's message. It travels twice, once percent-encoded, in
// trailers of which gRPC's C core (Python and others) takes 8 KiB: past that its
// clients see RESOURCE_EXHAUSTED or INTERNAL in place of the error. The names in
// it may be long; they stand whole in the details.
const (
	messageHead = 400
	messageTail = 200
)

// clip leaves out the middle of a message that is too long, and what is not
// UTF-8, which no trailer can carry.
func clip(message string) string {
	if len(message) > messageHead+messageTail {
		message = message[:messageHead] + "…" + message[len(message)-messageTail:]
	}
	return strings.ToValidUTF8(message, "")
}
