package admin

import (
	"context"
	"time"

	pb "statehouse.dev/statehouse/proto/statehouse/v1"
)

// OpenTxn is a transaction that the daemon holds open.
type OpenTxn struct {
	ID, Principal   string
	Begun, Deadline time.Time
	SnapshotTS      uint64
	Operations      uint64 // staged
	Bytes, Reads    uint64 // held, and keys and stretches read
}

// Transactions lists the open transactions, the oldest first.
func (c *Client) Transactions(ctx context.Context) ([]OpenTxn, error) {
	resp, err := ask(ctx, c, c.stub.ListTransactions, &pb.ListTransactionsRequest{})
	if err != nil {
		return nil, err
	}
	open := make([]OpenTxn, len(resp.GetTransactions()))
	for i, x := range resp.GetTransactions() {
		open[i] = OpenTxn{
			ID: x.GetTxnId(), Principal: x.GetPrincipal(), Begun: x.GetBeginTime().AsTime(), Deadline: x.GetExpireTime().AsTime(),
			SnapshotTS: x.GetSnapshotTs(), Operations: x.GetOperations(), Bytes: x.GetBytes(), Reads: x.GetReads(),
		}
	}
	return open, nil
}

// AbortTransaction aborts an open transaction, whoever began it.
func (c *Client) AbortTransaction(ctx context.Context, id string) error {
	_, err := ask(ctx, c, c.stub.AbortTransaction, &pb.AbortTransactionRequest{TxnId: id})
	return err
}

// SetLogLevel sets the level of the daemon's log, debug, info, warn or error, until it is restarted,
// and returns what it was.
func (c *Client) SetLogLevel(ctx context.Context, level string) (previous string, err error) {
	resp, err := ask(ctx, c, c.stub.SetLogLevel, &pb.SetLogLevelRequest{Level: level})
	return resp.GetPrevious(), err
}

// Diagnostics are texts about the daemon by name: metrics, config, log, goroutines; all that there
// are if none is asked for.
func (c *Client) Diagnostics(ctx context.Context, parts ...string) (map[string][]byte, error) {
	resp, err := ask(ctx, c, c.stub.GetDiagnostics, &pb.GetDiagnosticsRequest{Parts: parts})
	return resp.GetParts(), err
}
