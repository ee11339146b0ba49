package intent

import (
	"context"
	"errors"
	"io"
	"strings"
	"time"

	"google.golang.org/grpc"

	"statehouse.dev/statehouse/client"
	"statehouse.dev/statehouse/history"
)

// Client is a client.Client whose user's calls are written down. What is no operation of a
// history (Status, Health, …) passes through.
type Client struct {
	rec      *Recorder
	name     string
	inner    *client.Client
	ns       string
	tireless bool
}

// Client is inner with every call of it written down, as of the client of that name. tireless
// says that it has no timeouts of its own: what it can repeat is ended by its user's context
// alone.
func (r *Recorder) Client(name string, inner *client.Client, tireless bool) *Client {
	return &Client{rec: r, name: name, inner: inner, ns: inner.Namespace(), tireless: tireless}
}

// In is the same client in another namespace.
func (c *Client) In(namespace string) *Client {
	other := *c
	other.inner, other.ns = c.inner.In(namespace), namespace
	return &other
}

// The calls that are no operations.

func (c *Client) Namespace() string { return c.inner.Namespace() }
func (c *Client) Close() error      { return c.inner.Close() }

func (c *Client) Connection() grpc.ClientConnInterface { return c.inner.Connection() }

func (c *Client) Bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	return c.inner.Bounded(ctx)
}

func (c *Client) Status(ctx context.Context) (client.Status, error) { return c.inner.Status(ctx) }
func (c *Client) Health(ctx context.Context) error                  { return c.inner.Health(ctx) }
func (c *Client) Version(ctx context.Context) (client.Build, error) { return c.inner.Version(ctx) }

func (c *Client) StartCapture(ctx context.Context) (client.Capture, error) {
	return c.inner.StartCapture(ctx)
}

func (c *Client) StopCapture(ctx context.Context) (client.Capture, error) {
	return c.inner.StopCapture(ctx)
}

func (c *Client) CaptureStatus(ctx context.Context) (client.Capture, error) {
	return c.inner.CaptureStatus(ctx)
}

func (c *Client) DumpCapture(ctx context.Context, out io.Writer, r client.Redaction) error {
	return c.inner.DumpCapture(ctx, out, r)
}

func (c *Client) call(kind history.Kind, in history.Input) *history.Operation {
	return c.rec.call(c.name, kind, in)
}

// Transact commits a batch.
func (c *Client) Transact(ctx context.Context, b client.Batch) (client.Commit, error) {
	in := changes(c.ns, &b.Conditions)
	in.TxnID = c.rec.title(b.TxnID)
	for _, w := range b.Writes {
		in.Writes = append(in.Writes, write(c.ns, w))
	}
	op := c.rec.tagged(c.name, history.Transact, in)
	c.rec.learn(b.TxnID, op.In.TxnID)
	b.Metadata = op.In.Metadata
	done, err := c.inner.Transact(ctx, b)
	c.rec.learn(done.TxnID, op.In.TxnID)
	if unknown := (*client.OutcomeUnknownError)(nil); errors.As(err, &unknown) {
		c.rec.learn(unknown.TxnID, op.In.TxnID)
	}
	c.end(ctx, op, commit(done), err)
	return done, err
}

// GetTransaction asks what became of a transaction.
func (c *Client) GetTransaction(ctx context.Context, id string) (client.TxnOutcome, error) {
	title := c.rec.title(id)
	if title == "" {
		title = c.rec.o.Name(id)
	}
	op := c.call(history.GetTxn, history.Input{TxnID: title})
	state, err := c.inner.GetTransaction(ctx, id)
	out := commit(state.Commit)
	out.State = strings.ReplaceAll(string(state.State), " ", "_")
	c.end(ctx, op, out, err)
	return state, err
}

// Get reads a record.
func (c *Client) Get(ctx context.Context, agent, key string, points ...client.At) (client.Record, error) {
	in := history.Input{Namespace: c.ns, Agent: agent, Key: key}
	at(&in, points...)
	return c.one(ctx, history.Get, in, func() (client.Record, error) { return c.inner.Get(ctx, agent, key, points...) })
}

// GetAtVersion reads one version of a record.
func (c *Client) GetAtVersion(ctx context.Context, agent, key string, v client.Version) (client.Record, error) {
	in := history.Input{Namespace: c.ns, Agent: agent, Key: key, KeyVersion: uint64(v)}
	return c.one(ctx, history.GetVersion, in, func() (client.Record, error) { return c.inner.GetAtVersion(ctx, agent, key, v) })
}

// one writes down a call that reads one record.
func (c *Client) one(ctx context.Context, kind history.Kind, in history.Input, read func() (client.Record, error)) (client.Record, error) {
	op := c.call(kind, in)
	rec, err := read()
	c.end(ctx, op, history.Output{ReadTS: uint64(rec.ReadTS), Records: []history.Record{record(rec)}}, err)
	return rec, err
}

// BatchGet reads many records.
func (c *Client) BatchGet(ctx context.Context, names []client.RecordName, points ...client.At) ([]client.Record, error) {
	in := history.Input{}
	at(&in, points...)
	return c.many(ctx, in, names, func() ([]client.Record, error) { return c.inner.BatchGet(ctx, names, points...) })
}

// many writes down a call that reads records by their names.
func (c *Client) many(ctx context.Context, in history.Input, names []client.RecordName, read func() ([]client.Record, error)) ([]client.Record, error) {
	for _, n := range names {
		in.Names = append(in.Names, named(c.ns, n))
	}
	op := c.call(history.BatchGet, in)
	recs, err := read()
	var out history.Output
	for _, rec := range recs {
		out.ReadTS = uint64(rec.ReadTS)
		out.Records = append(out.Records, record(rec))
	}
	c.end(ctx, op, out, err)
	return recs, err
}

// Begin opens a transaction.
func (c *Client) Begin(ctx context.Context, timeout time.Duration) (*Txn, error) {
	return c.begin(ctx, timeout, c.inner.Begin)
}

// BeginHeld opens a transaction that is held in the daemon.
func (c *Client) BeginHeld(ctx context.Context, timeout time.Duration) (*Txn, error) {
	return c.begin(ctx, timeout, c.inner.BeginHeld)
}

func (c *Client) begin(ctx context.Context, timeout time.Duration, begin func(context.Context, time.Duration) (*client.Txn, error)) (*Txn, error) {
	op := c.call(history.Begin, history.Input{Limit: uint64(max(timeout.Milliseconds(), 0))})
	inner, err := begin(ctx, timeout)
	if err != nil {
		c.end(ctx, op, history.Output{}, err)
		return nil, err
	}
	return c.begun(ctx, op, inner), nil
}

// begun is the transaction that a begin has opened.
func (c *Client) begun(ctx context.Context, op *history.Operation, inner *client.Txn) *Txn {
	title := tagOf(op)
	c.rec.learn(inner.ID(), title)
	if !inner.Held() {
		op.In.Timeout, op.In.Limit = new(op.In.Limit), 0
	}
	c.end(ctx, op, history.Output{TxnID: title, SnapshotTS: uint64(inner.Snapshot())}, nil)
	return &Txn{c: c, inner: inner, begin: op, title: title}
}
