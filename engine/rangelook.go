package engine

import (
	"context"
	"errors"
)

// Whether a delete or a restore comes to more keys than a transaction may change is found out by looking at as many
// keys, while whoever waits for the writer waits. So the request's goroutine looks at them before: if there are
// so many that what is committed meanwhile cannot matter, the writer looks at none. Of a restore it is told, too,
// which keys were not as they were then: it has to look at these, and at what was changed since.

// look is what an operation on many keys came to, had it been at a commit.
type look struct {
	at CommitTS
	// keys exist, or are not as they were then; seen were looked at. Both stop at somewhat more than makes it an
	// act.
	keys, seen int
	// differ, of a restore, are the keys that are not as they were then, if whole says that these are all.
	differ []string
	whole  bool
}

// spareKeys is how many keys may change, and spareEvents in how many commits, before a look is worth
// nothing: then the writer looks again.
const (
	spareKeys   = 1024
	spareEvents = 64
)

// lookAhead looks at what the deletes and restores of p come to. It answers errGivenUp when ctx ends before that.
func (e *Engine) lookAhead(ctx context.Context, p *proposal) error {
	for i := range p.asked {
		op := &p.asked[i]
		l := look{at: e.Published()}
		var err error
		switch r := op.eval.(type) {
		case DeletePrefix:
			err = e.lookAtKeys(ctx, op, &l)
		case RestoreTo:
			err = e.lookSince(ctx, op, r.to, &l)
		default:
			continue
		}
		switch {
		case ctx.Err() != nil:
			return errGivenUp
		case errors.Is(err, ErrDataLoss):
			return e.noted(err)
		case err == nil:
			op.look = l
		}
	}
	return nil
}

// lookAtKeys counts the keys that a delete is about.
func (e *Engine) lookAtKeys(ctx context.Context, op *askedOp, l *look) error {
	most := e.opts.deletedKeys()
	return e.keysOf(ctx, op, l.at, func(_ string, exists bool) (bool, error) {
		if l.seen++; exists {
			l.keys++
		}
		return l.keys <= most+spareKeys && l.seen <= 2*most+spareKeys, nil
	})
}

// keysOf visits the keys that an operation is about and that were written by then, until visit answers false.
func (e *Engine) keysOf(ctx context.Context, op *askedOp, at CommitTS, visit func(key string, exists bool) (more bool, err error)) error {
	c, err := Snapshot{e: e, ts: at, ctx: ctx}.cursor(&ScanOptions{Agent: op.name.AgentName(), Prefix: op.name.Key, KeysOnly: true})
	if err != nil {
		return err
	}
	for more := true; more && err == nil; {
		exists, ok := c.step()
		if !ok {
			break
		}
		more, err = visit(c.rec.Name.Key, exists)
	}
	return errors.Join(err, c.rows.close())
}

// lookSince looks at what commits after a restore's have changed, and whether it is as it was then.
func (e *Engine) lookSince(ctx context.Context, op *askedOp, to CommitTS, l *look) error {
	most, seen := e.opts.deletedKeys(), 2*e.opts.Limits.TxnOps+spareKeys
	var changed map[string]bool
	differs := func(key string) (more bool, err error) {
		if changed[key] {
			return true, nil
		}
		if changed == nil {
			changed = make(map[string]bool)
		}
		changed[key] = true
		name := RecordName{op.name.Namespace, op.name.Agent, key}
		as, err := e.asThen(ctx, name, to, l.at)
		if err == nil && !as {
			l.keys++
			l.differ = append(l.differ, key)
		}
		return l.keys <= most+spareKeys, err
	}
	acted, err := false, error(nil)
	more := true
	whole, read := e.state.events(op.name.AgentName(), to, l.at, func(_ CommitTS, ev *eventRow) bool {
		l.seen += 1 + len(ev.ops)
		_, acted = ev.fields.get(fieldAct)
		for i := 0; i < len(ev.ops) && more && err == nil && !acted; i++ {
			if key := ev.ops[i].key; op.isAbout(key) {
				more, err = differs(key)
			}
		}
		return l.seen <= seen && more && err == nil && !acted
	})
	if l.whole = whole && read == nil && err == nil; !acted || err != nil || read != nil {
		return errors.Join(err, read)
	}
	l.seen = 0 // an act changed any number of keys, or then the agent did not exist
	l.whole = true
	return e.keysOf(ctx, op, l.at, func(key string, _ bool) (more bool, err error) {
		l.seen++
		more, err = differs(key)
		l.whole = more && err == nil && l.seen <= seen
		return l.whole, err
	})
}

// asThen reports whether a record is at one commit as it was after another one.
func (e *Engine) asThen(ctx context.Context, n RecordName, to, at CommitTS) (bool, error) {
	if err := endOf(ctx); err != nil {
		return false, err
	}
	prefix := recordPrefix(n)
	then, err := Snapshot{e: e, ts: to, ctx: ctx}.get(n, prefix)
	if err != nil {
		return false, err
	}
	now, err := Snapshot{e: e, ts: at, ctx: ctx}.get(n, prefix)
	whole := !then.Erased && !then.Pruned && !now.Erased && !now.Pruned
	return err == nil && then.Exists == now.Exists && (!now.Exists || whole && string(then.Value) == string(now.Value)), err
}

// many reports whether a look before leaves no doubt that an operation comes to more keys than a transaction may
// change, or to more than that are looked at.
func (v *evaluation) many(op *askedOp, most, seen int) (bool, error) {
	l, a := op.look, op.name.AgentName()
	if l.keys <= most && l.seen <= seen {
		return false, nil
	}
	if err := v.shown(a); err != nil {
		return false, err
	}
	changed, events := 0, 0
	_, err := v.pl.state.events(a, l.at, v.pl.shown(), func(_ CommitTS, ev *eventRow) bool {
		changed += len(ev.ops)
		if _, act := ev.fields.get(fieldAct); act {
			changed = spareKeys
		}
		events++
		return changed < spareKeys && events < spareEvents
	})
	v.pl.evaluated.keys += events
	return changed < spareKeys && events < spareEvents && (l.keys-changed > most || l.seen-changed > seen), err
}
