package engine

import (
	"strings"

	"statehouse.dev/statehouse/engine/layout"
)

// In a replay an act is one operation for readers who know acts. For others it is the operations
// that it comes to: a fork begins with the records that it inherited, each at its version there, and
// a delete of very many keys is a delete of each, as a restore is a write or delete of each key that it
// changed. They may be more than an event holds: then the commit is several events, of which all but the
// last say where the next begins.

// addCommit adds the parts of a commit that are asked for. all reports whether it had room for what
// its acts come to.
func (r *replayer) addCommit(ts CommitTS, agents []AgentName, rows []layout.EventRow) (all bool) {
	var acts []*act
	var of []*layout.EventRow
	for i := range rows {
		x, ok := actOf(&rows[i], agents[i], ts)
		switch {
		case !ok:
			r.err = layout.CorruptRow(layout.EventKey(agents[i], ts), "malformed")
			return false
		case x == nil:
		case r.f.Lease != "" || r.f.Due:
		case r.f.AllOperations:
			r.addAct(x, ts, &rows[i])
		default:
			acts, of = append(acts, x), append(of, &rows[i])
		}
	}
	if len(acts) == 0 {
		for i := range rows {
			r.add(ts, agents[i], &rows[i])
		}
		return true
	}
	var in Inside
	if r.chunk.Inside != nil && r.chunk.Inside.CommitTS == ts {
		in = *r.chunk.Inside
	} else {
		for i := range rows {
			r.add(ts, agents[i], &rows[i])
		}
		r.rest(ts, Inside{CommitTS: ts})
	}
	for i, x := range acts {
		if compareAgents(x.agent(), in.Agent) < 0 {
			continue
		}
		after := ""
		if x.agent() == in.Agent {
			after = in.Key
		}
		if !r.expand(x, ts, of[i], after) {
			return false
		}
	}
	if n := len(r.events); n > 0 && r.events[n-1].CommitTS == ts {
		r.events[n-1].Rest = nil
	}
	return true
}

// rest says of the event that was added last, if it is of ts, where the next one goes on.
func (r *replayer) rest(ts CommitTS, in Inside) {
	if n := len(r.events); n > 0 && r.events[n-1].CommitTS == ts {
		r.events[n-1].Rest = &in
	}
}

// addAct adds an act as an operation.
func (r *replayer) addAct(x *act, ts CommitTS, row *layout.EventRow) {
	a := x.agent()
	op := EventOp{Name: RecordName{Namespace: a.Namespace, Agent: a.Agent}}
	if f := x.fork; f != nil {
		l := f.lineage()
		op.Fork = &l
		r.bytes += len(f.parent.Agent)
	} else {
		if op.Name.Key, op.Many = x.many.prefix, true; x.many.restores {
			op.RestoredTo = &x.many.to
		}
		if !strings.HasPrefix(op.Name.Key, r.f.KeyPrefix) && !strings.HasPrefix(r.f.KeyPrefix, op.Name.Key) {
			return
		}
	}
	r.bytes += opBytes + len(op.Name.Key)
	r.sizes = append(r.sizes, 0)
	r.addOps(ts, row, []EventOp{op})
}

// expand adds an event of what an act comes to after a key, as much as there is room for, and reports
// whether that was all.
func (r *replayer) expand(x *act, ts CommitTS, row *layout.EventRow, after string) (all bool) {
	s, a := Snapshot{e: r.e, ts: ts}, x.agent()
	o := &ScanOptions{Agent: a, Prefix: r.f.KeyPrefix, After: after, KeysOnly: r.f.KeysOnly || x.many != nil && !x.many.restores}
	if x.many != nil && strings.HasPrefix(x.many.prefix, o.Prefix) {
		o.Prefix = x.many.prefix
	} else if x.many != nil && !strings.HasPrefix(o.Prefix, x.many.prefix) {
		return true
	}
	c, err := s.cursor(o)
	if err != nil {
		r.err = err
		return false
	}
	var ops []EventOp
	size := eventBytes + len(row.TxnID) + row.By.Size()
	all = true
	for {
		exists, ok := c.step()
		if !ok {
			break
		}
		if x.fork != nil && !exists || x.many != nil && c.rec.CommitTS != ts {
			continue
		}
		n := opBytes + len(c.rec.Name.Key) + len(c.rec.Value)
		if r.chunk.Inside != nil && len(ops) > 0 && r.bytes+size+n > r.chunk.Bytes {
			all = false
			break
		}
		size += n
		ops = append(ops, EventOp{Name: c.rec.Name, Version: c.rec.Version, Tombstone: !exists, Value: c.rec.Value, Erased: c.rec.Erased, Pruned: c.rec.Pruned})
		r.values += len(c.rec.Value)
		r.sizes = append(r.sizes, len(c.rec.Value))
	}
	r.rows += c.rows.moves
	if r.err = c.rows.close(); r.err != nil || len(ops) == 0 {
		return r.err == nil
	}
	r.bytes += size
	r.events = append(r.events, Event{CommitTS: ts, CommitTime: row.CommitTime, TxnID: row.TxnID, Metadata: row.By.Metadata, Principal: row.By.Principal, TraceID: row.By.TraceID, Ops: ops})
	r.rest(ts, Inside{ts, a, ops[len(ops)-1].Name.Key})
	return all
}
