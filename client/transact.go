package client

import (
	"context"

	"google.golang.org/grpc"

	"statehouse.dev/statehouse/client/footprint"
	"statehouse.dev/statehouse/client/state"
	pb "statehouse.dev/statehouse/proto/statehouse/v1"
)

// Transact commits a batch in one round trip: all of it or nothing. If the answer is
// lost it sends the batch again under the same id, which takes effect once, until ctx
// ends; then the error is an *OutcomeUnknownError.
func (c *Client) Transact(ctx context.Context, b Batch) (Commit, error) {
	if b.TxnID == "" {
		b.TxnID = c.newTxnID()
	}
	req, err := c.transactRequest(b)
	if err != nil {
		return Commit{}, err
	}
	var resp *pb.TransactResponse
	err = c.commit(ctx, b.TxnID, false, false, func(ctx context.Context, opts ...grpc.CallOption) (err error) {
		resp, err = c.stub.Transact(ctx, req, opts...)
		return err
	})
	if err != nil {
		return Commit{}, err
	}
	if len(resp.GetVersions()) != len(b.Writes) {
		return Commit{}, broken("%d versions for %d writes", len(resp.GetVersions()), len(b.Writes))
	}
	return state.Committed(req, resp), nil
}

func (c *Client) transactRequest(b Batch) (*pb.TransactRequest, error) {
	keys, heads := state.Preconditions(c.config.Namespace, &b.Conditions)
	req := &pb.TransactRequest{TxnId: b.TxnID, KeyPreconditions: keys, HeadPreconditions: heads, Metadata: b.Metadata}
	for _, w := range b.Writes {
		if err := invalid(state.Check(&w)); err != nil {
			return nil, err
		}
		req.Operations = append(req.Operations, state.OperationOf(c.named(w.RecordName), w))
		if state.Evaluated(&w) {
			req.Encoding = c.encoding(false)
		}
	}
	return req, nil
}

// named is n in the client's namespace, unless it names one.
func (c *Client) named(n RecordName) RecordName { return state.Named(n, c.config.Namespace) }

// GetTransaction returns the state of a transaction by its id.
func (c *Client) GetTransaction(ctx context.Context, id string) (TxnOutcome, error) {
	resp, err := ask(ctx, c, c.stub.GetTransaction, &pb.GetTransactionRequest{TxnId: id})
	if err != nil {
		return TxnOutcome{}, err
	}
	out, known := state.Outcome(id, resp)
	if !known {
		return TxnOutcome{}, broken("transaction state %v", resp.GetState())
	}
	return out, nil
}

func (c *Client) newTxnID() string { return footprint.NewID(c.config.Now(), c.config.Rand) }
