package server

import (
	"context"
	"fmt"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	pb "statehouse.dev/statehouse/proto/statehouse/v1"
)

// endingContext ends when it was asked so often whether it has.
type endingContext struct {
	context.Context
	asks int
	err  error
}

func (c *endingContext) Err() error {
	if c.asks--; c.asks < 0 {
		return c.err
	}
	return nil
}

// TestDeadlineIsToldAsOne: a deadline that passes while rows are read is
// DEADLINE_EXCEEDED, a client that is gone CANCELLED, never one for the other.
func TestDeadlineIsToldAsOne(t *testing.T) {
	r := newRig(t)
	for i := range 3 {
		var made, gone []*pb.TransactOperation
		for j := range 500 {
			made, gone = append(made, set("", "a", fmt.Sprint(i, "-", j), "{}")), append(gone, remove("", "a", fmt.Sprint(i, "-", j)))
		}
		r.transact(made...)
		r.transact(gone...)
	}
	asks := map[string]func(ctx context.Context, req any) (any, error){
		"keys": func(ctx context.Context, _ any) (any, error) {
			return r.service.ListKeys(ctx, &pb.ListKeysRequest{AgentId: "a"})
		},
		"scan": func(ctx context.Context, _ any) (any, error) {
			return r.service.ScanPrefix(ctx, &pb.ScanPrefixRequest{AgentId: "a"})
		},
		"batch": func(ctx context.Context, _ any) (any, error) {
			names := make([]*pb.RecordName, 10)
			for i := range names {
				names[i] = &pb.RecordName{AgentId: "a", Key: "k"}
			}
			return r.service.BatchGetState(ctx, &pb.BatchGetStateRequest{Names: names})
		},
	}
	for what, ask := range asks { // independent of each other: any order
		for end, want := range map[error]codes.Code{context.DeadlineExceeded: codes.DeadlineExceeded, context.Canceled: codes.Canceled} { // any order
			ctx := &endingContext{context.Background(), 3, end}
			_, err := r.service.Unary(ctx, nil, &grpc.UnaryServerInfo{FullMethod: ownMethods + "Any"}, ask)
			if status.Code(err) != want {
				t.Errorf("%s, ended by %v: %v", what, end, err)
			}
		}
	}
}
