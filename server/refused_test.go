package server

import (
	"strings"
	"testing"

	"google.golang.org/grpc"

	"statehouse.dev/statehouse/engine"
	pb "statehouse.dev/statehouse/proto/statehouse/v1"
)

// TestRefusedAtTheDoor: what the server refuses before the engine sees it may be a copy
// of what was committed. Then the refusal says so (G6), and of a fresh id it does not.
func TestRefusedAtTheDoor(t *testing.T) {
	r := newRig(t)
	request := func(id string) *pb.TransactRequest {
		return &pb.TransactRequest{TxnId: id, Operations: []*pb.TransactOperation{set("", "a", "k", string(textOf(300)))}}
	}
	if _, err := r.Transact(timeout(t), request("mine")); err != nil {
		t.Fatal(err)
	}
	begun := r.begin()
	if err := r.write(begun, "a", "l", "{}"); err != nil {
		t.Fatal(err)
	}
	if _, err := r.commit(begun); err != nil {
		t.Fatal(err)
	}
	doubted := func(what string, err error, want bool) {
		t.Helper()
		if d := detailOf(err); d == nil || d.MaybeApplied != want {
			t.Errorf("%s: %v, maybe_applied %v, want %v", what, err, d.GetMaybeApplied(), want)
		}
	}

	// No room for one more request.
	ask := func(method string, req any) error {
		_, err := r.service.Unary(timeout(t), req, &grpc.UnaryServerInfo{FullMethod: method}, nil)
		return err
	}
	taken := 0
	for ; r.service.requests.Enter() == nil; taken++ {
	}
	doubted("a copy, at the limit of requests", ask("Transact", request("mine")), true)
	doubted("a fresh one, at the limit of requests", ask("Transact", request("fresh")), false)
	doubted("a commit again, at the limit of requests", ask("Commit", &pb.CommitRequest{TxnId: begun}), true)
	doubted("a read, at the limit of requests", ask("GetState", &pb.GetStateRequest{AgentId: "a", Key: "k"}), false)
	for range taken {
		r.service.requests.Leave()
	}

	// The daemon comes back with a smaller limit, and gets what it took before.
	r.config.Engine.Limits = engine.Limits{ValueBytes: 200}
	r.restart()
	_, err := r.Transact(timeout(t), request("mine"))
	doubted("a copy, past the limit of values", err, true)
	_, err = r.Transact(timeout(t), request("fresh"))
	doubted("a fresh one, past the limit of values", err, false)
	if !strings.Contains(err.Error(), "200") {
		t.Errorf("%v does not name the limit", err)
	}
}
