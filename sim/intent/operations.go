package intent

import (
	"context"
	"encoding/json"

	"statehouse.dev/statehouse/client"
	"statehouse.dev/statehouse/history"
)

// Operations that the daemon evaluates. Each is a Transact, and written down as that.

// asked puts what a write says of what is there into the words of histories.
func asked(w *client.Write, out *history.Write) {
	switch {
	case w.Sum != nil:
		out.Op = history.Increment
		out.With = &history.Arguments{Pointer: w.Sum.Pointer, Delta: w.Sum.Delta.String(), Min: w.Sum.Least.String(), Max: w.Sum.Most.String()}
	case w.Patch:
		out.Op = history.Merge
	case w.Append:
		out.Op = history.Append
	case w.IfAbsent:
		out.Op = history.IfAbsent
	}
}

func results(c *client.Commit) (out []history.Result) {
	for _, r := range c.Results {
		out = append(out, history.Result{Key: r.Key, Version: uint64(r.Version), Value: valueText(r.Value, r.Bytes), Existed: r.Existed})
	}
	return out
}

func (c *Client) evaluate(ctx context.Context, w client.Write) (rec client.Record, existed bool, err error) {
	done, err := c.Transact(ctx, client.Batch{Writes: []client.Write{w}})
	if err != nil || len(done.Results) != 1 {
		return client.Record{}, false, err
	}
	return done.Record(0, w), done.Results[0].Existed, nil
}

// Increment commits an increment.
func (c *Client) Increment(ctx context.Context, agent, key, pointer string, delta json.Number, bounds ...client.Bound) (client.Record, error) {
	rec, _, err := c.evaluate(ctx, client.Increment(agent, key, pointer, delta, bounds...))
	return rec, err
}

// Merge commits a merge patch.
func (c *Client) Merge(ctx context.Context, agent, key string, patch json.RawMessage) (client.Record, error) {
	rec, _, err := c.evaluate(ctx, client.Merge(agent, key, patch))
	return rec, err
}

// Append commits an append.
func (c *Client) Append(ctx context.Context, agent, prefix string, value json.RawMessage) (client.Record, error) {
	rec, _, err := c.evaluate(ctx, client.Append(agent, prefix, value))
	return rec, err
}

// PutIfAbsent commits a value if the key does not exist.
func (c *Client) PutIfAbsent(ctx context.Context, agent, key string, value json.RawMessage) (rec client.Record, existed bool, err error) {
	return c.evaluate(ctx, client.PutIfAbsent(agent, key, value))
}
