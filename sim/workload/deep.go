package workload

import (
	"context"
	"fmt"

	"statehouse.dev/statehouse/client"
)

// Deep is the name of the workload that goes about an agent with a long past, which
// whoever launches it makes: commits 1 to DeepCommits write its key DeepKey.
const (
	Deep        = "deep"
	DeepAgent   = "deep"
	DeepKey     = "hot"
	DeepCommits = 48
)

// DeepKeys are the other keys of the agent, in order.
func DeepKeys() (keys []string) {
	for i := range 60 {
		keys = append(keys, fmt.Sprintf("k%02d", i))
	}
	return keys
}

// deep looks for a little in much: an early version, a late page, the last events.
func deep(ctx context.Context, e *Env) error {
	early := client.AtCommit(client.CommitTS(1 + e.Rand.IntN(DeepCommits)))
	q := client.ListQuery{Limit: 12 + e.Rand.IntN(16), Reverse: e.chance(0.3)}
	switch e.Rand.IntN(9) {
	case 0:
		_, err := e.Client.Get(ctx, DeepAgent, DeepKey, early)
		return err
	case 1:
		_, err := e.Client.BatchGet(ctx, []client.RecordName{{Agent: DeepAgent, Key: DeepKey}, {Agent: DeepAgent, Key: "k01"}}, early)
		return err
	case 2:
		q.Limit += 24
		return drain(e.Client.ListKeys(ctx, DeepAgent, q), 1<<30)
	case 3:
		q.Prefix = fmt.Sprint("k", e.Rand.IntN(6))
		if e.chance(0.5) {
			q.At = early
		}
		return drain(e.Client.Scan(ctx, DeepAgent, q), 1<<30)
	case 4:
		h := client.HistoryQuery{OldestFirst: e.chance(0.5), Limit: 1 + e.Rand.IntN(20)}
		return drain(e.Client.History(ctx, DeepAgent, DeepKey, h), 1<<30)
	case 5:
		r := client.ReplayQuery{Agent: DeepAgent, From: client.CommitTS(DeepCommits - e.Rand.IntN(8)), Limit: 1 + e.Rand.IntN(8)}
		if e.chance(0.5) {
			r.Agent, r.AllAgents = "", true
		}
		return drain(e.Client.Replay(ctx, r), 1<<30)
	case 6:
		return deepTxn(ctx, e)
	}
	_, err := e.Client.Transact(ctx, client.Batch{Writes: []client.Write{client.Put(DeepAgent, e.deepKey(), e.value())}})
	return err
}

func (e *Env) deepKey() string {
	if e.chance(0.4) {
		return DeepKey
	}
	return fmt.Sprintf("k%02d", e.Rand.IntN(60))
}

// deepTxn lists ranges, of which nothing must have changed when it commits.
func deepTxn(ctx context.Context, e *Env) error {
	t, err := e.begin(ctx, 0)
	if err != nil {
		return err
	}
	for range 2 + e.Rand.IntN(4) {
		if err == nil {
			err = drain(t.ListKeys(ctx, DeepAgent, client.ListQuery{Prefix: fmt.Sprintf("k%02d", e.Rand.IntN(60))}), 4)
		}
	}
	if err == nil {
		err = t.Write(ctx, DeepAgent, "k5x", e.value())
	}
	if err != nil {
		_ = t.Abort(ctx) // it expires otherwise
		return err
	}
	_, err = t.Commit(ctx)
	return err
}
