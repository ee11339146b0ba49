package client

import (
	"context"
	"errors"
	"regexp"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	pb "statehouse.dev/statehouse/proto/statehouse/v1"
)

func TestEveryCodeHasAKind(t *testing.T) {
	for n, name := range pb.ErrorCode_name {
		kind := codeKinds[pb.ErrorCode(n)]
		if kind == nil {
			t.Errorf("%s is not in the table", name)
		}
		s, err := status.New(codes.Internal, "outer").WithDetails(&pb.StatehouseError{Code: pb.ErrorCode(n), Message: "inner", Details: map[string]string{"a": "b"}})
		if err != nil {
			t.Fatal(err)
		}
		e := fromStatus(s.Err())
		if !errors.Is(e, kind) || string(e.Code) != name || e.Message != "inner" || e.Details["a"] != "b" || !e.Answered {
			t.Errorf("%s: got %+v", name, e)
		}
	}
	s, _ := status.New(codes.Internal, "outer").WithDetails(&pb.StatehouseError{Code: 9999})
	if e := fromStatus(s.Err()); !errors.Is(e, ErrInternal) || e.Code != "9999" || e.Message != "outer" {
		t.Errorf("a newer daemon's code: %+v", e)
	}
	for exact, want := range map[pb.ErrorCode]string{pb.ErrorCode_NOT_LEADER: "NOT_LEADER", 9999: "UNAVAILABLE"} {
		s, _ = status.New(codes.Unavailable, "").WithDetails(&pb.StatehouseError{Code: pb.ErrorCode_UNAVAILABLE, ExactCode: exact})
		if e := fromStatus(s.Err()); !errors.Is(e, ErrUnavailable) || string(e.Code) != want || !e.passes() {
			t.Errorf("exactly %v: %+v", exact, e)
		}
	}
	s, _ = status.New(codes.Internal, "").WithDetails(&pb.StatehouseError{Code: pb.ErrorCode_INTERNAL_ERROR, MaybeApplied: true})
	if e := fromStatus(s.Err()); !errors.Is(e, ErrOutcomeUnknown) {
		t.Errorf("an error that may have been applied: %+v", e)
	}
}

func TestStatusWithoutDetail(t *testing.T) {
	for code, want := range map[codes.Code]struct {
		kind     error
		answered bool
	}{
		codes.Unavailable:        {ErrUnavailable, false},
		codes.Internal:           {ErrUnavailable, false},
		codes.Unknown:            {ErrUnavailable, false},
		codes.Canceled:           {context.Canceled, false},
		codes.DeadlineExceeded:   {context.DeadlineExceeded, false},
		codes.ResourceExhausted:  {ErrLimit, true},
		codes.Unauthenticated:    {ErrUnauthenticated, true},
		codes.PermissionDenied:   {ErrUnauthenticated, true},
		codes.InvalidArgument:    {ErrInvalid, true},
		codes.Unimplemented:      {ErrUnimplemented, true},
		codes.FailedPrecondition: {ErrUnavailable, false},
	} {
		e := fromStatus(status.Error(code, "x"))
		if !errors.Is(e, want.kind) || e.Answered != want.answered {
			t.Errorf("%v: got %+v", code, e)
		}
	}
}

func TestNewTxnID(t *testing.T) {
	c, err := New(nil, Config{
		Now:  func() time.Time { return time.UnixMilli(0x0123456789ab) },
		Rand: func(p []byte) { copy(p, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff") },
	})
	if err != nil {
		t.Fatal(err)
	}
	if id := c.newTxnID(); id != "01234567-89ab-7fff-bfff-ffffffffffff" {
		t.Errorf("got %s", id)
	}
	real, _ := New(nil, Config{})
	a, b := real.newTxnID(), real.newTxnID()
	if !regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`).MatchString(a) || a == b {
		t.Errorf("got %s and %s", a, b)
	}
}

func TestPause(t *testing.T) {
	var slept time.Duration
	random := byte(0)
	c, _ := New(nil, Config{
		Rand:  func(p []byte) { p[0], p[1] = random, random },
		Sleep: func(_ context.Context, d time.Duration) error { slept = d; return nil },
	})
	for _, tt := range []struct {
		n          int
		random     byte
		from, upTo time.Duration
	}{
		{0, 0, firstPause, firstPause}, {0, 255, firstPause / 2, firstPause * 51 / 100},
		{3, 0, 8 * firstPause, 8 * firstPause}, {1000, 0, maxPause, maxPause}, {1000, 255, maxPause / 2, maxPause * 51 / 100},
	} {
		random = tt.random
		if err := c.pause(t.Context(), tt.n, ErrUnavailable); err != nil || slept < tt.from || slept > tt.upTo {
			t.Errorf("pause %d with random %d is %v", tt.n, tt.random, slept)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := c.pause(ctx, 0, ErrUnavailable); err != context.Canceled {
		t.Errorf("pausing after the end: %v", err)
	}
}
