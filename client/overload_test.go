package client

import (
	"context"
	"errors"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	pb "statehouse.dev/statehouse/proto/statehouse/v1"
)

// TestHintIsObeyed: a call that was refused for load waits as long as the daemon asks for and
// tries again, within its time; when that does not last so long, it says at once that nothing
// was applied.
func TestHintIsObeyed(t *testing.T) {
	at := time.Now() // deadlines of contexts are by the real clock
	var slept []time.Duration
	c, _ := New(nil, Config{
		Now: func() time.Time { return at }, Rand: func(p []byte) { clear(p) },
		Sleep: func(_ context.Context, d time.Duration) error {
			slept = append(slept, d)
			at = at.Add(d)
			return nil
		},
	})
	st, err := status.New(codes.ResourceExhausted, "overloaded").WithDetails(&pb.StatehouseError{
		Code: pb.ErrorCode_OVERLOADED, Details: map[string]string{"retry_after_ms": "700"},
	})
	if err != nil {
		t.Fatal(err)
	}
	const hint = 700 * time.Millisecond
	for name, call := range map[string]func(context.Context, attempt) error{
		"a read": c.call, "a call that is made once": c.callOnce,
		"a commit": func(ctx context.Context, try attempt) error { return c.commit(ctx, "t", false, false, try) },
	} {
		slept = nil
		tries := 0
		err := call(t.Context(), func(context.Context, ...grpc.CallOption) error {
			if tries++; tries < 3 {
				return st.Err()
			}
			return nil
		})
		if err != nil || tries != 3 || len(slept) != 2 || slept[0] < hint || slept[0] > hint*3/2 {
			t.Errorf("%s: %v after %d tries, pauses %v", name, err, tries, slept)
		}
	}
	refused := fromStatus(st.Err())
	if !errors.Is(refused, ErrOverloaded) || refused.RetryAfter != hint {
		t.Errorf("%v, again in %v", refused, refused.RetryAfter)
	}
	ctx, cancel := context.WithDeadline(t.Context(), at.Add(500*time.Millisecond))
	defer cancel()
	if err := c.pause(ctx, 0, refused); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a pause that is past the deadline: %v", err)
	}
	if !passing(refused, false) || decides(refused) {
		t.Error("a refusal for load is taken for an end")
	}
	if passing(&Error{kind: ErrLimit}, false) {
		t.Error("a limit without a hint is tried again")
	}
}
