package workload

import (
	"context"
	"fmt"
	"iter"

	"statehouse.dev/statehouse/client"
)

// drain takes up to n items.
func drain[T any](seq iter.Seq2[T, error], n int) error {
	for _, err := range seq {
		if err != nil {
			return err
		}
		if n--; n <= 0 {
			return nil
		}
	}
	return nil
}

func scan(ctx context.Context, e *Env) error {
	agent := e.agent()
	if e.chance(0.3) {
		_, err := e.Client.Transact(ctx, client.Batch{Writes: []client.Write{client.Put(agent, e.key("reg/"), e.value())}})
		return err
	}
	q := client.ListQuery{Reverse: e.chance(0.4)}
	if e.chance(0.3) {
		q.Limit = 1 + e.Rand.IntN(6)
	}
	if e.chance(0.5) {
		q.Prefix = []string{"reg/", "one/", "tmp/", "r", "zzz"}[e.Rand.IntN(5)]
	}
	if e.chance(0.5) {
		return drain(e.Client.ListKeys(ctx, agent, q), 20)
	}
	last := ""
	for rec, err := range e.Client.Scan(ctx, agent, q) {
		if err != nil {
			return err
		}
		if last != "" && (rec.Key <= last) != q.Reverse {
			return &Broken{fmt.Sprintf("a scan yields %q after %q", rec.Key, last)}
		}
		last = rec.Key
	}
	return nil
}

func asOf(ctx context.Context, e *Env) error {
	agent, key := e.agent(), e.key("reg/")
	if len(e.seen) == 0 || e.chance(0.3) {
		c, err := e.Client.Transact(ctx, client.Batch{Writes: []client.Write{client.Put(agent, key, e.value())}})
		e.heard(c.CommitTS, c.CommitTime)
		return err
	}
	at := client.AtCommit(e.recall().ts)
	if e.chance(0.3) {
		at = client.AtTime(e.time())
	}
	switch e.Rand.IntN(4) {
	case 0:
		_, err := e.Client.BatchGet(ctx, []client.RecordName{{Agent: agent, Key: key}, {Agent: e.agent(), Key: "counter"}}, at)
		return err
	case 1:
		return drain(e.Client.Scan(ctx, agent, client.ListQuery{At: at, Reverse: e.chance(0.3)}), 12)
	case 2:
		return drain(e.Client.ListKeys(ctx, agent, client.ListQuery{At: at}), 12)
	}
	_, err := e.Client.Get(ctx, agent, key, at)
	return err
}

// watch follows some commits, breaks off, and goes on from where it was.
func watch(ctx context.Context, e *Env) error {
	if e.chance(0.3) {
		return replay(ctx, e)
	}
	q := client.WatchQuery{AllAgents: e.chance(0.5), Marks: true}
	if !q.AllAgents {
		q.Agent = e.agent()
	}
	if e.chance(0.7) {
		q.After = e.recall().ts
	}
	if e.chance(0.3) {
		q.Prefix = e.prefix()
	}
	left := 2 + e.Rand.IntN(8)
	last := q.After
	for ev, err := range e.Client.Watch(ctx, q) {
		if err != nil {
			return err
		}
		if !ev.Mark {
			if ev.CommitTS <= last {
				return &Broken{fmt.Sprintf("a watch yields commit %d after %d", ev.CommitTS, last)}
			}
			e.heard(ev.CommitTS, ev.CommitTime)
		}
		last = ev.CommitTS
		if left--; left == 0 {
			return nil
		}
	}
	return nil
}

func replay(ctx context.Context, e *Env) error {
	q := client.ReplayQuery{AllAgents: e.chance(0.4), Limit: e.Rand.IntN(3) * 5, NoValues: e.chance(0.2)}
	if !q.AllAgents {
		q.Agent = e.agent()
	}
	if e.chance(0.3) {
		q.Prefix = e.prefix()
	}
	if e.chance(0.6) {
		q.From = e.recall().ts
		if e.chance(0.3) {
			q.To = q.From + client.CommitTS(e.Rand.IntN(10))
		}
	}
	if e.chance(0.2) {
		q.FromTime = e.time()
	}
	if e.chance(0.2) {
		q.ToTime = e.time()
	}
	return drain(e.Client.Replay(ctx, q), 1<<30)
}

// tenants uses the same names in two namespaces.
func tenants(ctx context.Context, e *Env) error {
	c := e.Client.In(e.space())
	agent, key := e.agent(), e.key("reg/")
	switch e.Rand.IntN(7) {
	case 0, 1:
		_, err := c.Transact(ctx, client.Batch{Writes: []client.Write{client.Put(agent, key, e.value())}})
		return err
	case 2:
		return drain(c.ListAgents(ctx, ""), 20)
	case 3:
		return drain(c.ListNamespaces(ctx), 20)
	case 4:
		return drain(c.Scan(ctx, agent, client.ListQuery{}), 8)
	case 5: // both at once
		_, err := c.Transact(ctx, client.Batch{Writes: []client.Write{
			client.Put(agent, key, e.value()),
			{RecordName: client.RecordName{Namespace: e.space(), Agent: agent, Key: key}, Value: e.value()},
		}})
		return err
	}
	_, err := c.Get(ctx, agent, key)
	return err
}
