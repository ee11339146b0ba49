package client

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"
	"time"

	"statehouse.dev/statehouse/client/state"
	pb "statehouse.dev/statehouse/proto/statehouse/v1"
)

// Txn is a transaction. It reads one snapshot, under its own writes; Commit fails with
// ErrConflict when something that it read has changed since. It may be used by several
// goroutines at once.
//
// Where it is held is decided when it begins. Begin holds it in the client: writes make no
// call, and Commit makes one, which carries what was written and read. BeginHeld holds it in
// the daemon: each write is a call, and what it holds there counts towards the daemon's
// limits.
type Txn struct {
	// Conditions are sent by Commit. Set them before.
	Conditions

	c  *Client
	id string
	in place

	mu     sync.Mutex
	done   bool
	commit Commit // when done by Commit
	err    error
}

// place is where a transaction is held.
type place interface {
	snapshot() CommitTS
	stage(ctx context.Context, w Write) error
	get(ctx context.Context, agent, key string) (Record, error)
	batchGet(ctx context.Context, names []RecordName) ([]Record, error)
	listKeys(ctx context.Context, agent string, q ListQuery) iter.Seq2[string, error]
	scan(ctx context.Context, agent string, q ListQuery) iter.Seq2[Record, error]
	commit(ctx context.Context, o *Conditions) (Commit, error)
	abort(ctx context.Context) error
	// drop is abort for a caller who does not care whether it succeeds.
	drop(ctx context.Context)
	// uncertain is why the transaction cannot be committed, although it has not ended.
	uncertain() error
}

// Begin opens a transaction that cannot be committed after timeout; 0 means 30 s. It is held
// in the client, and makes no call but for the first of a client, which asks the daemon
// whether it knows such transactions: for one that is older, Begin is BeginHeld.
func (c *Client) Begin(ctx context.Context, timeout time.Duration) (*Txn, error) {
	if timeout < 0 {
		return nil, negative(timeout)
	}
	knows, err := c.knowsReads(ctx)
	switch {
	case err != nil:
		return nil, err
	case !knows:
		return c.BeginHeld(ctx, timeout)
	}
	if timeout == 0 {
		timeout = defaultTxnTimeout
	}
	id := c.newTxnID()
	return &Txn{c: c, id: id, in: newLocalTxn(c, id, timeout)}, nil
}

// BeginHeld opens a transaction that is held in the daemon, which aborts it after timeout; 0
// means the daemon's default, 30 s. Abort one that is no longer wanted. Its snapshot is of
// now, and what it may write and read is bounded by the daemon's limits only.
func (c *Client) BeginHeld(ctx context.Context, timeout time.Duration) (*Txn, error) {
	req := &pb.BeginTransactionRequest{}
	switch {
	case timeout < 0:
		return nil, negative(timeout)
	case timeout > 0:
		req.TimeoutMs = new(uint64(max(timeout.Milliseconds(), 1)))
	}
	// It may be repeated: a transaction whose id is lost expires.
	resp, err := ask(ctx, c, c.stub.BeginTransaction, req)
	if err != nil {
		return nil, err
	}
	id := resp.GetTxnId()
	return &Txn{c: c, id: id, in: &heldTxn{c: c, id: id, at: CommitTS(resp.GetSnapshotTs())}}, nil
}

func negative(timeout time.Duration) error {
	return invalidf("the timeout of a transaction is negative: %v", timeout)
}

// ID is the transaction's id.
func (t *Txn) ID() string { return t.id }

// Snapshot is the commit that the transaction reads after. One that is held in the client
// has none (0) until its first read is answered.
func (t *Txn) Snapshot() CommitTS { return t.in.snapshot() }

// Held reports whether the transaction is held in the daemon.
func (t *Txn) Held() bool {
	_, held := t.in.(*heldTxn)
	return held
}

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
// In a transaction that is held in the daemon it is a call, which is not sent again if its
// answer is lost: a late duplicate could undo a later write of the same key. The transaction
// can then not be committed, and RunTxn begins another.
func (t *Txn) Stage(ctx context.Context, w Write) error {
	if err := invalid(state.Check(&w)); err != nil {
		return err
	}
	w.RecordName = t.c.named(w.RecordName)
	return t.in.stage(ctx, w)
}

// Get reads a record inside the transaction. One that it wrote has version 0.
func (t *Txn) Get(ctx context.Context, agent, key string) (Record, error) {
	return t.in.get(ctx, agent, key)
}

// BatchGet reads records inside the transaction, in their order.
func (t *Txn) BatchGet(ctx context.Context, names ...RecordName) ([]Record, error) {
	return t.in.batchGet(ctx, names)
}

// ListKeys yields an agent's keys as the transaction sees them. q.At must be unset. What has
// been yielded must not change before Commit, nor may a key appear among it; in a
// transaction that is held in the daemon that is so of whole pages.
func (t *Txn) ListKeys(ctx context.Context, agent string, q ListQuery) iter.Seq2[string, error] {
	return t.in.listKeys(ctx, agent, q)
}

// Scan yields an agent's records as the transaction sees them, as ListKeys does keys.
func (t *Txn) Scan(ctx context.Context, agent string, q ListQuery) iter.Seq2[Record, error] {
	return t.in.scan(ctx, agent, q)
}

// Commit makes all that was staged durable, or none of it. If the answer is lost it is
// sent again until ctx ends; then the error is an *OutcomeUnknownError. A second call
// returns the same, unless the outcome was unknown or the daemon could not be reached:
// then it tries again, with what the first one sent.
//
// A transaction that is held in the client and only read, without conditions, took effect at
// its snapshot. Commit makes no call for it, and returns no commit time.
func (t *Txn) Commit(ctx context.Context) (Commit, error) {
	t.mu.Lock()
	done, commit, err := t.done, t.commit, t.err
	t.mu.Unlock() // not held during a call
	if done {
		return commit, err
	}
	commit, err = t.in.commit(ctx, &t.Conditions)
	switch e := (*Error)(nil); {
	case err == nil:
		t.end(commit, nil)
	case errors.As(err, &e) && decides(e):
		t.end(Commit{}, err)
	}
	return commit, err
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
	err := t.in.abort(ctx)
	if err == nil {
		t.end(Commit{}, aborted(t.id))
	}
	return err
}

func aborted(id string) *Error {
	return local(pb.ErrorCode_TXN_ABORTED, ErrTxnAborted, "transaction %s was aborted", id)
}

// local is an error that no daemon was asked for.
func local(code pb.ErrorCode, kind error, format string, args ...any) *Error {
	return &Error{Code: Code(code.String()), Message: fmt.Sprintf(format, args...), kind: kind}
}
