package client

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"
	"time"

	"google.golang.org/grpc"

	pb "statehouse.dev/statehouse/proto/statehouse/v1"
)

// Txn is a transaction held open in the daemon. It reads a snapshot taken at
// begin, under its own writes; Commit fails with ErrConflict when something that it
// read has changed since. It may be used by several goroutines at once.
type Txn struct {
	// Conditions are sent by Commit. Set them before.
	Conditions

	c        *Client
	id       string
	snapshot CommitTS

	mu     sync.Mutex
	lost   error // of a write whose answer was lost: it may not have been staged
	done   bool
	commit Commit // when done by Commit
	err    error
}

// Begin opens a transaction that the daemon aborts after timeout; 0 means the daemon's
// default, 30 s. Abort a transaction that is no longer wanted.
func (c *Client) Begin(ctx context.Context, timeout time.Duration) (*Txn, error) {
	req := &pb.BeginTransactionRequest{}
	switch {
	case timeout < 0:
		return nil, invalidf("the timeout of a transaction is negative: %v", timeout)
	case timeout > 0:
		req.TimeoutMs = new(uint64(max(timeout.Milliseconds(), 1)))
	}
	// It may be repeated: a transaction whose id is lost expires.
	resp, err := ask(ctx, c, c.stub.BeginTransaction, req)
	if err != nil {
		return nil, err
	}
	return &Txn{c: c, id: resp.GetTxnId(), snapshot: CommitTS(resp.GetSnapshotTs())}, nil
}

// ID is the transaction's id.
func (t *Txn) ID() string { return t.id }

// Snapshot is the commit that the transaction reads after.
func (t *Txn) Snapshot() CommitTS { return t.snapshot }

// Write stages a value, a JSON object. No other client can see it before Commit.
func (t *Txn) Write(ctx context.Context, agent, key string, value []byte) error {
	return t.Stage(ctx, Put(agent, key, value))
}

// Delete stages a delete.
func (t *Txn) Delete(ctx context.Context, agent, key string) error {
	return t.Stage(ctx, Delete(agent, key))
}

// Stage stages a write or delete, with its condition.
//
// If the answer is lost it is not sent again: a late duplicate could undo a later write
// of the same key. The transaction can then not be committed, and RunTxn begins another.
func (t *Txn) Stage(ctx context.Context, w Write) error {
	if err := checkWrite(&w); err != nil {
		return err
	}
	n := t.c.named(w.RecordName)
	err := t.c.callOnce(ctx, func(ctx context.Context, opts ...grpc.CallOption) (err error) {
		if w.Tombstone {
			_, err = t.c.stub.Delete(ctx, &pb.DeleteRequest{
				TxnId: t.id, Namespace: n.Namespace, AgentId: n.Agent, Key: n.Key, ExpectedVersion: (*uint64)(w.Expected),
			}, opts...)
			return err
		}
		_, err = t.c.stub.Write(ctx, &pb.WriteRequest{
			TxnId: t.id, Namespace: n.Namespace, AgentId: n.Agent, Key: n.Key, ValueJson: w.Value, ExpectedVersion: (*uint64)(w.Expected),
		}, opts...)
		return err
	})
	if e := (*Error)(nil); errors.As(err, &e) && e.sent && !e.Answered {
		t.mu.Lock()
		t.lost = err
		t.mu.Unlock()
	}
	return err
}

// Get reads a record inside the transaction.
func (t *Txn) Get(ctx context.Context, agent, key string) (Record, error) {
	return t.c.get(ctx, t.id, agent, key, At{})
}

// BatchGet reads records inside the transaction, in their order.
func (t *Txn) BatchGet(ctx context.Context, names ...RecordName) ([]Record, error) {
	return t.c.batchGet(ctx, t.id, names, At{})
}

// ListKeys yields an agent's keys as the transaction sees them. q.At must be unset.
func (t *Txn) ListKeys(ctx context.Context, agent string, q ListQuery) iter.Seq2[string, error] {
	return t.c.listKeys(ctx, t.id, agent, q)
}

// Scan yields an agent's records as the transaction sees them. q.At must be unset.
func (t *Txn) Scan(ctx context.Context, agent string, q ListQuery) iter.Seq2[Record, error] {
	return t.c.scan(ctx, t.id, agent, q)
}

// Commit makes all that was staged durable, or none of it. If the answer is lost it is
// sent again until ctx ends; then the error is an *OutcomeUnknownError. A second call
// returns the same, unless the outcome was unknown or the daemon could not be reached:
// then it tries again.
func (t *Txn) Commit(ctx context.Context) (Commit, error) {
	t.mu.Lock()
	done, commit, err, lost := t.done, t.commit, t.err, t.lost
	t.mu.Unlock() // not held during a call
	if done {
		return commit, err
	}
	if lost != nil {
		return Commit{}, fmt.Errorf("transaction %s is not committed, for it is not known whether all its writes arrived (%w): abort it and begin again", t.id, lost)
	}
	keys, heads := t.c.conditions(&t.Conditions)
	req := &pb.CommitRequest{TxnId: t.id, Metadata: t.Metadata, KeyPreconditions: keys, HeadPreconditions: heads}
	var resp *pb.CommitResponse
	err = t.c.commit(ctx, t.id, true, func(ctx context.Context, opts ...grpc.CallOption) (err error) {
		resp, err = t.c.stub.Commit(ctx, req, opts...)
		return err
	})
	if err != nil {
		if e := (*Error)(nil); errors.As(err, &e) && decides(e) {
			t.end(Commit{}, err)
		}
		return Commit{}, err
	}
	commit = Commit{TxnID: t.id, CommitTS: CommitTS(resp.GetCommitTs()), CommitTime: timeOf(resp.GetCommitTime()), Versions: keyVersions(resp.GetVersions())}
	t.end(commit, nil)
	return commit, nil
}

// end records the outcome. The daemon gives every call the same one, so the first stays.
func (t *Txn) end(c Commit, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.done {
		t.done, t.commit, t.err = true, c, err
	}
}

// Abort drops the transaction. It fails with ErrTxnCommitted if the transaction has
// committed; aborting twice is no error.
func (t *Txn) Abort(ctx context.Context) error {
	err := t.c.call(ctx, t.abort)
	if err == nil {
		t.end(Commit{}, &Error{Code: Code(pb.ErrorCode_TXN_ABORTED.String()), Message: fmt.Sprintf("transaction %s was aborted", t.id), kind: ErrTxnAborted})
	}
	return err
}

func (t *Txn) abort(ctx context.Context, opts ...grpc.CallOption) error {
	_, err := t.c.stub.Abort(ctx, &pb.AbortRequest{TxnId: t.id}, opts...)
	return err
}
