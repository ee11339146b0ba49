package engine

// In a replay an act is one operation for readers who know acts. For others it is the operations
// that it comes to: a fork begins with the records that it inherited, each at its version there. They
// may be more than an event holds: then the commit is several events, of which all but the last say
// where the next begins.

// addCommit adds the parts of a commit that are asked for. all reports whether it had room for what
// its acts come to.
func (r *replayer) addCommit(ts CommitTS, agents []AgentName, rows []eventRow) (all bool) {
	var acts []*fork
	var of []*eventRow
	for i := range rows {
		f, ok := rows[i].act(agents[i], ts)
		switch {
		case !ok:
			r.err = corruptRow(eventKey(agents[i], ts), "malformed")
			return false
		case f == nil:
		case r.f.Lease != "":
		case r.f.AllOperations:
			r.addAct(f, &rows[i])
		default:
			acts, of = append(acts, f), append(of, &rows[i])
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
	for i, f := range acts {
		if compareAgents(f.agent, in.Agent) < 0 {
			continue
		}
		after := ""
		if f.agent == in.Agent {
			after = in.Key
		}
		if !r.expand(f, of[i], after) {
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
func (r *replayer) addAct(f *fork, row *eventRow) {
	l := f.lineage()
	op := EventOp{Name: RecordName{Namespace: f.agent.Namespace, Agent: f.agent.Agent}, Fork: &l}
	r.bytes += opBytes + len(f.parent.Agent)
	r.sizes = append(r.sizes, 0)
	r.addOps(f.at, row, []EventOp{op})
}

// expand adds an event of what a fork inherited after a key, as much as there is room for, and
// reports whether that was all.
func (r *replayer) expand(f *fork, row *eventRow, after string) (all bool) {
	s := Snapshot{e: r.e, ts: f.at}
	c, err := s.cursor(&ScanOptions{Agent: f.agent, Prefix: r.f.KeyPrefix, After: after, KeysOnly: r.f.KeysOnly})
	if err != nil {
		r.err = err
		return false
	}
	var ops []EventOp
	size := eventBytes + len(row.txnID) + row.by.size()
	all = true
	for c.next() {
		n := opBytes + len(c.rec.Name.Key) + len(c.rec.Value)
		if r.chunk.Inside != nil && len(ops) > 0 && r.bytes+size+n > r.chunk.Bytes {
			all = false
			break
		}
		size += n
		ops = append(ops, EventOp{Name: c.rec.Name, Version: c.rec.Version, Value: c.rec.Value, Erased: c.rec.Erased, Pruned: c.rec.Pruned})
		r.values += len(c.rec.Value)
		r.sizes = append(r.sizes, len(c.rec.Value))
	}
	r.rows += c.rows.moves
	if r.err = c.rows.close(); r.err != nil || len(ops) == 0 {
		return r.err == nil
	}
	r.bytes += size
	r.events = append(r.events, Event{CommitTS: f.at, CommitTime: row.commitTime, TxnID: row.txnID, Metadata: row.by.metadata, Principal: row.by.principal, TraceID: row.by.traceID, Ops: ops})
	r.rest(f.at, Inside{f.at, f.agent, ops[len(ops)-1].Name.Key})
	return all
}
