package client

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"google.golang.org/grpc"

	"statehouse.dev/statehouse/client/footprint"
	"statehouse.dev/statehouse/client/state"
	pb "statehouse.dev/statehouse/proto/statehouse/v1"
)

const defaultTxnTimeout = 30 * time.Second

// localTxn is a transaction that is held in the client.
type localTxn struct {
	c        *Client
	id       string
	deadline time.Time

	mu     sync.Mutex
	held   footprint.Footprint
	sent   *pb.TransactRequest // once Commit was called: nothing changes from then on
	doubt  bool                // what was sent may have been applied
	over   error               // why it cannot be used any more
	result Commit              // if it is over because it has committed
}

func newLocalTxn(c *Client, id string, timeout time.Duration) *localTxn {
	t := &localTxn{c: c, id: id, deadline: c.config.Now().Add(timeout)}
	t.held.Reads.Epoch = c.abilities.inEpoch()
	return t
}

func (t *localTxn) snapshot() CommitTS {
	t.mu.Lock()
	defer t.mu.Unlock()
	at, _ := t.held.Reads.At() // 0: there is none yet
	return CommitTS(at)
}

func (t *localTxn) uncertain() error { return nil }

// left is the time until the deadline.
func (t *localTxn) left() time.Duration { return t.deadline.Sub(t.c.config.Now()) }

// usable is why the transaction cannot be written to or read from; nil: it can.
func (t *localTxn) usable() error {
	switch {
	case t.over != nil:
		return t.over
	case t.sent != nil:
		return local(pb.ErrorCode_TXN_ALREADY_COMMITTED, ErrTxnCommitted, "transaction %s is being committed", t.id)
	case t.left() <= 0:
		t.over = t.expired()
	}
	return t.over
}

func (t *localTxn) expired() error {
	return local(pb.ErrorCode_TXN_EXPIRED, ErrTxnExpired, "transaction %s reached its timeout: begin a new one", t.id)
}

func committed(id string) error {
	return local(pb.ErrorCode_TXN_ALREADY_COMMITTED, ErrTxnCommitted, "transaction %s has committed already: begin a new one", id)
}

// refused is why a footprint cannot take more, as an Error; nil for none.
func refused(err error) error {
	switch l := (*footprint.Limit)(nil); {
	case err == nil:
		return nil
	case errors.As(err, &l):
		return local(pb.ErrorCode_LIMIT_EXCEEDED, ErrLimit, "%v", l)
	}
	return broken("%v", err)
}

func (t *localTxn) stage(_ context.Context, w Write) error {
	w.Value = slices.Clone(w.Value) // the caller may use it again
	if w.Bytes != nil {
		w.Bytes = &Bytes{ContentType: w.Bytes.ContentType, Data: slices.Clone(w.Bytes.Data)}
	}
	o := state.OperationOf(w.RecordName, w)
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.usable(); err != nil {
		return err
	}
	return refused(t.held.Writes.Stage(o, t.c.config.TxnOps))
}

func (t *localTxn) commit(ctx context.Context, o *Conditions) (Commit, error) {
	req, err := t.freeze(o)
	switch {
	case errors.Is(err, ErrTxnCommitted):
		return t.result, nil // as Abort was told
	case err != nil:
		return Commit{}, err
	case req == nil: // it only read
		return t.end(Commit{TxnID: t.id, CommitTS: t.snapshot()}, committed(t.id)), nil
	}
	return t.send(ctx, req, t.left)
}

// send sends the commit until it is decided or ctx ends. left is the time that it has, when it
// is sent.
func (t *localTxn) send(ctx context.Context, req *pb.TransactRequest, left func() time.Duration) (Commit, error) {
	var resp *pb.TransactResponse
	err := t.c.commit(ctx, t.id, false, t.inDoubt(nil), func(ctx context.Context, opts ...grpc.CallOption) (err error) {
		resp, err = t.c.stub.Transact(ctx, footprint.Timed(req, left()), opts...)
		return err
	})
	if err == nil && len(resp.GetVersions()) != len(req.GetOperations()) {
		return Commit{}, broken("%d versions for %d writes", len(resp.GetVersions()), len(req.GetOperations()))
	}
	switch e := (*Error)(nil); {
	case errors.Is(err, ErrEpochChanged) && errors.As(err, &e):
		t.c.abilities.learnEpoch(e.Details["epoch"])
		t.end(Commit{}, err)
	case err == nil:
		return t.end(t.answer(req, resp), committed(t.id)), nil
	case errors.Is(err, ErrInvalid) && req.GetReads() != nil:
		if knows, failed := t.c.askForReads(ctx); failed == nil && !knows {
			err = &Error{Code: "UNIMPLEMENTED", kind: ErrUnimplemented, Message: "the daemon was replaced by an older one, which does not know what a transaction read: begin again"}
		}
		t.end(Commit{}, err)
	case errors.As(err, &e) && decides(e):
		t.end(Commit{}, err)
	}
	t.inDoubt(err)
	return Commit{}, err
}

// inDoubt reports whether a commit that was sent may have been applied, by this answer or one
// before.
func (t *localTxn) inDoubt(err error) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.doubt = t.doubt || errors.Is(err, ErrOutcomeUnknown)
	return t.doubt
}

// end takes down why the transaction cannot be used any more, and what it came to.
func (t *localTxn) end(c Commit, why error) Commit {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.over == nil {
		t.over, t.result = why, c
	}
	return t.result
}

// freeze makes the request that commits the transaction. There is one, however often it is
// sent: nothing can be added from then on. It is nil of one that only read.
func (t *localTxn) freeze(o *Conditions) (*pb.TransactRequest, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.sent != nil && t.over == nil {
		return t.sent, nil
	}
	if err := t.usable(); err != nil {
		return nil, err
	}
	if t.held.Writes.Empty() && len(o.Keys)+len(o.Heads) == 0 {
		return nil, nil
	}
	keys, heads := state.Preconditions(t.c.config.Namespace, o)
	req := &pb.TransactRequest{TxnId: t.id, KeyPreconditions: keys, HeadPreconditions: heads, Metadata: o.Metadata}
	t.held.Fill(req)
	if t.held.Writes.Evaluated() {
		req.Encoding = t.c.encoding(false)
	}
	t.sent = req
	return req, nil
}

// answer is what Commit returns, in the order that it documents.
func (t *localTxn) answer(req *pb.TransactRequest, resp *pb.TransactResponse) Commit {
	commit := state.Committed(req, resp)
	slices.SortStableFunc(commit.Versions, func(a, b KeyVersion) int {
		return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Agent, b.Agent))
	})
	return commit
}

// abort drops what is held here. If a commit was sent whose outcome is not known, it is sent
// once more with no time left: if it has not been committed by then, it never will be.
func (t *localTxn) abort(ctx context.Context) error {
	t.mu.Lock()
	over, sent := t.over, t.sent
	if over == nil && sent == nil {
		t.over = aborted(t.id)
		t.held.Forget()
	}
	t.mu.Unlock() // not held during a call
	switch {
	case errors.Is(over, ErrTxnCommitted):
		return over
	case over != nil || sent == nil:
		return nil
	}
	_, err := t.send(ctx, sent, func() time.Duration { return 0 })
	switch e := (*Error)(nil); {
	case err == nil:
		return committed(t.id)
	case errors.As(err, &e) && decides(e):
		return nil
	}
	return err
}

func (t *localTxn) drop(ctx context.Context) { _ = t.abort(ctx) }
