package server

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	"statehouse.dev/statehouse/engine"
	pb "statehouse.dev/statehouse/proto/statehouse/v1"
)

// refusals are those that a caller is shown, a word each.
func (k *keyring) refusals(ctx context.Context, req *pb.ListRefusalsRequest) (words []string) {
	k.t.Helper()
	resp, err := k.ListRefusals(ctx, req)
	if err != nil {
		k.t.Fatal(err)
	}
	for _, r := range resp.GetRefusals() {
		words = append(words, fmt.Sprint(r.GetPrincipal(), " ", r.GetMethod(), " ", r.GetCode(), " ", r.GetNamespace(), "/", r.GetAgentId(), "/", r.GetKey(), r.GetLease(), " ", r.GetCount()))
	}
	return words
}

// Who was refused what is shown to whoever may read the namespace, with names of what was in the way; what has no
// namespace to whom it was said, and to an operator.
func TestRefusalsAreShown(t *testing.T) {
	var now atomic.Int64 // several goroutines ask for it
	now.Store(time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC).UnixNano())
	k := newKeyring(t, func(_ *Config, env *engine.Env) {
		env.Now = func() time.Time { return time.Unix(0, now.Add(int64(time.Millisecond))) }
	})
	ann, bob := k.create("ann", "write:a"), k.create("bob", "write:b")
	zero := uint64(0)
	write := func(secret, ns string) error {
		op := set(ns, "agent", "k", `{"secret":"of the value"}`)
		op.ExpectedVersion = &zero
		_, err := k.Transact(k.as(secret), &pb.TransactRequest{TxnId: k.id(), Operations: []*pb.TransactOperation{op}})
		return err
	}
	if err := write(ann, "a"); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		refused(t, "a second time", write(ann, "a"), codes.FailedPrecondition, pb.ErrorCode_PRECONDITION_FAILED)
	}
	refused(t, "elsewhere", write(bob, "a"), codes.PermissionDenied, pb.ErrorCode_PERMISSION_DENIED)
	_, err := k.GetStatus(k.as("wrong"), &pb.GetStatusRequest{})
	refused(t, "a stranger", err, codes.Unauthenticated, pb.ErrorCode_UNAUTHENTICATED)
	if err := k.rawFirst("Watch", wireOf(t, &pb.WatchRequest{Namespace: "a", AgentId: "agent"})); err == nil {
		t.Error("a watch without a key")
	}
	if _, err := k.GetTransaction(k.as(bob), &pb.GetTransactionRequest{}); err == nil {
		t.Error("a transaction without a name")
	}
	conflict := "ann Transact PRECONDITION_FAILED a/agent/k 3"
	denied := "bob Transact PERMISSION_DENIED a// 1"
	wants := func(what string, got []string, want ...string) {
		t.Helper()
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s:\n%q, want\n%q", what, got, want)
		}
	}
	wants("of the namespace", k.refusals(k.as(ann), &pb.ListRefusalsRequest{Namespace: "a"}), denied, conflict)
	wants("conflicts", k.refusals(k.as(ann), &pb.ListRefusalsRequest{Namespace: "a", Conflicts: true}), conflict)
	wants("one", k.refusals(k.as(ann), &pb.ListRefusalsRequest{Namespace: "a", Limit: 1}), denied)
	wants("all that ann may see", k.refusals(k.as(ann), &pb.ListRefusalsRequest{All: true}), denied, conflict)
	own := "bob GetTransaction INVALID_REQUEST // 1"
	wants("all that bob may see", k.refusals(k.as(bob), &pb.ListRefusalsRequest{All: true}), own)
	wants("all", k.refusals(k.root(), &pb.ListRefusalsRequest{All: true}), own, " Watch UNAUTHENTICATED // 1", " GetStatus UNAUTHENTICATED // 1", denied, conflict)
	_, err = k.ListRefusals(k.as(bob), &pb.ListRefusalsRequest{Namespace: "a"})
	refused(t, "another's namespace", err, codes.PermissionDenied, pb.ErrorCode_PERMISSION_DENIED)
	_, err = k.ListRefusals(k.root(), &pb.ListRefusalsRequest{Namespace: "a", All: true})
	refused(t, "all and one", err, codes.InvalidArgument, pb.ErrorCode_INVALID_REQUEST)
	now.Add(int64(time.Hour))
	wants("an hour later", k.refusals(k.as(ann), &pb.ListRefusalsRequest{Namespace: "a", Conflicts: true}))
}

// Who watches what, since when, and how far behind.
func TestStreamsAreShown(t *testing.T) {
	k := newKeyring(t)
	ann, bob := k.create("ann", "write:a"), k.create("bob", "read:b")
	if err := k.transact(k.root(), k.id(), "a"); err != nil {
		t.Fatal(err)
	}
	after := uint64(0)
	watch, err := k.Watch(k.as(ann), &pb.WatchRequest{Namespace: "a", AgentId: "a", KeyPrefix: "k", AfterTs: &after})
	if err != nil {
		t.Fatal(err)
	}
	for cursor := uint64(0); cursor == 0; {
		b, err := watch.Recv()
		if err != nil {
			t.Fatal(err)
		}
		cursor = b.GetCursor()
	}
	ctx, cancel := context.WithCancel(k.as(bob))
	t.Cleanup(cancel)
	session, err := k.StatehouseServiceClient.Session(ctx)
	if err != nil {
		t.Fatal(err)
	}
	talking := newTalk(t, session, cancel)
	go talking.read()
	if err := talking.call("Health", &pb.HealthRequest{}, &pb.HealthResponse{}); err != nil { // it has begun
		t.Fatal(err)
	}
	streams := func(secret string, req *pb.ListStreamsRequest) *pb.ListStreamsResponse {
		t.Helper()
		resp, err := k.ListStreams(k.as(secret), req)
		if err != nil {
			t.Fatal(err)
		}
		return resp
	}
	got := streams(ann, &pb.ListStreamsRequest{All: true})
	if got.Total != 1 || len(got.Streams) != 1 {
		t.Fatalf("ann sees %v", got)
	}
	w := got.Streams[0]
	if w.Kind != pb.StreamKind_STREAM_KIND_WATCH || w.Namespace != "a" || w.AgentId != "a" || w.KeyPrefix != "k" || w.Principal != "ann" || w.Peer != "" || w.Cursor != 1 || w.Lag != 0 || time.Since(w.BeginTime.AsTime()) > patience {
		t.Errorf("the watch is %v", w)
	}
	if got := streams(bob, &pb.ListStreamsRequest{All: true}); got.Total != 1 || got.Streams[0].Kind != pb.StreamKind_STREAM_KIND_SESSION || got.Streams[0].Principal != "bob" {
		t.Errorf("bob sees %v", got)
	}
	if got := streams(secret, &pb.ListStreamsRequest{All: true, Limit: 1}); got.Total != 2 || len(got.Streams) != 1 || got.Streams[0].Peer == "" {
		t.Errorf("an operator sees %v", got)
	}
	_, err = k.ListStreams(k.as(bob), &pb.ListStreamsRequest{Namespace: "a"})
	refused(t, "another's namespace", err, codes.PermissionDenied, pb.ErrorCode_PERMISSION_DENIED)
}
