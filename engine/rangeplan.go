package engine

import (
	"bytes"
	"context"
	"runtime"
	"time"

	"statehouse.dev/statehouse/engine/layout"
	"statehouse.dev/statehouse/engine/words"
)

// act makes an operation an act, since it comes to more keys than a transaction may change. Nothing is
// looked at here but the wake-ups of what it deletes, which end as they would otherwise.
func (v *evaluation) act(op *askedOp, g *rangeAct) error {
	a, pl := op.name.AgentName(), v.pl
	if n := v.namedBy(a); n > 1 {
		return onKey(words.Failf(ErrLimit, "the operation is about more keys of agent %q than the limit of %d, and then must be the only one on the agent: it is one of %d", a.Agent, pl.limits.TxnOps, n), op.name).
			With("what", "operations on the agent")
	}
	if pl.busy != nil {
		if err := pl.busy(a); err != nil {
			return err
		}
	}
	wakes, err := v.wakesUnder(op)
	if err != nil {
		return err
	}
	g.agent, g.at, g.time, g.prefix = a, pl.head.ts+1, v.time, op.name.Key
	for _, key := range wakes {
		if g.restores {
			_, of := SplitHidden(key)
			if change, err := v.restored(RecordName{Namespace: a.Namespace, Agent: a.Agent, Key: of}, g.to); err != nil {
				return err
			} else if change == nil || !change.Tombstone {
				continue
			}
		}
		v.remove(RecordName{Namespace: a.Namespace, Agent: a.Agent, Key: key})
	}
	v.parts[v.part(a)].acted = g
	return nil
}

// restoreAct makes a restore an act.
func (v *evaluation) restoreAct(op *askedOp, to CommitTS) error {
	if err := v.shown(op.name.AgentName()); err != nil {
		return err
	}
	if err := v.act(op, &rangeAct{restores: true, to: to}); err != nil {
		return err
	}
	return v.lookThen(op, to)
}

// namedBy counts the operations of the request that are on an agent.
func (v *evaluation) namedBy(a AgentName) (n int) {
	for i := range v.p.asked {
		if v.p.asked[i].name.AgentName() == a {
			n++
		}
	}
	return n
}

// wakesUnder are the keys of the wake-ups of records whose keys begin with that of an operation. The
// agent has no commit in this step, so the store has all.
func (v *evaluation) wakesUnder(op *askedOp) (keys []string, err error) {
	if !v.pl.wakes.Load() {
		return nil, nil
	}
	most := v.pl.limits.TxnOps
	err = v.pl.state.held(op.name.AgentName(), dueKey(op.name.Key), func(key string) bool {
		keys = append(keys, key)
		return len(keys) <= most
	})
	if err == nil && len(keys) > most {
		err = tooManyKeys(op, "due records that one operation deletes", most)
	}
	return keys, err
}

// held visits the keys of an agent's records that have a hold and begin with a prefix, until visit returns
// false.
func (s dbState) held(a AgentName, prefix string, visit func(key string) bool) error {
	lower := append(layout.AgentPrefix(layout.HoldTag, a), prefix...)
	it, err := newRowIter(s.r, lower, layout.Successor(lower))
	if err != nil {
		return err
	}
	for ok := it.first(); ok; ok = it.next() {
		names, good := layout.SplitHoldKey(it.key())
		n, good2 := layout.SplitPrefix(names)
		if !good || !good2 {
			it.corrupt()
			break
		}
		if !visit(n.Key) {
			break
		}
	}
	return it.close()
}

// busy refuses an act on many keys of an agent while there is another one, or some of it is being erased.
func (e *Engine) busy(a AgentName) error {
	if g := e.db.acts.get(a); g != nil {
		return words.Failf(ErrOverloaded, "the operation on very many keys of agent %q that commit %d is, is being carried out, and there is one at a time of an agent; nothing was applied: retry", a.Agent, g.at).RetryAfter(time.Second)
	}
	for _, x := range e.chores.erasures {
		if x.Namespace == a.Namespace && (x.Agent == "" || x.Agent == a.Agent) {
			return words.Failf(ErrOverloaded, "agent %q is being erased, and meanwhile no operation on very many of its keys is carried out; nothing was applied: retry", a.Agent).RetryAfter(time.Second)
		}
	}
	return nil
}

// ofAct counts the keys that an act on many keys changed, if the commit is one. The request's goroutine
// does, when the commit is made: nobody else waits for it.
func (x *results) ofAct(op *askedOp) (keys uint64, err error) {
	a := op.name.AgentName()
	body, err := getRow(x.e.db, layout.EventKey(a, x.ts))
	if body == nil || err != nil {
		return 0, err
	}
	ev, ok := layout.ParseEventRow(body)
	if !ok {
		return 0, layout.CorruptRow(layout.EventKey(a, x.ts), "malformed")
	}
	many := manyIn(&ev, a, x.ts)
	if ev.TxnID != x.p.id || many == nil {
		return 0, nil // another commit: this one came to nothing
	}
	if many.restores {
		return x.restoredBy(many)
	}
	return many.count(x.e.db, x.p.client)
}

// count counts the keys that a delete deleted: whether a row of it is there yet or not. It may be many, so
// it lets others have the processor again and again, and not only after the ten milliseconds that Go has them wait.
func (g *rangeAct) count(r *store, client context.Context) (keys uint64, err error) {
	lower, upper := g.bounds()
	rows, err := r.writtenRows(g.agent, lower, upper)
	if err != nil {
		return 0, err
	}
	rows.ctx = client
	var counted []byte // the key, without version, of the last row that is not from after the act
	n := 0
	for ok := rows.first(); ok; ok = rows.next() {
		if n++; n%movesPerLook == 0 {
			runtime.Gosched()
		}
		key := rows.key()
		if prefix := key[:max(0, len(key)-layout.NumberSize)]; bytes.Equal(prefix, counted) {
			continue
		}
		_, row, good := recordAt(rows)
		if !good {
			break
		}
		if row.CommitTS <= g.at {
			counted = append(counted[:0], key[:len(key)-layout.NumberSize]...)
			if row.CommitTS == g.at || !row.Tombstone {
				keys++
			}
		}
	}
	return keys, rows.close()
}
