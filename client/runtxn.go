package client

import (
	"context"
	"errors"
	"fmt"
)

// RunTxn runs fn in a transaction, as Begin opens it, and commits it. If something that fn read has changed
// meanwhile, or the daemon was restarted or its store restored, it runs fn again in a new transaction, until
// ctx ends. So fn must have no effects but through the transaction. RunTxn resolves a
// lost answer to the commit under the same id, as Transact does. If fn returns an error,
// RunTxn aborts the transaction and returns that error.
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
		if !committing { // fn failed or panicked
			t.in.drop(ctx)
		}
	}()
	if err := fn(t); err != nil {
		return Commit{}, err
	}
	if lost := t.in.uncertain(); lost != nil {
		return Commit{}, lost // fn ignored it
	}
	committing = true
	return t.Commit(ctx)
}

// again reports whether a new transaction may succeed. A begun transaction that the
// daemon does not know was not committed: it was lost in a restart. And a daemon that does
// not know what a transaction read is to hold the next one itself.
func (t *Txn) again(err error) bool {
	if errors.Is(err, ErrOutcomeUnknown) {
		return false
	}
	if errors.Is(err, ErrUnimplemented) && !t.Held() {
		return true
	}
	return errors.Is(err, ErrConflict) || errors.Is(err, ErrTxnNotFound) || t.in.uncertain() != nil ||
		errors.Is(err, ErrEpochChanged) || errors.Is(err, ErrOverloaded) || errors.Is(err, ErrUnavailable) && !t.c.config.FailFast
}
