package clustertest_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"statehouse.dev/statehouse/cluster/clustertest"
	pb "statehouse.dev/statehouse/proto/statehouse/v1"
	"statehouse.dev/statehouse/server/wiretest"
)

// deposed is a cluster whose first leader is cut off, and does not know yet that another leads, which has made the second
// commit.
type deposed struct {
	*clustertest.Cluster
	old, leader *clustertest.Member
	began       string // a transaction that the old leader holds
}

func depose(t *testing.T) *deposed {
	t.Helper()
	c := clustertest.Start(t, clustertest.Options{})
	d := &deposed{Cluster: c, old: c.Leader()}
	must[*pb.TransactResponse](t)(at(t, d.old).Transact(c.Timeout(), &pb.TransactRequest{TxnId: "first", Operations: []*pb.TransactOperation{set("a", "k", `{"n":1}`)}}))
	d.began = must[*pb.BeginTransactionResponse](t)(at(t, d.old).BeginTransaction(c.Timeout(), &pb.BeginTransactionRequest{})).TxnId
	d.Settle()
	d.old.Freeze(true) // it still takes itself for the leader
	d.old.Cut(true)
	d.leader = c.Leader()
	must[*pb.TransactResponse](t)(at(t, d.leader).Transact(c.Timeout(), &pb.TransactRequest{TxnId: "second", Operations: []*pb.TransactOperation{set("a", "k", `{"n":2}`)}}))
	if d.leader == d.old || !d.old.Leads() {
		t.Fatal("the old leader knows that it is none")
	}
	return d
}

// unanswered fails the test unless a member has said nothing within the time that was left to it, or no more than that it
// cannot know.
func unanswered(t *testing.T, what string, err error) {
	t.Helper()
	d := detailOf(err)
	unknown := d.GetCode() == pb.ErrorCode_UNKNOWN || d.GetCode() == pb.ErrorCode_OUTCOME_UNKNOWN // its time is over
	if err == nil || !unknown && d.GetExactCode() != pb.ErrorCode_NOT_LEADER {
		t.Errorf("%s is answered: %v %v", what, err, d)
	}
}

// notLeader fails the test unless a member has refused because it cannot know that it leads.
func notLeader(t *testing.T, what string, err error) {
	t.Helper()
	if d := detailOf(err); status.Code(err) != codes.Unavailable || d.GetExactCode() != pb.ErrorCode_NOT_LEADER || d.GetCode() != pb.ErrorCode_UNAVAILABLE || d.GetDetails()["retry_after_ms"] == "" {
		t.Errorf("%s: %v %v", what, err, detailOf(err))
	}
}

// TestDeposedAnswersNothing: a leader that was deposed and does not know it answers no read, no refusal and no
// question about a transaction: all would be of what was the newest once.
func TestDeposedAnswersNothing(t *testing.T) {
	d := depose(t)
	old := at(t, d.old)
	one := uint64(1)
	for what, ask := range map[string]func(ctx context.Context) error{ // any order
		"a read": func(ctx context.Context) error {
			r, err := old.GetState(ctx, get("a", "k"))
			if err == nil {
				t.Errorf("it read %s", r.ValueJson)
			}
			return err
		},
		"a list": func(ctx context.Context) error {
			_, err := old.ListKeys(ctx, &pb.ListKeysRequest{AgentId: "a"})
			return err
		},
		"a batch as of a commit to come": func(ctx context.Context) error {
			_, err := old.BatchGetState(ctx, &pb.BatchGetStateRequest{At: &pb.At{Point: &pb.At_CommitTs{CommitTs: 2}}})
			return err
		},
		"the beginning of a transaction": func(ctx context.Context) error {
			_, err := old.BeginTransaction(ctx, &pb.BeginTransactionRequest{})
			return err
		},
		"a transaction's outcome": func(ctx context.Context) error {
			_, err := old.GetTransaction(ctx, &pb.GetTransactionRequest{TxnId: "second"})
			return err
		},
		"a precondition": func(ctx context.Context) error {
			_, err := old.Transact(ctx, &pb.TransactRequest{
				TxnId: "third", Operations: []*pb.TransactOperation{set("a", "k", `{}`)},
				KeyPreconditions: []*pb.KeyPrecondition{{AgentId: "a", Key: "k", ExpectedVersion: 2}},
			})
			return err
		},
		"a commit of a transaction that began elsewhere": func(ctx context.Context) error {
			_, err := old.Commit(ctx, &pb.CommitRequest{TxnId: "00000000-0000-7000-8000-000000000000"})
			return err
		},
		"an id that was used elsewhere": func(ctx context.Context) error {
			_, err := old.Transact(ctx, &pb.TransactRequest{TxnId: d.began, Operations: []*pb.TransactOperation{set("a", "k", `{}`)}})
			return err
		},
		"a write in a transaction that began elsewhere": func(ctx context.Context) error {
			_, err := old.Write(ctx, &pb.WriteRequest{TxnId: "00000000-0000-7000-8000-000000000000", AgentId: "a", Key: "k", ValueJson: []byte(`{}`)})
			return err
		},
		"a replay": func(ctx context.Context) error {
			s, err := old.ReplayBatches(ctx, &pb.ReplayRequest{AgentId: "a"})
			if err == nil {
				_, err = s.Recv()
			}
			return err
		},
		"a watch from now on": func(ctx context.Context) error {
			s, err := old.Watch(ctx, &pb.WatchRequest{AgentId: "a"})
			if err == nil {
				_, err = s.Recv()
			}
			return err
		},
	} {
		t.Run(what, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond)
			defer cancel()
			unanswered(t, what, ask(ctx))
		})
	}
	if !d.old.Leads() {
		t.Error("the old leader has noticed, and nothing was tried")
	}
	// What is as of a commit that it has is the same for ever.
	asOf := get("a", "k")
	asOf.At = &pb.At{Point: &pb.At_CommitTs{CommitTs: 1}}
	if r, err := old.GetState(d.Timeout(), asOf); err != nil || string(r.ValueJson) != `{"n":1}` {
		t.Errorf("as of commit 1 it has %v, %v", r, err)
	}
	s, err := old.ReplayBatches(d.Timeout(), &pb.ReplayRequest{AgentId: "a", EndTs: &one})
	if err == nil {
		var b *pb.EventBatch
		if b, err = s.Recv(); err == nil && len(b.Events) != 1 {
			t.Errorf("up to commit 1 there are %v", b)
		}
	}
	if err != nil {
		t.Errorf("a replay up to commit 1: %v", err)
	}
}

// TestCutOff: a member that has noticed that it is cut off says so at once.
func TestCutOff(t *testing.T) {
	d := depose(t)
	d.old.Freeze(false)
	_, err := at(t, d.old).GetState(d.Timeout(), get("a", "k"))
	notLeader(t, "a read", err)
	_, err = at(t, d.old).Transact(d.Timeout(), &pb.TransactRequest{TxnId: "third", Operations: []*pb.TransactOperation{set("a", "k", `{}`)}})
	notLeader(t, "a commit", err)
	_, err = at(t, d.old).GetStateAtVersion(d.Timeout(), &pb.GetStateAtVersionRequest{AgentId: "a", Key: "k", Version: 2})
	notLeader(t, "a version", err)
}

// TestDeposedComesBack: once it is let back a deposed leader has what was committed meanwhile, and nothing else.
func TestDeposedComesBack(t *testing.T) {
	d := depose(t)
	lost := make(chan error, 1)
	go func() {
		_, err := at(t, d.old).Transact(d.Timeout(), &pb.TransactRequest{TxnId: "lost", Operations: []*pb.TransactOperation{set("a", "k", `{"n":9}`)}})
		lost <- err
	}()
	d.Eventually("the deposed leader has the commit", func() error {
		if d.old.Service().Held().Requests.UnderWay == 0 {
			return wiretest.ErrNotYet
		}
		return nil
	})
	d.old.Freeze(false)
	d.old.Cut(false)
	if err := <-lost; !slices.Contains([]pb.ErrorCode{pb.ErrorCode_OUTCOME_UNKNOWN, pb.ErrorCode_UNAVAILABLE}, detailOf(err).GetCode()) {
		t.Errorf("a commit of a deposed leader: %v", err)
	}
	d.Settle()
	for _, m := range d.Members {
		r := must[*pb.GetStateResponse](t)(at(t, m).GetState(d.Timeout(), get("a", "k")))
		o := must[*pb.GetTransactionResponse](t)(at(t, m).GetTransaction(d.Timeout(), &pb.GetTransactionRequest{TxnId: "lost"}))
		if string(r.ValueJson) != `{"n":2}` || r.Version != 2 || o.State != pb.TransactionState_TRANSACTION_STATE_NEVER_SEEN {
			t.Errorf("member %d has %v, and of what was lost says %v", m.ID, r, o.State)
		}
	}
}
