package engine

import (
	"runtime"
	"slices"
)

// A restore is refused if any value that it is to bring back has gone: erased, or pruned. One of very many
// keys does not know them. Where values may have gone at all, its proposal looks at the keys of then before
// it becomes an act, some in each step, and comes first in the next. In a step in which it looks no
// chore takes anything, and if one did in between it begins anew.

// A thenLook is how far a proposal has looked at what was there then.
type thenLook struct {
	after string // the last key
	took  uint64 // chores' took when it began
}

// lookThen looks at more of the keys of an operation as they were after a commit. It answers errNextStep until all
// are looked at.
func (v *evaluation) lookThen(op *askedOp, to CommitTS) error {
	a, pl := op.name.AgentName(), v.pl
	if pl.gone == nil {
		return nil
	}
	may, took, err := pl.gone(a, to)
	if err != nil || !may {
		return err
	}
	if op.then == nil || op.then.took != took {
		op.then = &thenLook{took: took}
	}
	pl.looking = true
	key, last, looked, err := pl.state.goneThen(a, op.name.Key, op.then.after, to, max(pl.lookups-pl.evaluated.keys, 1))
	pl.evaluated.keys += looked
	switch {
	case err != nil:
		return err
	case key != "":
		return goneSince(RecordName{Namespace: a.Namespace, Agent: a.Agent, Key: key})
	case last != "":
		op.then.after = last
		return errNextStep
	}
	return nil
}

func goneSince(n RecordName) error {
	return onKey(evaluationf("key %q of agent %q cannot be restored: the value that it had is gone", n.Key, n.Agent), n)
}

// goneThen finds a key of which the value that it had after a commit has gone, among those that begin with a
// prefix and are after one. last is where to go on, unless that was all.
func (s *stepState) goneThen(a AgentName, prefix, after string, ts CommitTS, most int) (key, last string, looked int, err error) {
	c, err := Snapshot{e: s.e, ts: ts}.cursor(&ScanOptions{Agent: a, Prefix: prefix, After: after, KeysOnly: true})
	if err != nil {
		return "", "", 0, err
	}
	for key == "" {
		exists, ok := c.step()
		if !ok {
			last = ""
			break
		}
		if last = c.rec.Name.Key; exists && (c.rec.Erased || c.rec.Pruned) {
			key = last
		}
		if c.rows.moves >= most {
			break
		}
	}
	return key, last, c.rows.moves, c.rows.close()
}

// valuesMayBeGone reports whether any value that an agent had after a commit may have gone, and how much chores
// have taken since the store was opened.
func (e *Engine) valuesMayBeGone(a AgentName, ts CommitTS) (may bool, took uint64, err error) {
	w, err := readWent(systemReader{e.db})
	if err != nil {
		return false, 0, err
	}
	may = w.erased > ts || w.erased > 0 && e.db.forks.get(a) != nil || // which may inherit what was erased before it was forked
		w.pasts[a.Namespace].keeping > 0 || slices.Contains(e.rows.used, featureImports) // which may bring records without values
	for _, s := range e.chores.spaces {
		may = may || s.namespace == a.Namespace && s.maxVersions > 0
	}
	return may, e.chores.took, nil
}

// heldUp reports whether chores must wait for the next step: an act was planned in this one, which the store does
// not show yet, or is about to be.
func (pl *planner) heldUp() bool {
	return pl.looking || slices.ContainsFunc(pl.step, func(c *commit) bool {
		return slices.ContainsFunc(c.p.agents, func(part agentPart) bool { return part.acted != nil && part.acted.restores })
	})
}

// restoredBy counts the keys that a restore changed. It may be many, so others have the processor in between.
func (x *results) restoredBy(g *rangeAct) (keys uint64, err error) {
	c, err := Snapshot{e: x.e, ts: x.ts, ctx: x.p.client}.cursor(&ScanOptions{Agent: g.agent, Prefix: g.prefix, KeysOnly: true})
	if err != nil {
		return 0, err
	}
	for n := 1; ; n++ {
		if n%movesPerLook == 0 {
			runtime.Gosched()
		}
		_, ok := c.step()
		if !ok {
			return keys, c.rows.close()
		}
		if c.rec.CommitTS == x.ts {
			keys++
		}
	}
}
