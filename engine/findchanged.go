package engine

import (
	"slices"
	"strconv"
	"strings"

	"statehouse.dev/statehouse/engine/layout"
)

// By last change: an agent's events, walked backwards, are the index. A record is listed where
// the commit of its current version is met, so each once, and those of one commit in byte order
// of their keys.
//
// The events end at the floor, and where a fork began. Records that were changed last before that
// are still there: they come after all others, in the order of keys, since what their order is in
// is not kept, or is another agent's.

// A changedPlace is how far a list by last change has come: events after ts were looked at, and of
// that of ts the keys up to key.
type changedPlace struct {
	ts  CommitTS
	key string
	// rest says that there are no more events, and after the key that the rest was looked at up to.
	rest  bool
	after string
}

func (p changedPlace) String() string {
	s := p.ts.String() + "\x00" + p.key
	if p.rest {
		s += "\x00" + p.after
	}
	return s
}

func (f *finder) changedPlace() (p changedPlace, err error) {
	if f.o.After == "" {
		return changedPlace{ts: f.s.ts}, nil
	}
	parts := strings.Split(f.o.After, "\x00")
	ts, err := strconv.ParseUint(parts[0], 10, 64)
	if err != nil || CommitTS(ts) > f.s.ts || len(parts) < 2 || len(parts) > 3 {
		return p, wrongPlace()
	}
	p = changedPlace{ts: CommitTS(ts), key: parts[1]}
	if len(parts) == 3 {
		p.rest, p.after = true, parts[2]
	}
	for _, key := range parts[1:] {
		if err := checkAfter(key, f.o.Prefix, MaxKeyBytes); err != nil {
			return p, err
		}
	}
	return p, nil
}

func (f *finder) findChanged() error {
	p, err := f.changedPlace()
	if err != nil {
		return err
	}
	if !p.rest {
		whole, err := f.walkEvents(&p)
		if err != nil || !whole {
			f.found.Next = p.String()
			return err
		}
		lowest := f.lowest()
		if lowest == 0 {
			return nil
		}
		if p.rest = true; p.ts >= lowest {
			p.ts, p.key = lowest-1, ""
		}
		if f.full() {
			f.found.Next = p.String()
			return nil
		}
	}
	o := &ScanOptions{Agent: AgentName{Namespace: f.o.Namespace, Agent: f.o.Agent}, Prefix: f.o.Prefix, After: p.after, KeysOnly: f.o.KeysOnly}
	place := func(key string) string {
		p.after = key
		return p.String()
	}
	_, err = f.scan(o, nil, place, p.isLeft)
	return err
}

// lowest is where the agent's own events begin; 0: with its first record.
func (f *finder) lowest() CommitTS {
	lowest := f.floor
	if fork := f.s.e.db.forks.get(AgentName{Namespace: f.o.Namespace, Agent: f.o.Agent}); fork != nil {
		lowest = max(lowest, fork.at)
	}
	return lowest
}

// isLeft reports whether a record is not among those whose events were looked at.
func (p *changedPlace) isLeft(rec *Record) bool {
	return rec.CommitTS < p.ts || rec.CommitTS == p.ts && rec.Name.Key > p.key
}

// walkEvents considers the records of the agent's own events from p on downwards, and moves p. whole
// reports whether it came to where they begin.
func (f *finder) walkEvents(p *changedPlace) (whole bool, err error) {
	a := AgentName{Namespace: f.o.Namespace, Agent: f.o.Agent}
	lowest := f.lowest()
	if p.ts < lowest {
		return true, nil
	}
	it, err := newRowIter(f.s.e.db, layout.EventKey(a, lowest), layout.Successor(layout.EventKey(a, p.ts)))
	if err != nil {
		return false, err
	}
	it.ctx = f.s.ctx
	for ok := it.last(); ok; ok = it.previous() {
		_, ts, good := layout.SplitEventKey(it.key())
		row, good2 := layout.ParseEventRow(it.body)
		if !good || !good2 {
			it.corrupt()
			break
		}
		f.looked.rows, f.looked.bytes = f.looked.rows+1, f.looked.bytes+len(it.body)
		if ts < p.ts {
			*p = changedPlace{ts: ts}
		}
		consider := func() (bool, error) { return f.event(p, a, row.Ops) }
		if g := manyIn(&row, a, ts); g != nil && g.restores {
			consider = func() (bool, error) { return f.restored(p, g) }
		}
		if fits, err := consider(); err != nil || !fits {
			return false, firstError(err, it.close())
		}
		if *p = (changedPlace{ts: ts - 1}); f.full() {
			return false, it.close()
		}
	}
	return true, it.close()
}

// restored is event of a restore of very many keys.
func (f *finder) restored(p *changedPlace, g *rangeAct) (done bool, err error) {
	o := &ScanOptions{Agent: g.agent, Prefix: f.o.Prefix, After: p.key, KeysOnly: f.o.KeysOnly}
	if strings.HasPrefix(g.prefix, o.Prefix) {
		o.Prefix = g.prefix
	} else if !strings.HasPrefix(o.Prefix, g.prefix) {
		return true, nil
	}
	place := func(key string) string {
		p.key = key
		return p.String()
	}
	return f.scan(o, nil, place, func(rec *Record) bool { return rec.CommitTS == g.at })
}

// event considers the records of the event at p that are current in the snapshot, and moves p. done
// reports whether it came to the end of the event.
func (f *finder) event(p *changedPlace, a AgentName, ops []layout.EventRowOp) (done bool, err error) {
	ops = slices.DeleteFunc(ops, func(op layout.EventRowOp) bool {
		return op.Key == "" || op.Tombstone || hidden(op.Key) || op.Key <= p.key || !strings.HasPrefix(op.Key, f.o.Prefix)
	})
	slices.SortFunc(ops, func(a, b layout.EventRowOp) int { return strings.Compare(a.Key, b.Key) })
	for i := range ops {
		if i > 0 && f.full() {
			return false, nil
		}
		name := RecordName{Namespace: a.Namespace, Agent: a.Agent, Key: ops[i].Key}
		rec, err := f.s.get(name, layout.RecordPrefix(name))
		if err != nil {
			return false, err
		}
		f.looked.rows, f.looked.bytes = f.looked.rows+1, f.looked.bytes+len(rec.Value)
		if rec.Version == ops[i].Version && rec.Exists {
			wanted := f.o.Value == nil || f.o.Value(rec.Value)
			if f.o.KeysOnly {
				rec.Value = nil
			}
			if fits, err := f.consider(&rec, wanted); err != nil || !fits {
				return false, err
			}
		}
		p.key = name.Key
	}
	return true, nil
}
