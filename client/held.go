package client

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"

	"google.golang.org/grpc"

	"statehouse.dev/statehouse/client/state"
	pb "statehouse.dev/statehouse/proto/statehouse/v1"
)

// heldTxn is a transaction that is held in the daemon.
type heldTxn struct {
	c  *Client
	id string
	at CommitTS

	mu   sync.Mutex
	lost error // of a write whose answer was lost: it may not have been staged
}

func (t *heldTxn) snapshot() CommitTS { return t.at }

func (t *heldTxn) stage(ctx context.Context, w Write) error {
	if state.Evaluated(&w) || w.TTL > 0 {
		return invalidf("key %q: a transaction that is held in the daemon takes writes and deletes only", w.Key)
	}
	err := t.c.callOnce(ctx, func(ctx context.Context, opts ...grpc.CallOption) (err error) {
		if w.Tombstone {
			_, err = t.c.stub.Delete(ctx, &pb.DeleteRequest{
				TxnId: t.id, Namespace: w.Namespace, AgentId: w.Agent, Key: w.Key, ExpectedVersion: (*uint64)(w.Expected),
			}, opts...)
			return err
		}
		p := state.PutOf(&w)
		_, err = t.c.stub.Write(ctx, &pb.WriteRequest{
			TxnId: t.id, Namespace: w.Namespace, AgentId: w.Agent, Key: w.Key, ValueJson: p.ValueJson, ExpectedVersion: (*uint64)(w.Expected),
			ValueBytes: p.ValueBytes, ContentType: p.ContentType,
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

func (t *heldTxn) uncertain() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.lost
}

func (t *heldTxn) get(ctx context.Context, agent, key string) (Record, error) {
	return t.c.get(ctx, t.id, agent, key, At{})
}

func (t *heldTxn) batchGet(ctx context.Context, names []RecordName) ([]Record, error) {
	return t.c.batchGet(ctx, t.id, names, At{})
}

func (t *heldTxn) listKeys(ctx context.Context, agent string, q ListQuery) iter.Seq2[string, error] {
	return t.c.listKeys(ctx, t.id, agent, q)
}

func (t *heldTxn) scan(ctx context.Context, agent string, q ListQuery) iter.Seq2[Record, error] {
	return t.c.scan(ctx, t.id, agent, q)
}

func (t *heldTxn) commit(ctx context.Context, o *Conditions) (Commit, error) {
	if lost := t.uncertain(); lost != nil {
		return Commit{}, fmt.Errorf("transaction %s is not committed, for it is not known whether all its writes arrived (%w): abort it and begin again", t.id, lost)
	}
	keys, heads := state.Preconditions(t.c.config.Namespace, o)
	req := &pb.CommitRequest{TxnId: t.id, Metadata: o.Metadata, KeyPreconditions: keys, HeadPreconditions: heads}
	var resp *pb.CommitResponse
	err := t.c.commit(ctx, t.id, true, false, func(ctx context.Context, opts ...grpc.CallOption) (err error) {
		resp, err = t.c.stub.Commit(ctx, req, opts...)
		return err
	})
	if err != nil {
		return Commit{}, err
	}
	return Commit{TxnID: t.id, CommitTS: CommitTS(resp.GetCommitTs()), CommitTime: state.TimeOf(resp.GetCommitTime()), Versions: state.KeyVersions(resp.GetVersions())}, nil
}

func (t *heldTxn) abort(ctx context.Context) error { return t.c.call(ctx, t.sendAbort) }

// drop makes one try: without it the transaction expires later.
func (t *heldTxn) drop(ctx context.Context) { _ = t.c.once(ctx, t.sendAbort) }

func (t *heldTxn) sendAbort(ctx context.Context, opts ...grpc.CallOption) error {
	_, err := t.c.stub.Abort(ctx, &pb.AbortRequest{TxnId: t.id}, opts...)
	return err
}
