package intent

import (
	"context"
	"iter"

	"statehouse.dev/statehouse/client"
	"statehouse.dev/statehouse/history"
)

// list writes down a list, which is one call over all its pages. A page by itself is not written down: it
// says nothing of what is on others.
func list[T any](ctx context.Context, c *Client, kind history.Kind, in history.Input, seq iter.Seq2[T, error], take func(*history.Output, T)) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		op := c.call(kind, in)
		var out history.Output
		var failed error
		shown := uint64(0)
		for item, err := range seq {
			if err != nil {
				failed = err
			} else {
				take(&out, item)
				shown++
			}
			if !yield(item, err) {
				out.More = true
				break
			}
		}
		out.More = out.More || in.Limit > 0 && shown == in.Limit
		c.end(ctx, op, out, failed)
	}
}

func listInput(ns, txn, agent string, q *client.ListQuery) history.Input {
	in := history.Input{
		TxnID: txn, Namespace: ns, Agent: agent, Prefix: q.Prefix, Reverse: q.Reverse, Limit: uint64(max(q.Limit, 0)), NoValues: q.NoValues,
	}
	at(&in, q.At)
	return in
}

// ListKeys yields an agent's keys.
func (c *Client) ListKeys(ctx context.Context, agent string, q client.ListQuery) iter.Seq2[string, error] {
	return c.listKeys(ctx, "", agent, q, c.inner.ListKeys(ctx, agent, q))
}

func (c *Client) listKeys(ctx context.Context, txn, agent string, q client.ListQuery, seq iter.Seq2[string, error]) iter.Seq2[string, error] {
	if q.Page != nil {
		return seq
	}
	return list(ctx, c, history.ListKeys, listInput(c.ns, txn, agent, &q), seq, takeName)
}

func takeName(out *history.Output, name string) { out.Keys = append(out.Keys, name) }

// Scan yields an agent's records.
func (c *Client) Scan(ctx context.Context, agent string, q client.ListQuery) iter.Seq2[client.Record, error] {
	return c.scan(ctx, "", agent, q, c.inner.Scan(ctx, agent, q))
}

func (c *Client) scan(ctx context.Context, txn, agent string, q client.ListQuery, seq iter.Seq2[client.Record, error]) iter.Seq2[client.Record, error] {
	if q.Page != nil {
		return seq
	}
	return list(ctx, c, history.Scan, listInput(c.ns, txn, agent, &q), seq, func(out *history.Output, r client.Record) {
		out.ReadTS = uint64(r.ReadTS)
		out.Records = append(out.Records, record(r))
	})
}

// History yields the versions of a record.
func (c *Client) History(ctx context.Context, agent, key string, q client.HistoryQuery) iter.Seq2[client.HistoryEntry, error] {
	in := history.Input{Namespace: c.ns, Agent: agent, Key: key, OldestFirst: q.OldestFirst, Limit: uint64(max(q.Limit, 0)), NoValues: q.NoValues}
	at(&in, q.At)
	seq := c.inner.History(ctx, agent, key, q)
	if q.Page != nil {
		return seq
	}
	return list(ctx, c, history.KeyHistory, in, seq, func(out *history.Output, e client.HistoryEntry) {
		out.Records = append(out.Records, history.Record{
			Name: in.Name(), Exists: !e.Deleted, Version: uint64(e.Version), CommitTS: uint64(e.CommitTS), CommitTime: nanos(e.CommitTime),
			Value: valueText(e.Value, e.Bytes), TxnID: c.rec.o.Name(e.TxnID), Metadata: e.Metadata, Principal: e.Principal, TraceID: e.TraceID,
			Erased: e.Erased, Pruned: e.Pruned, Cause: e.Cause,
		})
	})
}

// ListAgents yields the namespace's agents.
func (c *Client) ListAgents(ctx context.Context, prefix string, page ...*client.Page) iter.Seq2[client.Agent, error] {
	in := history.Input{Namespace: c.ns, Prefix: prefix}
	seq := c.inner.ListAgents(ctx, prefix, page...)
	if len(page) > 0 {
		return seq
	}
	return list(ctx, c, history.ListAgents, in, seq, func(out *history.Output, a client.Agent) {
		out.Agents = append(out.Agents, history.Agent{Namespace: a.Namespace, Agent: a.Agent, FirstTS: uint64(a.First), HeadTS: uint64(a.Head), HeadTime: nanos(a.HeadTime)})
	})
}

// ListNamespaces yields the namespaces that have agents.
func (c *Client) ListNamespaces(ctx context.Context) iter.Seq2[string, error] {
	return list(ctx, c, history.ListSpaces, history.Input{}, c.inner.ListNamespaces(ctx), takeName)
}

// stream writes down a replay or watch, which is one call however often it was opened again.
func (c *Client) stream(ctx context.Context, kind history.Kind, in history.Input, seq iter.Seq2[client.Event, error]) iter.Seq2[client.Event, error] {
	return func(yield func(client.Event, error) bool) {
		op := c.call(kind, in)
		var failed error
		for ev, err := range seq {
			if err != nil {
				failed = err
			} else {
				c.rec.saw(op, ev)
			}
			if !yield(ev, err) && failed == nil {
				return // it stays unknown
			}
		}
		c.end(ctx, op, history.Output{}, failed)
	}
}

// saw writes down an event or mark of a stream.
func (r *Recorder) saw(op *history.Operation, ev client.Event) {
	ts := uint64(ev.CommitTS)
	r.mu.Lock()
	defer r.mu.Unlock()
	if ev.Mark {
		op.Batches = append(op.Batches, history.Batch{Time: r.o.Now(), Cursor: ts})
		return
	}
	if op.Kind == history.Watch && op.In.From == nil && len(op.Batches) == 0 { // no mark says where it began
		op.Batches = append(op.Batches, history.Batch{Time: r.o.Now(), Cursor: ts - 1})
	}
	op.Batches = append(op.Batches, history.Batch{Time: r.o.Now(), Cursor: ts, Events: []history.Event{r.event(ev)}})
}

// Replay yields past commits.
func (c *Client) Replay(ctx context.Context, q client.ReplayQuery) iter.Seq2[client.Event, error] {
	in := history.Input{
		Namespace: c.ns, Agent: q.Agent, AllAgents: q.AllAgents, Prefix: q.Prefix, FromTime: nanos(q.FromTime), ToTime: nanos(q.ToTime),
		Limit: uint64(max(q.Limit, 0)), NoValues: q.NoValues,
	}
	if q.From > 0 {
		in.From = new(uint64(q.From))
	}
	if q.To > 0 {
		in.To = new(uint64(q.To))
	}
	return c.stream(ctx, history.Replay, in, c.inner.Replay(ctx, q))
}

// Watch yields commits as they are made.
func (c *Client) Watch(ctx context.Context, q client.WatchQuery) iter.Seq2[client.Event, error] {
	in := history.Input{Namespace: c.ns, Agent: q.Agent, AllAgents: q.AllAgents, Prefix: q.Prefix, NoValues: q.NoValues}
	if !q.FromNow {
		in.From = new(uint64(q.After))
	}
	return c.stream(ctx, history.Watch, in, c.inner.Watch(ctx, q))
}
