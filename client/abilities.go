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
	text  bool // it knows no values but JSON
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

// encoding is how values are asked for: as they are stored, unless the daemon is older than bytes.
func (c *Client) encoding(noValues bool) pb.ValueEncoding {
	a := c.abilities
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case noValues:
		return pb.ValueEncoding_VALUE_ENCODING_NONE
	case a.text:
		return pb.ValueEncoding_VALUE_ENCODING_JSON
	}
	return pb.ValueEncoding_VALUE_ENCODING_NATIVE
}

// onlyText reports whether a daemon has refused a read because it is older than bytes. From then on values are
// asked for as JSON.
func (c *Client) onlyText(failed *Error) bool {
	if failed.kind != ErrInvalid || failed.Details["field"] != "encoding" {
		return false
	}
	a := c.abilities
	a.mu.Lock()
	defer a.mu.Unlock()
	learnt := !a.text
	a.text = true
	return learnt
}
