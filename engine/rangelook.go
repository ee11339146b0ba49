package engine

import (
	"context"
	"errors"

	"statehouse.dev/statehouse/engine/layout"
)

// Whether a delete comes to more keys than a transaction may change is found out by looking at as many
// keys, while whoever waits for the writer waits. So the request's goroutine looks at them before: if there are
// so many that what is committed meanwhile cannot matter, the writer looks at none.

// look is what an operation on many keys came to, had it been at a commit.
type look struct {
	at CommitTS
	// keys exist, or seen were written at all. Both stop at somewhat more than makes it an act.
	keys, seen int
}

// spareKeys is how many keys may change, and spareEvents in how many commits, before a look is worth
// nothing: then the writer looks again.
const (
	spareKeys   = 1024
	spareEvents = 64
)

// lookAhead looks at what the deletes of p come to. It answers errGivenUp when ctx ends before that.
func (e *Engine) lookAhead(ctx context.Context, p *proposal) error {
	for i := range p.asked {
		op := &p.asked[i]
		if _, is := op.eval.(DeletePrefix); !is {
			continue
		}
		most := e.opts.deletedKeys()
		l := look{at: e.Published()}
		c, err := Snapshot{e: e, ts: l.at, ctx: ctx}.cursor(&ScanOptions{Agent: op.name.AgentName(), Prefix: op.name.Key, KeysOnly: true})
		if err != nil {
			return e.noted(err)
		}
		for l.keys <= most+spareKeys && l.seen <= 2*most+spareKeys {
			exists, ok := c.step()
			if !ok {
				break
			}
			if l.seen++; exists {
				l.keys++
			}
		}
		switch err := c.rows.close(); {
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

// many reports whether a look before leaves no doubt that a delete comes to more keys than a transaction may
// change.
func (v *evaluation) many(op *askedOp) (bool, error) {
	l, most, a := op.look, v.pl.deletedKeys, op.name.AgentName()
	if l.keys <= most && l.seen <= 2*most {
		return false, nil
	}
	if err := v.shown(a); err != nil {
		return false, err
	}
	changed, events := 0, 0
	_, err := v.pl.state.events(a, l.at, v.pl.shown(), func(_ CommitTS, ev *layout.EventRow) bool {
		changed += len(ev.Ops)
		if _, act := ev.Fields.Get(layout.FieldAct); act {
			changed = spareKeys
		}
		events++
		return changed < spareKeys && events < spareEvents
	})
	v.pl.evaluated.keys += events
	return changed < spareKeys && events < spareEvents && (l.keys-changed > most || l.seen-changed > 2*most), err
}
