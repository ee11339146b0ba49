package server

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	"statehouse.dev/statehouse/engine"
	pb "statehouse.dev/statehouse/proto/statehouse/v1"
)

// Transactions that their client holds: Transact with what was read.

func readsOf(snapshot uint64, keys ...*pb.ReadKey) *pb.ReadSet {
	return &pb.ReadSet{SnapshotTs: snapshot, Keys: keys}
}

func (r *rig) held(id string, reads *pb.ReadSet, ops ...*pb.TransactOperation) (*pb.TransactResponse, error) {
	return r.Transact(timeout(r.t), &pb.TransactRequest{TxnId: id, Reads: reads, Operations: ops})
}

func TestReadSet(t *testing.T) {
	r := newRig(t)
	r.transact(set("", "a", "k", `{"v":1}`), set("", "a", "gone", `{}`), set("", "a", "note/b", `{}`), set("", "a", "note/d", `{}`)) // 1
	r.transact(remove("", "a", "gone"))                                                                                              // 2
	k := &pb.ReadKey{AgentId: "a", Key: "k", Version: 1}
	for _, holds := range []*pb.ReadSet{
		{SnapshotTs: 2}, readsOf(2, k), readsOf(1, k), readsOf(2, &pb.ReadKey{AgentId: "a", Key: "gone", Version: 2}),
		readsOf(2, &pb.ReadKey{Namespace: "default", AgentId: "a", Key: "never"}),
		{SnapshotTs: 2, Ranges: []*pb.ReadRange{{AgentId: "a"}, {AgentId: "nobody"}}},
		{SnapshotTs: 1, Ranges: []*pb.ReadRange{{AgentId: "a", Prefix: "note/"}, {AgentId: "a", First: "h", Last: "m"}}},
	} {
		got, err := r.held(r.id(), holds)
		if err != nil || got.CommitTs != 2 || len(got.Versions) != 0 {
			t.Errorf("%v: %v %v, want to hold at commit 2", holds, got, err)
		}
	}
	for _, changed := range []*pb.ReadSet{
		readsOf(2, &pb.ReadKey{AgentId: "a", Key: "k"}), readsOf(2, &pb.ReadKey{AgentId: "a", Key: "gone", Version: 1}), readsOf(2, k, &pb.ReadKey{AgentId: "a", Key: "gone"}),
		{SnapshotTs: 1, Ranges: []*pb.ReadRange{{AgentId: "a", Prefix: "g"}}}, {Ranges: []*pb.ReadRange{{AgentId: "a", First: "note/c", Last: "note/d"}}},
	} {
		_, err := r.held(r.id(), changed, set("", "a", "w", `{}`))
		refused(t, changed.String(), err, codes.Aborted, pb.ErrorCode_CONFLICT, "")
	}
	long := strings.Repeat("x", 1025)
	for _, bad := range []*pb.ReadSet{
		{SnapshotTs: 3}, readsOf(2, &pb.ReadKey{AgentId: "a"}), readsOf(2, &pb.ReadKey{Key: "k"}), readsOf(2, &pb.ReadKey{AgentId: "a", Key: "\x01"}),
		{Ranges: []*pb.ReadRange{{}}}, {Ranges: []*pb.ReadRange{{AgentId: "a", Prefix: long}}}, {Ranges: []*pb.ReadRange{{AgentId: "a", First: long}}},
		{Ranges: []*pb.ReadRange{{AgentId: "a", Last: "\x00"}}},
	} {
		_, err := r.held(r.id(), bad, set("", "a", "w", `{}`))
		refused(t, bad.String(), err, codes.InvalidArgument, pb.ErrorCode_INVALID_REQUEST, "")
	}
	got, err := r.held("one", readsOf(2, k), set("", "a", "k", `{"v":2}`))
	if err != nil || got.CommitTs != 3 || got.Versions[0] != 2 {
		t.Fatalf("a commit that read what it wrote: %v %v", got, err)
	}
	_, err = r.held("two", readsOf(2, k), set("", "a", "k", `{"v":3}`))
	refused(t, "a commit that read what changed", err, codes.Aborted, pb.ErrorCode_CONFLICT, "k")
	_, err = r.held("two", readsOf(3, k), set("", "a", "k", `{"v":3}`))
	refused(t, "the same id with another snapshot", err, codes.FailedPrecondition, pb.ErrorCode_TXN_ID_REUSED, "two")
	_, err = r.held("one", nil, set("", "a", "k", `{"v":2}`))
	refused(t, "the same id without what it read", err, codes.FailedPrecondition, pb.ErrorCode_TXN_ID_REUSED, "one")
	for _, when := range []string{"at once", "after a restart"} {
		if got, err := r.held("one", readsOf(2, k, k), set("", "a", "k", `{"v":2}`)); err != nil || got.CommitTs != 3 {
			t.Errorf("sent again %s: %v %v", when, got, err)
		}
		r.restart()
	}
}

// TestReadSetOfOldDaemon: a daemon that knows no reads refuses the empty precondition that
// clients put beside them, as this one does where there are none.
func TestReadSetOfOldDaemon(t *testing.T) {
	r := newRig(t)
	req := &pb.TransactRequest{TxnId: "id", Operations: []*pb.TransactOperation{set("", "a", "k", `{}`)}, KeyPreconditions: []*pb.KeyPrecondition{{}}}
	_, err := r.Transact(timeout(t), req)
	refused(t, "an empty precondition", err, codes.InvalidArgument, pb.ErrorCode_INVALID_REQUEST, "agent_id")
	req.Reads = &pb.ReadSet{}
	if got, err := r.Transact(timeout(t), req); err != nil || got.CommitTs != 1 {
		t.Errorf("an empty precondition beside reads: %v %v", got, err)
	}
	req.KeyPreconditions = nil
	if got, err := r.Transact(timeout(t), req); err != nil || got.CommitTs != 1 {
		t.Errorf("the same without: %v %v", got, err)
	}
}

func TestReadSetLimits(t *testing.T) {
	r := newRig(t, func(c *Config, _ *engine.Env) { c.Engine.Limits.TxnReads = 3 })
	reads := readsOf(0, &pb.ReadKey{AgentId: "a", Key: "1"}, &pb.ReadKey{AgentId: "a", Key: "2"})
	reads.Ranges = []*pb.ReadRange{{AgentId: "a"}}
	if _, err := r.held("within", reads); err != nil {
		t.Error(err)
	}
	reads.Ranges = append(reads.Ranges, &pb.ReadRange{AgentId: "b"})
	_, err := r.held("above", reads)
	refused(t, "one more", err, codes.ResourceExhausted, pb.ErrorCode_LIMIT_EXCEEDED, "3")
}

// TestTransactTimeout: a turn that comes too late is refused, for good.
func TestTransactTimeout(t *testing.T) {
	r := newRig(t)
	send := func(id string, ms uint64) error {
		_, err := r.Transact(timeout(t), &pb.TransactRequest{TxnId: id, TimeoutMs: &ms, Operations: []*pb.TransactOperation{set("", "a", id, `{}`)}})
		return err
	}
	for _, ms := range []uint64{uint64(time.Hour.Milliseconds()), 1<<64 - 1} {
		if err := send(fmt.Sprint("within-", ms), ms); err != nil {
			t.Errorf("%d ms: %v", ms, err)
		}
	}
	refused(t, "no time left", send("late", 0), codes.DeadlineExceeded, pb.ErrorCode_TXN_EXPIRED, "late")
	refused(t, "sent again with time", send("late", 1000), codes.DeadlineExceeded, pb.ErrorCode_TXN_EXPIRED, "late")
	if o := r.state("late"); o.State != pb.TransactionState_TRANSACTION_STATE_EXPIRED {
		t.Errorf("its outcome is %v", o)
	}
}
