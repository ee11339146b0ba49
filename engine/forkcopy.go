package engine

import (
	"bytes"

	"statehouse.dev/statehouse/engine/layout"
)

// A fork becomes whole when all that it inherited is copied into rows of its own, each under the
// version and with the commit_ts that it has above. A chore does that, in pieces, each with the mark
// of how far it came: before retention takes anything from the parent that the fork has yet, before
// the fork or what is above it is erased, and when the view of a fork of forks becomes deep. Copies
// change nothing that is read: while not all are there, what is not copied is found above.

// forkCopy walks what a fork inherited, under its own name.
type forkCopy struct{ rows *rowIter }

func newForkCopy(s *store, f *fork) (forkCopy, error) {
	rows, err := s.inheritedRows(f)
	return forkCopy{rows}, err
}

// dueCopy is a fork that has to become whole; nil: none has.
func (w *piece) dueCopy() *fork {
	t := &w.e.db.forks
	for _, s := range w.e.chores.spaces {
		if of := t.partial(s.namespace); len(of) > 0 {
			f := of[0] // no mark comes further than what it inherited
			if s.floor > f.upTo && s.dropped >= f.upTo || s.maxVersions > 0 && s.pruned >= f.upTo {
				return f
			}
		}
	}
	for _, x := range w.e.chores.erasures {
		for _, f := range x.forks(t) {
			if !f.whole {
				return f
			}
		}
	}
	return t.deepest()
}

// heldBack is the last commit that retention of a namespace may look at before forks become whole:
// what later ones take the forks may have inherited.
func (t *forks) heldBack(namespace string, upTo CommitTS) CommitTS {
	if of := t.partial(namespace); len(of) > 0 {
		return min(upTo, of[0].upTo)
	}
	return upTo
}

// forks are those that have to be whole before an erasure goes on: it takes rows where they are.
func (x *erasure) forks(t *forks) []*fork {
	if x.Agent == "" {
		return t.partial(x.Namespace)
	}
	a := AgentName{Namespace: x.Namespace, Agent: x.Agent}
	of := t.under(a)
	if f := t.get(a); f != nil {
		of = append(of, f)
	}
	return of
}

// copyFork copies more of what a fork inherited.
func (w *piece) copyFork(f *fork) error {
	c, err := newForkCopy(w.e.db, f)
	if err != nil {
		return err
	}
	next := *f
	base := layout.AgentPrefix(layout.RecordTag, f.agent)
	at := append(bytes.Clone(base), f.copied...)
	ok := c.rows.seek(at)
	if ok && bytes.Equal(c.rows.key(), at) {
		ok = c.rows.next()
	}
	for ; ok && !w.full(); ok = c.rows.next() {
		next.copied = string(c.rows.key()[len(base):])
		w.rows.set(w.batch, c.rows.key(), append(w.rows.body[:0], c.rows.body...))
		w.looked(1, len(c.rows.key())+2*len(c.rows.body))
	}
	if err := c.rows.close(); err != nil {
		return err
	}
	if !ok {
		next.whole, next.copied = true, ""
	}
	w.markFork(&next)
	return nil
}

// markFork writes what has become of a fork.
func (w *piece) markFork(f *fork) {
	w.rows.set(w.batch, f.key(), f.append(w.rows.body[:0]))
	w.more = true
	w.settled = append(w.settled, func() { w.e.db.forks.put(f) })
}

// dueStrip is a whole fork of whose past nothing can be read any more; nil: there is none.
func (w *piece) dueStrip() *fork {
	for _, s := range w.e.chores.spaces {
		if of := w.e.db.forks.pasts(s.namespace); len(of) > 0 && s.dropped > of[0].upTo {
			return of[0]
		}
	}
	return nil
}

// strip drops more of what was copied to a fork and had been superseded when it was inherited. No
// event of the fork says so, and events are what drop goes by.
func (w *piece) strip(f *fork) error {
	base := layout.AgentPrefix(layout.RecordTag, f.agent)
	it, err := newRowIter(w.e.db, append(bytes.Clone(base), f.copied...), layout.Successor(base))
	if err != nil {
		return err
	}
	next, dropped := *f, w.e.droppedUpTo(f.agent.Namespace)
	var current []byte // the key of which a version was passed that superseded the inherited ones that follow
	if f.copied != "" {
		current = append(bytes.Clone(base), f.copied[:len(f.copied)-layout.NumberSize]...)
	}
	ok := it.first()
	for ; ok && !w.full(); ok = it.next() {
		_, row, good := recordAt(it)
		if !good {
			break
		}
		w.looked(1, len(it.body))
		rest, prefix := string(it.key()[len(base):]), it.key()[:len(it.key())-layout.NumberSize]
		next.copied = rest
		if row.CommitTS > f.upTo {
			if row.CommitTS <= dropped { // drop has taken the newest of them
				current = append(current[:0], prefix...)
			} else if rest == f.copied {
				current = current[:0] // it superseded none yet
			}
			continue
		}
		if rest == f.copied {
			continue
		}
		if bytes.Equal(prefix, current) {
			_ = w.batch.Delete(bytes.Clone(it.key()), nil)
		}
		current = append(current[:0], prefix...)
	}
	if err := it.close(); err != nil {
		return err
	}
	if !ok {
		next.bare, next.copied = true, ""
	}
	w.markFork(&next)
	return nil
}
