package client

import (
	"context"
	"errors"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/peer"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// The first and the longest pause between tries. Each is shortened by up to a half at
// random, so that clients that failed together do not return together.
const (
	firstPause = 20 * time.Millisecond
	maxPause   = time.Second
)

// attempt sends a request once.
type attempt func(ctx context.Context, opts ...grpc.CallOption) error

// bounded is ctx with the configured deadline when it has none.
func (c *Client) bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	if _, has := ctx.Deadline(); has || c.config.Timeout < 0 {
		return ctx, func() {}
	}
	return c.config.WithTimeout(ctx, c.config.Timeout)
}

// once makes one attempt.
func (c *Client) once(ctx context.Context, try attempt) *Error {
	if err := ctx.Err(); err != nil {
		return ended(err)
	}
	if c.config.AttemptTimeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = c.config.WithTimeout(ctx, c.config.AttemptTimeout)
		defer cancel()
	}
	// gRPC sets the peer if the request was given to a connection, and leaves it empty
	// if no connection could be made.
	var p peer.Peer
	if err := try(ctx, grpc.Peer(&p)); err != nil {
		failed := fromStatus(err)
		failed.sent = failed.Answered || p.Addr != nil || !c.knowsSent
		return failed
	}
	return nil
}

// pause waits after try n, counted from 0, has failed: as long as the daemon asks for, and up to
// half as long again, so that clients who were refused together do not return together. If that
// is past ctx's deadline, it does not wait for what cannot be.
func (c *Client) pause(ctx context.Context, n int, failed error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	d := min(firstPause<<min(n, 10), maxPause)
	var b [2]byte
	c.config.Rand(b[:])
	random := time.Duration(uint16(b[0])<<8 | uint16(b[1]))
	d -= d / 2 * random / 65536
	var refused *Error
	if errors.As(failed, &refused) && refused.RetryAfter > 0 {
		d = max(d, refused.RetryAfter+refused.RetryAfter/2*random/65536)
		if end, has := ctx.Deadline(); has && c.config.Now().Add(d).After(end) {
			return context.DeadlineExceeded
		}
	}
	c.config.Log.DebugContext(ctx, "statehouse: trying again", "failed", n+1, "pause", d, "error", failed)
	return c.config.Sleep(ctx, d)
}

// call makes a call that may safely be repeated.
func (c *Client) call(ctx context.Context, try attempt) error {
	return c.repeat(ctx, try, func(failed *Error) bool {
		return failed.passes() && (failed.sent || !c.config.FailFast)
	})
}

// ask calls a unary method that may safely be repeated.
func ask[Q, A any](ctx context.Context, c *Client, method func(context.Context, Q, ...grpc.CallOption) (A, error), request Q) (answer A, err error) {
	try := func(ctx context.Context, opts ...grpc.CallOption) (err error) {
		answer, err = method(ctx, request, opts...)
		return err
	}
	err = c.call(ctx, try)
	if e := (*Error)(nil); errors.As(err, &e) && c.onlyText(e) {
		m := any(request).(proto.Message).ProtoReflect()
		m.Set(m.Descriptor().Fields().ByName("encoding"), protoreflect.ValueOfEnum(c.encoding(false).Number()))
		err = c.call(ctx, try)
	}
	return answer, err
}

// callOnce makes a call that must not be repeated once it was sent, unless it was refused for
// load, which is before it had any effect.
func (c *Client) callOnce(ctx context.Context, try attempt) error {
	return c.repeat(ctx, try, func(failed *Error) bool {
		return failed.passes() && (failed.RetryAfter > 0 || !failed.sent && !c.config.FailFast)
	})
}

func (c *Client) repeat(ctx context.Context, try attempt, again func(*Error) bool) error {
	ctx, cancel := c.bounded(ctx)
	defer cancel()
	for n := 0; ; n++ {
		failed := c.once(ctx, try)
		if failed == nil {
			return nil
		}
		if !again(failed) {
			return failed
		}
		if err := c.pause(ctx, n, failed); err != nil {
			return failed.after(err)
		}
	}
}

// after notes that the context ended while the call was waiting for its next try.
func (e *Error) after(err error) *Error {
	e.cause = err
	return e
}

// commit makes a call that commits transaction id, and repeats it until its outcome is
// known or ctx ends. begun says that BeginTransaction opened the transaction: the daemon
// ends it with the first refusal, so a late duplicate cannot be applied after that. doubt says
// that an earlier try may have been applied, or may yet be.
func (c *Client) commit(ctx context.Context, id string, begun, doubt bool, try attempt) error {
	ctx, cancel := c.bounded(ctx)
	defer cancel()
	for n := 0; ; n++ {
		failed := c.once(ctx, try)
		if failed == nil {
			return nil
		}
		doubt = doubt || failed.kind == ErrOutcomeUnknown || failed.sent && !failed.Answered
		if passing(failed, doubt) && (failed.sent || doubt || !c.config.FailFast) {
			err := c.pause(ctx, n, failed)
			if err == nil {
				continue
			}
			failed = failed.after(err)
		}
		if doubt && !decides(failed) {
			return &OutcomeUnknownError{TxnID: id, Last: failed}
		}
		failed.MaybeApplied = doubt && !begun && mayHoldLater(failed)
		return failed
	}
}

// mayHoldLater reports whether what a commit was refused for can pass, so that a late duplicate
// could still be applied. An expectation that a key is absent can hold again, after a delete, and
// what could not be evaluated can be once something else is there;
// and a duplicate can be in time by its own count, once the daemon has forgotten that another
// was too late.
func mayHoldLater(failed *Error) bool {
	return failed.kind == ErrPreconditionFailed || failed.kind == ErrEvaluation || failed.kind == ErrLeaseHeld || failed.kind == ErrTxnExpired
}

// passing reports whether the same request may succeed later. A limit is for the caller
// to handle, unless it is one of load, or an earlier try is in doubt.
func passing(failed *Error, doubt bool) bool {
	switch failed.kind {
	case ErrUnavailable:
		return doubt || failed.passes()
	case ErrOutcomeUnknown:
		return true
	case ErrLimit, ErrDiskFull, ErrOverloaded:
		return doubt || failed.passes()
	}
	return false
}

// decides reports whether a refusal is about the transaction itself, so that no earlier
// try can have been applied. A refusal before the transaction was looked at, or because of
// corrupt data, says nothing about earlier tries.
func decides(failed *Error) bool {
	switch failed.kind {
	case ErrInvalid, ErrTxnNotFound, ErrTxnExpired, ErrTxnAborted, ErrTxnIDReused, ErrConflict, ErrPreconditionFailed, ErrEvaluation, ErrLeaseHeld, ErrLeaseLost:
		return true
	}
	return false
}
