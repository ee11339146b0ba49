package intent

import (
	"context"
	"errors"
	"iter"

	"statehouse.dev/statehouse/client"
	"statehouse.dev/statehouse/history"
)

// Txn is a client.Txn whose user's calls are written down.
type Txn struct {
	client.Conditions // sent by Commit

	c     *Client
	inner *client.Txn
	begin *history.Operation
	title string
	lost  bool // it is not known whether a write arrived
}

// ID is the transaction's id.
func (t *Txn) ID() string { return t.inner.ID() }

// Snapshot is the commit that the transaction reads after.
func (t *Txn) Snapshot() client.CommitTS { return t.inner.Snapshot() }

// Held reports whether the transaction is held in the daemon.
func (t *Txn) Held() bool { return t.inner.Held() }

// fixed writes down the snapshot that the first read of a transaction has fixed which the
// client holds.
func (t *Txn) fixed() {
	t.c.rec.mu.Lock()
	defer t.c.rec.mu.Unlock()
	t.begin.Out.SnapshotTS = uint64(t.inner.Snapshot())
}

// Write stages a value.
func (t *Txn) Write(ctx context.Context, agent, key string, value []byte) error {
	return t.stage(ctx, client.Put(agent, key, value), func() error { return t.inner.Write(ctx, agent, key, value) })
}

// Delete stages a delete.
func (t *Txn) Delete(ctx context.Context, agent, key string) error {
	return t.stage(ctx, client.Delete(agent, key), func() error { return t.inner.Delete(ctx, agent, key) })
}

// Stage stages a write or delete, with its condition.
func (t *Txn) Stage(ctx context.Context, w client.Write) error {
	return t.stage(ctx, w, func() error { return t.inner.Stage(ctx, w) })
}

func (t *Txn) stage(ctx context.Context, w client.Write, do func() error) error {
	kind, n := history.StageWrite, named(t.c.ns, w.RecordName)
	if w.Tombstone {
		kind = history.StageDelete
	}
	op := t.c.call(kind, history.Input{
		TxnID: t.title, Namespace: n.Namespace, Agent: n.Agent, Key: n.Key, Value: valueText(w.Value, w.Bytes), Expected: (*uint64)(w.Expected),
	})
	err := do()
	t.c.end(ctx, op, history.Output{}, err)
	if op.Outcome == history.Unknown {
		t.c.rec.mu.Lock()
		defer t.c.rec.mu.Unlock()
		t.lost = true
	}
	return err
}

// Get reads a record inside the transaction.
func (t *Txn) Get(ctx context.Context, agent, key string) (client.Record, error) {
	in := history.Input{TxnID: t.title, Namespace: t.c.ns, Agent: agent, Key: key}
	defer t.fixed()
	return t.c.one(ctx, history.Get, in, func() (client.Record, error) { return t.inner.Get(ctx, agent, key) })
}

// BatchGet reads records inside the transaction.
func (t *Txn) BatchGet(ctx context.Context, names ...client.RecordName) ([]client.Record, error) {
	defer t.fixed()
	return t.c.many(ctx, history.Input{TxnID: t.title}, names, func() ([]client.Record, error) { return t.inner.BatchGet(ctx, names...) })
}

// ListKeys yields an agent's keys as the transaction sees them.
func (t *Txn) ListKeys(ctx context.Context, agent string, q client.ListQuery) iter.Seq2[string, error] {
	return fixing(t, t.c.listKeys(ctx, t.title, agent, q, t.inner.ListKeys(ctx, agent, q)))
}

// Scan yields an agent's records as the transaction sees them.
func (t *Txn) Scan(ctx context.Context, agent string, q client.ListQuery) iter.Seq2[client.Record, error] {
	return fixing(t, t.c.scan(ctx, t.title, agent, q, t.inner.Scan(ctx, agent, q)))
}

func fixing[T any](t *Txn, seq iter.Seq2[T, error]) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		defer t.fixed()
		seq(yield)
	}
}

// Commit makes all that was staged durable, or none of it.
func (t *Txn) Commit(ctx context.Context) (client.Commit, error) {
	op := t.ask()
	done, err := t.inner.Commit(ctx)
	t.told(ctx, op, done, err)
	return done, err
}

// ask writes down that the transaction is to be committed.
func (t *Txn) ask() *history.Operation {
	in := changes(t.c.ns, &t.Conditions)
	in.TxnID = t.title
	op := t.c.rec.tagged(t.c.name, history.Commit, in)
	t.inner.Conditions = t.Conditions
	t.inner.Metadata = op.In.Metadata
	return op
}

// told writes down how a commit ended.
func (t *Txn) told(ctx context.Context, op *history.Operation, done client.Commit, err error) {
	t.c.end(ctx, op, commit(done), err)
	if t.lost && op.Error != nil {
		delete(op.Error.Details, gaveUp) // it was not to be sent
	}
}

// Abort drops the transaction.
func (t *Txn) Abort(ctx context.Context) error {
	op := t.c.call(history.Abort, history.Input{TxnID: t.title})
	err := t.inner.Abort(ctx)
	t.c.end(ctx, op, history.Output{}, err)
	return err
}

// RunTxn runs fn in transactions until one of them commits. Each run is a transaction; the
// commit of one that is run again has failed, for nothing else permits that.
func (c *Client) RunTxn(ctx context.Context, fn func(*Txn) error) (client.Commit, error) {
	begin := c.call(history.Begin, history.Input{})
	var t *Txn                        // of the run before
	var committing *history.Operation // it, unless the run itself has failed
	var ended int64                   // when it had run
	done, err := c.inner.RunTxn(ctx, func(inner *client.Txn) error {
		if committing != nil {
			c.end(ctx, committing, history.Output{}, errRunAgain)
		}
		if t != nil {
			begin = c.call(history.Begin, history.Input{})
			begin.Call = ended // it can have begun since then
		}
		t, committing = c.begun(ctx, begin, inner), nil
		err := fn(t)
		if err == nil {
			committing = t.ask()
		}
		ended = c.rec.now()
		return err
	})
	switch {
	case committing != nil:
		c.end(ctx, committing, commit(done), err)
		if ctx.Err() == nil && (errors.Is(err, client.ErrConflict) || errors.Is(err, client.ErrTxnNotFound)) && c.tireless {
			committing.Error.Details = map[string]string{gaveUp: committing.Error.Code}
		}
	case err == nil: // it says that a run has committed, and there is none
		op := c.rec.tagged(c.name, history.Commit, history.Input{})
		c.end(ctx, op, commit(done), nil)
	case t == nil:
		c.end(ctx, begin, history.Output{}, err)
	}
	return done, err
}

// errRunAgain is how the commit of a run ended that is followed by another.
var errRunAgain = errors.New("RunTxn ran the function again")
