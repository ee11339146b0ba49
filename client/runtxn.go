package client

import (
	"context"
	"errors"
	"fmt"
)

// RunTxn runs fn in a transaction and commits it. When something that fn read has
// changed meanwhile, or the daemon was restarted, it runs fn again in a fresh
// transaction, until ctx ends; so fn must do nothing but use the transaction, and
// start from nothing each time. A lost answer to the commit itself is resolved
// under the same id, see Transact. An error of fn aborts the transaction and is
// returned.
func (c *Client) RunTxn(ctx context.Context, fn func(*Txn) error) (Commit, error) {
	for n := 0; ; n++ {
		t, err := c.Begin(ctx, 0)
		if err != nil {
			return Commit{}, err
		}
		commit, err := t.run(ctx, fn)
		if err == nil || !t.again(err) {
			return commit, err
		}
		if ended := c.pause(ctx, n, err); ended != nil {
			return Commit{}, fmt.Errorf("giving up after %d tries (%w): %w", n+1, ended, err)
		}
	}
}

func (t *Txn) run(ctx context.Context, fn func(*Txn) error) (Commit, error) {
	committing := false
	defer func() {
		if !committing { // fn failed, or panics; without this it expires
			_ = t.c.once(ctx, t.abort)
		}
	}()
	if err := fn(t); err != nil {
		return Commit{}, err
	}
	if t.uncertain() != nil {
		return Commit{}, t.uncertain() // fn passed over it
	}
	committing = true
	return t.Commit(ctx)
}

func (t *Txn) uncertain() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.lost
}

// again tells whether a fresh transaction may fare better. A begun transaction
// that the daemon does not know was not committed: it was lost in a restart.
func (t *Txn) again(err error) bool {
	if errors.Is(err, ErrOutcomeUnknown) {
		return false
	}
	return errors.Is(err, ErrConflict) || errors.Is(err, ErrTxnNotFound) || t.uncertain() != nil ||
		errors.Is(err, ErrUnavailable) && !t.c.config.FailFast
}
