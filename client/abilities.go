package client

import (
	"context"
	"errors"
	"sync"

	pb "statehouse.dev/statehouse/proto/statehouse/v1"
)

// abilities are what is known of the daemon, shared by the clients of a connection.
type abilities struct {
	mu    sync.Mutex
	known bool
	reads bool // it validates what a Transact says was read
}

// knowsReads reports whether the daemon validates read sets. It asks once: with a
// transaction that only says to have read nothing, which an older daemon takes for an empty
// one and refuses.
func (c *Client) knowsReads(ctx context.Context) (bool, error) {
	a := c.abilities
	a.mu.Lock()
	known, reads := a.known, a.reads
	a.mu.Unlock() // not held during a call
	if known {
		return reads, nil
	}
	return c.askForReads(ctx)
}

func (c *Client) askForReads(ctx context.Context) (bool, error) {
	_, err := ask(ctx, c, c.stub.Transact, &pb.TransactRequest{TxnId: c.newTxnID(), Reads: &pb.ReadSet{}})
	if err != nil && !errors.Is(err, ErrInvalid) {
		return false, err
	}
	a := c.abilities
	a.mu.Lock()
	defer a.mu.Unlock()
	a.known, a.reads = true, err == nil
	return a.reads, nil
}
