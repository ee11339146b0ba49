package workload

import (
	"context"

	"statehouse.dev/statehouse/client"
)

func recreate(ctx context.Context, e *Env) error {
	agent, key := e.agent(), e.key("tmp/")
	var w client.Write
	switch e.Rand.IntN(4) {
	case 0:
		w = client.Delete(agent, key) // of an absent key, too
	case 1:
		w = client.Put(agent, key, e.value())
	case 2:
		w = client.Put(agent, key, e.value()).IfVersion(0)
	default:
		_, err := e.Client.Get(ctx, agent, key)
		return err
	}
	_, err := e.Client.Transact(ctx, client.Batch{Writes: []client.Write{w}})
	return err
}

// head appends to an agent's log of its own: each commit says which one it
// follows.
func head(ctx context.Context, e *Env) error {
	const agent = "chained"
	var last client.CommitTS
	for a, err := range e.Client.ListAgents(ctx, agent) {
		if err != nil {
			return err
		}
		last = a.Head
		break
	}
	_, err := e.Client.Transact(ctx, client.Batch{
		Writes:     []client.Write{client.Put(agent, e.key("step/"), e.value())},
		Conditions: client.Conditions{Heads: []client.HeadPrecondition{{Agent: agent, Expected: last}}},
	})
	return err
}

// conditions commits on several conditions at once, also on keys and agents that it does
// not write. With one of them stale nothing may be applied, whichever it is.
func conditions(ctx context.Context, e *Env) error {
	on, err := e.conditions(ctx)
	if err != nil {
		return err
	}
	agent, key := e.agent(), e.key("if/reg/") // "reg/" is a prefix of other keys
	if e.chance(0.7) {
		w := []client.Write{client.Put(agent, key, e.value())}
		if e.chance(0.3) {
			w = append(w, client.Delete(e.agent(), e.key("if/")))
		}
		_, err = e.Client.Transact(ctx, client.Batch{Writes: w, Conditions: on})
		return err
	}
	t, err := e.begin(ctx, 0)
	if err != nil {
		return err
	}
	t.Conditions = on
	if err = t.Write(ctx, agent, key, e.value()); err == nil {
		_, err = t.Commit(ctx)
	}
	return err
}

// conditions draws some that hold, and now and then one that does not.
func (e *Env) conditions(ctx context.Context) (on client.Conditions, err error) {
	var names []client.RecordName
	for i := range 1 + e.Rand.IntN(3) {
		names = append(names, client.RecordName{Agent: e.agent(), Key: []string{"if/0", "if/reg/0", "reg/0"}[i]})
	}
	recs, err := e.Client.BatchGet(ctx, names)
	if err != nil {
		return on, err
	}
	for _, rec := range recs {
		want := client.KeyPrecondition{RecordName: rec.RecordName}
		if rec.Exists {
			want.Expected = rec.Version
		}
		on.Keys = append(on.Keys, want)
	}
	if e.chance(0.5) {
		for a, err := range e.Client.ListAgents(ctx, e.agentPrefix()) {
			if err != nil {
				return on, err
			}
			if on.Heads = append(on.Heads, client.HeadPrecondition{Agent: a.Agent, Expected: a.Head}); len(on.Heads) == 3 {
				break
			}
		}
	}
	if e.chance(0.3) {
		on.Keys[e.Rand.IntN(len(on.Keys))].Expected++
	} else if len(on.Heads) > 0 && e.chance(0.3) {
		on.Heads[e.Rand.IntN(len(on.Heads))].Expected--
	}
	return on, nil
}
