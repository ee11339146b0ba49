package admin

import (
	"context"
	"errors"
	"io"
	"iter"

	"google.golang.org/grpc"

	"statehouse.dev/statehouse/client"
	pb "statehouse.dev/statehouse/proto/statehouse/v1"
)

// Erasure says what is to be erased.
type Erasure struct {
	Namespace string
	Agent     string // empty: the whole namespace, which All must confirm
	Key       string // empty: the whole agent
	All       bool
	Reason    string // kept with the commits of the erasure
	DryRun    bool   // only count what would go
	// Forks: what forks of the agent inherited, too. Else an erasure of that is refused.
	Forks bool
}

// ErasureProgress is how far an erasure has come.
type ErasureProgress struct {
	Keys, Values, Bytes uint64
	CommitTS            client.CommitTS // its last commit
	Done                bool
	Forks               []string // of a dry run: those that inherited something of it
}

// Erase removes values and metadata for good from a key, an agent or a namespace and from all of its
// history, and yields how far it is; the last one is Done. If the call breaks the daemon goes on:
// asked again it shows the same erasure, or that nothing is left.
func (c *Client) Erase(ctx context.Context, e Erasure) iter.Seq2[ErasureProgress, error] {
	req := &pb.EraseRequest{
		Namespace: e.Namespace, AgentId: e.Agent, Key: e.Key, All: e.All, Reason: e.Reason, DryRun: e.DryRun, Forks: e.Forks,
	}
	return follow(ctx, c.stub.Erase, req, func(m *pb.EraseProgress) ErasureProgress {
		return ErasureProgress{m.GetKeys(), m.GetValues(), m.GetBytes(), client.CommitTS(m.GetCommitTs()), m.GetDone(), m.GetForks()}
	})
}

// follow yields the messages of a stream until it ends. It has no timeout of its own.
func follow[Q, M, T any](ctx context.Context, method func(context.Context, Q, ...grpc.CallOption) (grpc.ServerStreamingClient[M], error), request Q, each func(*M) T) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		stream, err := method(ctx, request)
		for err == nil {
			var m *M
			if m, err = stream.Recv(); err == nil && !yield(each(m), nil) {
				return
			}
		}
		if !errors.Is(err, io.EOF) {
			var none T
			yield(none, client.Failure(ctx, err))
		}
	}
}
