package linearizability

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"statehouse.dev/statehouse/history"
)

// store is Statehouse in a page: one thing at a time, everything in maps. It makes
// good histories for the tests, which are then spoilt.
type reference struct {
	h    *history.History
	now  int64
	at   []map[history.Name]history.Record // state at every commit_ts
	txns map[string]*openTxn
}

type openTxn struct {
	snapshot uint64
	staged   []history.Write
	state    string
	answer   history.Output
}

func newReference() *reference {
	return &reference{
		h:    &history.History{Header: history.Header{Format: history.Format, Version: history.Version, Unit: "step"}, Complete: true},
		at:   []map[history.Name]history.Record{{}},
		txns: make(map[string]*openTxn),
	}
}

func (r *reference) head() uint64 { return uint64(len(r.h.Log)) }

// do asks for something and is answered at once. Answers are right; their times can
// be changed after.
func (r *reference) do(client string, kind history.Kind, in history.Input) *history.Operation {
	r.now += 2
	op := &history.Operation{ID: len(r.h.Operations) + 1, Client: client, Kind: kind, Call: r.now, Return: r.now + 1, In: in, Outcome: history.OK}
	if in.Namespace == "" && in.Agent != "" {
		op.In.Namespace = "ns"
	}
	r.h.Operations = append(r.h.Operations, op)
	switch kind {
	case history.Begin, history.StageWrite, history.StageDelete, history.Commit, history.Abort, history.Transact, history.GetTxn:
		r.write(op)
	case history.Replay, history.Watch:
		op.Batches = []history.Batch{r.replay(&op.In)}
		op.Batches[0].Time = op.Return
	default:
		r.read(op)
	}
	return op
}

func (r *reference) write(op *history.Operation) {
	in := &op.In
	t := r.txns[in.TxnID]
	switch op.Kind {
	case history.Begin:
		op.Out = history.Output{TxnID: fmt.Sprintf("t%d", op.ID), SnapshotTS: r.head()}
		r.txns[op.Out.TxnID] = &openTxn{snapshot: r.head(), state: "open"}
	case history.StageWrite, history.StageDelete:
		t.staged = append(t.staged, history.Write{Name: in.Name(), Value: in.Value, Delete: op.Kind == history.StageDelete})
	case history.Abort:
		t.state = "aborted"
	case history.Transact:
		if t == nil {
			t = &openTxn{state: "open"}
			r.txns[in.TxnID] = t
			r.commit(t, in, in.Writes)
		}
		op.Out = t.answer
	case history.Commit:
		if t.state == "open" {
			r.commit(t, in, t.staged)
		}
		op.Out = t.answer
	case history.GetTxn:
		if op.Out.State = "never_seen"; t != nil {
			op.Out = t.answer
			op.Out.State = t.state
		}
	}
}

func (r *reference) commit(t *openTxn, in *history.Input, writes []history.Write) {
	t.state = "committed"
	if len(writes) == 0 {
		t.answer = history.Output{CommitTS: t.snapshot}
		if t.snapshot > 0 {
			t.answer.CommitTime = r.h.Log[t.snapshot-1].CommitTime
		}
		if len(in.Keys)+len(in.Heads) > 0 {
			t.answer.CommitTS, t.answer.CommitTime = r.head(), r.h.Log[r.head()-1].CommitTime
		}
		return
	}
	ev := history.Event{CommitTS: r.head() + 1, CommitTime: 1000 * r.now, TxnID: in.TxnID, Metadata: in.Metadata}
	state := maps.Clone(r.at[r.head()])
	for _, w := range writes {
		rec := history.Record{Name: w.Name, Exists: !w.Delete, Version: r.at[r.head()][w.Name].Version + 1, CommitTS: ev.CommitTS, CommitTime: ev.CommitTime, Value: w.Value}
		state[w.Name] = rec
		o := history.EventOp{Name: w.Name, Version: rec.Version, Delete: w.Delete, Value: w.Value}
		if i := slices.IndexFunc(ev.Ops, func(o history.EventOp) bool { return o.Name == w.Name }); i >= 0 {
			ev.Ops[i] = o
		} else {
			ev.Ops = append(ev.Ops, o)
		}
		if kv := (history.KeyVersion{Name: w.Name, Version: rec.Version}); len(in.Writes) > 0 || !slices.Contains(t.answer.Versions, kv) {
			t.answer.Versions = append(t.answer.Versions, kv) // one a write, or one a key
		}
	}
	t.answer.CommitTS, t.answer.CommitTime = ev.CommitTS, ev.CommitTime
	r.at = append(r.at, state)
	r.h.Log = append(r.h.Log, ev)
}

func (r *reference) read(op *history.Operation) {
	in, ts := &op.In, r.head()
	t := r.txns[in.TxnID]
	if t != nil {
		ts = t.snapshot
	} else if in.At != nil {
		ts = *in.At
	}
	state := maps.Clone(r.at[ts])
	if t != nil {
		for _, w := range t.staged {
			state[w.Name] = history.Record{Name: w.Name, Exists: !w.Delete, Value: w.Value}
		}
	}
	get := func(n history.Name) history.Record {
		rec := state[n]
		rec.Name = n
		return rec
	}
	if op.HasReadTS() {
		op.Out.ReadTS = ts
	}
	switch op.Kind {
	case history.Get:
		op.Out.Records = []history.Record{get(in.Name())}
	case history.BatchGet:
		for _, n := range in.Names {
			op.Out.Records = append(op.Out.Records, get(n))
		}
	case history.GetVersion, history.KeyHistory:
		for i := range r.h.Log {
			if rec := r.at[i+1][in.Name()]; rec.CommitTS == uint64(i+1) && (op.Kind == history.KeyHistory || rec.Version == in.KeyVersion) {
				if op.Kind == history.KeyHistory {
					rec.TxnID, rec.Metadata = r.h.Log[i].TxnID, r.h.Log[i].Metadata
				}
				op.Out.Records = append(op.Out.Records, rec)
			}
		}
		if !in.OldestFirst {
			slices.Reverse(op.Out.Records)
		}
	case history.ListKeys, history.Scan:
		r.list(op, state)
	case history.ListAgents, history.ListSpaces:
		r.listAgents(op)
	}
}

// list lists a page; it continues the one that PageOf names.
func (r *reference) list(op *history.Operation, state map[history.Name]history.Record) {
	in := &op.In
	var recs []history.Record
	for n, rec := range state { // sorted below
		if rec.Exists && n.Namespace == in.Namespace && n.Agent == in.Agent && strings.HasPrefix(n.Key, in.Prefix) {
			recs = append(recs, rec)
		}
	}
	slices.SortFunc(recs, func(a, b history.Record) int { return strings.Compare(a.Key, b.Key) })
	if in.Reverse {
		slices.Reverse(recs)
	}
	if in.PageOf != 0 {
		last := r.h.Operations[in.PageOf-1].Out.LastShown()
		recs = slices.DeleteFunc(recs, func(rec history.Record) bool { return (rec.Key <= last) != in.Reverse || rec.Key == last })
	}
	if op.Out.More = in.Limit > 0 && uint64(len(recs)) > in.Limit; op.Out.More {
		recs = recs[:in.Limit]
	}
	for i := range recs {
		if op.Kind == history.ListKeys {
			op.Out.Keys = append(op.Out.Keys, recs[i].Key)
		} else {
			op.Out.Records = append(op.Out.Records, recs[i])
		}
	}
}

func (r *reference) listAgents(op *history.Operation) {
	agents, spaces := make(map[string]history.Agent), make(map[string]bool)
	for i := range r.h.Log {
		ev := &r.h.Log[i]
		for _, o := range ev.Ops {
			spaces[o.Namespace] = true
			if o.Namespace == op.In.Namespace {
				a, known := agents[o.Agent]
				if !known {
					a = history.Agent{Namespace: o.Namespace, Agent: o.Agent, FirstTS: ev.CommitTS}
				}
				a.HeadTS = ev.CommitTS
				agents[o.Agent] = a
			}
		}
	}
	if op.Kind == history.ListSpaces {
		op.Out.Keys = slices.Sorted(maps.Keys(spaces))
		return
	}
	for _, name := range slices.Sorted(maps.Keys(agents)) {
		op.Out.Agents = append(op.Out.Agents, agents[name])
	}
}

func selects(in *history.Input, o history.EventOp) bool {
	return in.Namespace == o.Namespace && strings.HasPrefix(o.Key, in.Prefix) && (in.Agent == o.Agent || in.AllAgents)
}

// replay is all that a filter lets through, in one message.
func (r *reference) replay(in *history.Input) history.Batch {
	b := history.Batch{Cursor: r.head()}
	for _, ev := range r.h.Log {
		ev.Ops = slices.Clone(ev.Ops)
		ev.Ops = slices.DeleteFunc(ev.Ops, func(o history.EventOp) bool { return !selects(in, o) })
		if len(ev.Ops) > 0 {
			b.Events = append(b.Events, ev)
		}
	}
	return b
}

func key(agent, k string) history.Name { return history.Name{Namespace: "ns", Agent: agent, Key: k} }

func put(agent, k, value string) history.Write {
	return history.Write{Name: key(agent, k), Value: fmt.Sprintf(`{"v":%q}`, value)}
}

func del(agent, k string) history.Write { return history.Write{Name: key(agent, k), Delete: true} }

func expecting(w history.Write, version uint64) history.Write {
	w.Expected = &version
	return w
}

// transact writes under a fresh id.
func (r *reference) transact(client string, writes ...history.Write) *history.Operation {
	return r.do(client, history.Transact, history.Input{TxnID: fmt.Sprintf("x%d", len(r.h.Operations)+1), Writes: writes})
}

func (r *reference) get(client, agent, k string) *history.Operation {
	return r.do(client, history.Get, history.Input{Agent: agent, Key: k})
}

// begin opens a transaction and returns its id.
func (r *reference) begin(client string) string {
	return r.do(client, history.Begin, history.Input{}).Out.TxnID
}

func (r *reference) stage(client, txn string, w history.Write) *history.Operation {
	kind := history.StageWrite
	if w.Delete {
		kind = history.StageDelete
	}
	return r.do(client, kind, history.Input{TxnID: txn, Namespace: w.Namespace, Agent: w.Agent, Key: w.Key, Value: w.Value, Expected: w.Expected})
}
