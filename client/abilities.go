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
	// epoch is one that the store had when it was asked, or later: what is read after a transaction
	// has taken it down is of that epoch, or of one that began since.
	epoch string
}

// inEpoch is the epoch to take down when a transaction begins; "": the daemon does not say.
func (a *abilities) inEpoch() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.epoch
}

// learnEpoch takes down the epoch that the daemon has now.
func (a *abilities) learnEpoch(epoch string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if epoch != "" {
		a.epoch = epoch
	}
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
	resp, err := ask(ctx, c, c.stub.Transact, &pb.TransactRequest{TxnId: c.newTxnID(), Reads: &pb.ReadSet{}})
	if err != nil && !errors.Is(err, ErrInvalid) {
		return false, err
	}
	a := c.abilities
	a.learnEpoch(resp.GetEpoch())
	a.mu.Lock()
	defer a.mu.Unlock()
	a.known, a.reads = true, err == nil
	return a.reads, nil
}
