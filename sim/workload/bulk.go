package workload

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"statehouse.dev/statehouse/client"
	"statehouse.dev/statehouse/sim/intent"
)

// bulk asks for more at once than the others do: it is what comes by limits, and by ends of
// pages, chunks and messages that are full by their bytes.
func bulk(ctx context.Context, e *Env) error {
	switch e.Rand.IntN(8) {
	case 0, 1, 2:
		b := client.Batch{Conditions: client.Conditions{Metadata: e.metadata()}}
		for range 1 + e.Rand.IntN(6) {
			b.Writes = append(b.Writes, client.Put(e.agent(), e.key("reg/"), e.padded()))
		}
		c, err := e.Client.Transact(ctx, b)
		e.heard(c.CommitTS, c.CommitTime)
		return err
	case 3, 4:
		_, err := e.Client.RunTxn(ctx, func(t *intent.Txn) error { return e.fill(ctx, t) })
		return err
	case 5:
		var names []client.RecordName
		for range 1 + e.Rand.IntN(48) {
			names = append(names, client.RecordName{Agent: e.agent(), Key: e.key("reg/")})
		}
		_, err := e.Client.BatchGet(ctx, names)
		return err
	case 6:
		return drain(e.Client.Scan(ctx, e.agent(), client.ListQuery{Reverse: e.chance(0.3)}), 40)
	}
	q := client.ReplayQuery{AllAgents: e.chance(0.5)}
	if !q.AllAgents {
		q.Agent = e.agent()
	}
	return drain(e.Client.Replay(ctx, q), 1<<30)
}

// fill reads, lists and writes much in one transaction.
func (e *Env) fill(ctx context.Context, t *intent.Txn) error {
	t.Metadata = e.metadata()
	for range 2 + e.Rand.IntN(6) {
		agent, key := e.agent(), e.key("reg/")
		var err error
		switch e.Rand.IntN(5) {
		case 0:
			_, err = t.Get(ctx, agent, key)
		case 1:
			err = drain(t.ListKeys(ctx, agent, client.ListQuery{Prefix: "reg/"}), 8)
		default:
			err = t.Write(ctx, agent, key, e.padded())
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// padded makes a value that nobody else writes, often a long one.
func (e *Env) padded() json.RawMessage {
	e.written++
	pad := e.Rand.IntN(20)
	if e.chance(0.3) {
		pad = e.Rand.IntN(400)
	}
	return fmt.Appendf(nil, `{"by":%q,"n":%d,"pad":%q}`, e.Name, e.written, strings.Repeat("p", pad))
}

func (e *Env) metadata() map[string]string {
	return map[string]string{"actor": e.Name, "note": strings.Repeat("m", e.Rand.IntN(30))}
}
