package linearizability

import "statehouse.dev/statehouse/history"

func liesInReads() []lie {
	twice := func(r *reference) {
		r.transact("a", put("x", "k", "1"))
		r.transact("a", put("x", "k", "2"))
	}
	// later begins with a first commit and is read over a second one.
	paged := func(r *reference, kind history.Kind) (first, second *history.Operation) {
		r.transact("a", put("x", "k1", "1"), put("x", "k2", "1"), put("x", "k3", "1"))
		first = r.do("b", kind, history.Input{Agent: "x", Limit: 2})
		r.transact("a", put("x", "k3", "2"))
		second = r.do("b", kind, history.Input{Agent: "x", Limit: 2, PageOf: first.ID})
		return first, second
	}
	mine := func(r *reference) string {
		r.transact("a", put("x", "k", "1"), put("x", "m", "1"))
		t := r.begin("a")
		r.stage("a", t, put("x", "l", "2"))
		r.stage("a", t, del("x", "m"))
		return t
	}
	return []lie{
		{"G3", "stale-read", "a read of what was overwritten", func(r *reference) {
			r.transact("a", put("x", "k", "1"))
			old := *r.get("b", "x", "k")
			r.transact("a", put("x", "k", "2"))
			r.get("b", "x", "k").Out = old.Out
		}},
		{"G3", "stale-read", "a read that may be stale, and is of before the commit that it must have", func(r *reference) { mayBeStale(r, 2) }},
		{"G3", "wrong-read", "a read that may be stale, of what was never there", func(r *reference) {
			mayBeStale(r, 1)
			r.h.Operations[len(r.h.Operations)-1].Out.Records[0].Value = `{"v":"7"}`
		}},
		{"G4", "ghost-read", "a read of the future", func(r *reference) {
			r.transact("a", put("x", "k", "1"))
			r.get("b", "x", "k").Out.ReadTS = 2
		}},
		{"G4", "ghost-read", "a dirty read: of what was never committed", func(r *reference) {
			r.transact("a", put("x", "k", "1"))
			t := r.begin("a")
			r.stage("a", t, put("x", "k", "2"))
			rec := &r.get("b", "x", "k").Out.Records[0]
			rec.Version, rec.CommitTS, rec.Value = 2, 2, `{"v":"2"}`
			r.do("a", history.Abort, history.Input{TxnID: t})
		}},
		{"G4", "ghost-read", "a read of a commit that a crash took back", func(r *reference) {
			twice(r)
			lose(r.h.Operations[1])
			r.get("b", "x", "k").Out.ReadTS = 1
			r.forget(1)
		}},
		{"G3", "wrong-read", "a read of another value", func(r *reference) {
			twice(r)
			r.get("b", "x", "k").Out.Records[0].Value = `{"v":"1"}`
		}},
		{"G3", "wrong-read", "an event without state", func(r *reference) {
			twice(r)
			rec := &r.get("b", "x", "k").Out.Records[0]
			*rec = history.Record{Name: rec.Name}
		}},
		{"G3", "wrong-read", "another time", func(r *reference) {
			twice(r)
			r.get("b", "x", "k").Out.Records[0].CommitTime++
		}},
		{"G3", "wrong-read", "another record", func(r *reference) {
			r.transact("a", put("x", "k", "1"), put("y", "k", "1"))
			r.get("b", "x", "k").Out.Records[0].Agent = "y"
		}},
		{"G3", "wrong-read", "a record too few", func(r *reference) {
			twice(r)
			op := r.do("b", history.BatchGet, history.Input{Names: []history.Name{key("x", "k"), key("x", "l")}})
			op.Out.Records = op.Out.Records[:1]
		}},
		{"G3", "wrong-read", "two keys of different points", func(r *reference) {
			r.transact("a", put("x", "k", "1"), put("y", "k", "1"))
			r.transact("a", put("x", "k", "2"), put("y", "k", "2"))
			op := r.do("b", history.BatchGet, history.Input{Names: []history.Name{key("x", "k"), key("y", "k")}})
			op.Out.Records[1] = r.at[1][key("y", "k")]
		}},
		{"G3", "wrong-read", "a deleted record with a value", func(r *reference) {
			r.transact("a", put("x", "k", "1"))
			r.transact("a", del("x", "k"))
			r.get("b", "x", "k").Out.Records[0].Value = `{"v":"1"}`
		}},
		{"G4", "read-of-the-future", "as of a commit that had not happened", func(r *reference) {
			twice(r)
			r.do("b", history.Get, history.Input{Agent: "x", Key: "k", At: uptr(2)}).In.At = uptr(3)
		}},
		{"G3", "wrong-read", "as of an earlier commit, one too late", func(r *reference) {
			twice(r)
			r.do("b", history.Get, history.Input{Agent: "x", Key: "k", At: uptr(1)}).Out.Records[0] = r.at[2][key("x", "k")]
		}},
		{"G3", "wrong-read", "as of a time, at another commit", func(r *reference) {
			twice(r)
			r.do("b", history.Get, history.Input{Agent: "x", Key: "k"}).In.AtTime = r.h.Log[0].CommitTime
		}},
		{"G3", "wrong-read", "another version than was asked for", func(r *reference) {
			twice(r)
			r.do("b", history.GetVersion, history.Input{Agent: "x", Key: "k", KeyVersion: 1}).Out.Records[0] = r.at[2][key("x", "k")]
		}},
		{"G3", "stale-snapshot", "a transaction begins in the past", func(r *reference) {
			twice(r)
			r.do("b", history.Begin, history.Input{}).Out.SnapshotTS = 1
		}},
		{"G4", "ghost-snapshot", "a transaction begins in the future", func(r *reference) {
			twice(r)
			r.do("b", history.Begin, history.Input{}).Out.SnapshotTS = 3
		}},
		{"G3", "stale-read", "a transaction's snapshot moves back", func(r *reference) {
			twice(r)
			t := r.begin("b")
			op := r.do("b", history.Get, history.Input{TxnID: t, Agent: "x", Key: "k"})
			op.Out = history.Output{ReadTS: 1, Records: []history.Record{r.at[1][key("x", "k")]}}
		}},
		{"G3", "wrong-read", "a transaction does not get its own write", func(r *reference) {
			t := mine(r)
			rec := &r.do("a", history.Get, history.Input{TxnID: t, Agent: "x", Key: "l"}).Out.Records[0]
			*rec = history.Record{Name: rec.Name}
		}},
		{"G3", "wrong-read", "its own write has a version already", func(r *reference) {
			t := mine(r)
			r.do("a", history.Get, history.Input{TxnID: t, Agent: "x", Key: "l"}).Out.Records[0].Version = 1
		}},
		{"G3", "wrong-read", "a transaction does not list its own write", func(r *reference) {
			t := mine(r)
			r.do("a", history.ListKeys, history.Input{TxnID: t, Agent: "x"}).Out.Keys = []string{"k"}
		}},
		{"G3", "wrong-read", "a transaction scans what it has deleted", func(r *reference) {
			t := mine(r)
			op := r.do("a", history.Scan, history.Input{TxnID: t, Agent: "x"})
			op.Out.Records = append(op.Out.Records, r.at[1][key("x", "m")])
		}},
		{"G4", "ghost-read", "a read of what was refused", func(r *reference) {
			r.transact("a", put("x", "k", "1"))
			t := r.begin("a")
			r.stage("a", t, put("x", "k", "2"))
			refuse(r.do("a", history.Commit, history.Input{TxnID: t}), "TXN_EXPIRED")
			r.get("b", "x", "k")
			r.forget(1)
		}},
		{"G3", "wrong-read", "a list as of one commit that shows another", func(r *reference) {
			first, second := r.transact("a", put("x", "k", "1")), r.transact("b", put("x", "l", "1"))
			list := r.do("c", history.ListKeys, history.Input{Agent: "x"})
			list.Out = history.Output{ReadTS: 1, Keys: []string{"l"}}
			for _, op := range []*history.Operation{first, second, list} {
				op.Call, op.Return = int64(op.ID), int64(op.ID)+10
			}
		}},
		{"G3", "wrong-read", "a phantom in a scan", func(r *reference) {
			r.transact("a", put("x", "k", "1"), put("x", "l", "1"))
			r.transact("a", del("x", "l"))
			op := r.do("b", history.Scan, history.Input{Agent: "x"})
			op.Out.Records = append(op.Out.Records, r.at[1][key("x", "l")])
		}},
		{"G3", "wrong-read", "a key that was never written", func(r *reference) {
			twice(r)
			op := r.do("b", history.ListKeys, history.Input{Agent: "x"})
			op.Out.Keys = append(op.Out.Keys, "z")
		}},
		{"G3", "wrong-read", "a list out of order", func(r *reference) {
			r.transact("a", put("x", "k", "1"), put("x", "l", "1"))
			r.do("b", history.ListKeys, history.Input{Agent: "x"}).Out.Keys = []string{"l", "k"}
		}},
		{"G3", "wrong-read", "another agent's keys", func(r *reference) {
			r.transact("a", put("x", "k", "1"), put("y", "l", "1"))
			r.do("b", history.ListKeys, history.Input{Agent: "x"}).Out.Keys = []string{"k", "l"}
		}},
		{"G3", "wrong-read", "a page of another point", func(r *reference) {
			_, second := paged(r, history.Scan)
			second.Out.ReadTS = 1
		}},
		{"G4", "ghost-read", "pages of two points", func(r *reference) { paged(r, history.Scan) }},
		{"G3", "page-of-another", "a page of another agent's list", func(r *reference) {
			first := r.do("b", history.Scan, history.Input{Agent: "x", Limit: 2})
			r.do("b", history.Scan, history.Input{Agent: "y", Limit: 2, PageOf: first.ID})
		}},
		{"G3", "wrong-read", "pages of two points that do not tell them", func(r *reference) {
			r.transact("a", put("x", "k", "1"), put("y", "k", "1"))
			first := r.do("b", history.ListAgents, history.Input{Namespace: "ns", Limit: 1})
			first.Out = history.Output{Agents: []history.Agent{{Namespace: "ns", Agent: "x", FirstTS: 1, HeadTS: 1}}, More: true}
			second := r.do("b", history.ListAgents, history.Input{Namespace: "ns", Limit: 1, PageOf: first.ID})
			second.Out = history.Output{Agents: []history.Agent{{Namespace: "ns", Agent: "y", FirstTS: 1, HeadTS: 2}}}
			r.transact("a", put("x", "k", "2"), put("y", "k", "2")).Call = first.Call // so that the first can be of either
		}},
		{"G3", "wrong-read", "another agent's record, which is the same", func(r *reference) {
			r.transact("a", put("x", "k", "1"), put("y", "k", "1"))
			r.do("b", history.Scan, history.Input{Agent: "x"}).Out.Records[0].Agent = "y"
		}},
		{"G3", "wrong-read", "a page longer than its limit", func(r *reference) {
			r.transact("a", put("x", "k", "1"), put("x", "l", "1"))
			r.do("b", history.ListKeys, history.Input{Agent: "x"}).In.Limit = 1
		}},
		{"G3", "wrong-read", "there is another page, it says", func(r *reference) {
			twice(r)
			r.do("b", history.ListKeys, history.Input{Agent: "x", Limit: 1}).Out.More = true
		}},
		{"G3", "wrong-read", "less than all, where all was asked for", func(r *reference) {
			r.transact("a", put("x", "k", "1"), put("x", "l", "1"))
			op := r.do("b", history.ListKeys, history.Input{Agent: "x"})
			op.Out.Keys, op.Out.More = op.Out.Keys[:1], true
		}},
		{"G3", "wrong-read", "a history without a version", func(r *reference) {
			twice(r)
			op := r.do("b", history.KeyHistory, history.Input{Agent: "x", Key: "k"})
			op.Out.Records = op.Out.Records[:1]
		}},
		{"G3", "wrong-read", "a history with other metadata", func(r *reference) {
			twice(r)
			r.do("b", history.KeyHistory, history.Input{Agent: "x", Key: "k"}).Out.Records[0].Metadata = map[string]string{"actor": "b"}
		}},
		{"G3", "wrong-read", "an agent's head that is not", func(r *reference) {
			twice(r)
			r.do("b", history.ListAgents, history.Input{Namespace: "ns"}).Out.Agents[0].HeadTS = 1
		}},
		{"G3", "wrong-read", "a namespace that is not", func(r *reference) {
			twice(r)
			r.do("b", history.ListSpaces, history.Input{}).Out.Keys = []string{"ns", "other"}
		}},
	}
}

func liesInStreams() []lie {
	streamed := func(kind history.Kind, in history.Input, spoil func(r *reference, op *history.Operation)) func(r *reference) {
		return func(r *reference) {
			r.do("a", history.Transact, history.Input{TxnID: "m", Writes: []history.Write{put("x", "k", "1"), put("y", "k", "1")}, Metadata: map[string]string{"actor": "a"}})
			r.transact("a", put("x", "k", "2"), put("x", "l", "2"))
			r.transact("a", del("x", "k"))
			if in.Agent == "" {
				in.Namespace, in.AllAgents = "ns", true
			}
			op := r.do("b", kind, in)
			spoil(r, op)
		}
	}
	events := func(f func(list []history.Event) []history.Event) func(r *reference, op *history.Operation) {
		return func(_ *reference, op *history.Operation) { op.Batches[0].Events = f(op.Batches[0].Events) }
	}
	first := func(f func(ev *history.Event)) func(r *reference, op *history.Operation) {
		return func(_ *reference, op *history.Operation) { f(&op.Batches[0].Events[0]) }
	}
	return []lie{
		{"G5", "replay-gap", "a replay has a hole", streamed(history.Replay, history.Input{}, events(func(l []history.Event) []history.Event { return []history.Event{l[0], l[2]} }))},
		{"G5", "replay-gap", "a replay is out of order", streamed(history.Replay, history.Input{}, events(func(l []history.Event) []history.Event { return []history.Event{l[1], l[0], l[2]} }))},
		{"G5", "replay-too-much", "a replay repeats an event", streamed(history.Replay, history.Input{}, events(func(l []history.Event) []history.Event { return append(l, l[2]) }))},
		{"G5", "replay-too-much", "a replay is longer than its limit", streamed(history.Replay, history.Input{}, func(_ *reference, op *history.Operation) { op.In.Limit = 2 })},
		{"G5", "replay-too-much", "a replay goes on past its end", streamed(history.Replay, history.Input{}, func(_ *reference, op *history.Operation) { op.In.To = uptr(2) })},
		{"G5", "replay-short", "a replay ends early", streamed(history.Replay, history.Input{}, func(_ *reference, op *history.Operation) {
			op.Batches[0].Events, op.Batches[0].Cursor = op.Batches[0].Events[:2], 2
		})},
		{"G5", "replay-gap", "a replay of a time leaves out what was then", streamed(history.Replay, history.Input{}, func(r *reference, op *history.Operation) {
			op.In.FromTime = r.h.Log[1].CommitTime
			op.Batches[0].Events = op.Batches[0].Events[2:]
		})},
		{"G5", "event-differs", "a replay shows another agent's operations", streamed(history.Replay, history.Input{}, func(_ *reference, op *history.Operation) {
			op.In.AllAgents, op.In.Agent = false, "x"
		})},
		{"G5", "event-differs", "an event without one of its operations", streamed(history.Replay, history.Input{}, first(func(ev *history.Event) { ev.Ops = ev.Ops[:1] }))},
		{"G5", "event-differs", "an event of another transaction", streamed(history.Replay, history.Input{}, first(func(ev *history.Event) { ev.TxnID = "x2" }))},
		{"G5", "event-differs", "an event of another time", streamed(history.Replay, history.Input{}, first(func(ev *history.Event) { ev.CommitTime++ }))},
		{"G5", "event-differs", "an event without its metadata", streamed(history.Replay, history.Input{}, first(func(ev *history.Event) { ev.Metadata = nil }))},
		{"G5", "event-differs", "another version", streamed(history.Replay, history.Input{}, first(func(ev *history.Event) { ev.Ops[0].Version++ }))},
		{"G5", "event-differs", "another value", streamed(history.Replay, history.Input{}, first(func(ev *history.Event) { ev.Ops[0].Value = "{}" }))},
		{"G5", "event-differs", "a delete that is a write", streamed(history.Replay, history.Input{}, first(func(ev *history.Event) { ev.Ops[0].Delete = true }))},
		{"G5", "event-differs", "operations in another order", streamed(history.Replay, history.Input{}, first(func(ev *history.Event) { ev.Ops[0], ev.Ops[1] = ev.Ops[1], ev.Ops[0] }))},
		{"G4", "ghost-event", "a replay shows what had not happened", streamed(history.Replay, history.Input{}, func(r *reference, op *history.Operation) {
			r.forget(1)
			lose(r.h.Operations[2])
		})},
		{"G4", "ghost-cursor", "a cursor past the end", streamed(history.Watch, history.Input{From: uptr(0)}, func(_ *reference, op *history.Operation) { op.Batches[0].Cursor = 4 })},
		{"G5", "cursor-falls", "a cursor before what was shown", streamed(history.Watch, history.Input{From: uptr(0)}, func(_ *reference, op *history.Operation) { op.Batches[0].Cursor = 2 })},
		{"G5", "cursor-too-far", "a cursor past what was asked for", streamed(history.Replay, history.Input{}, func(_ *reference, op *history.Operation) {
			op.In.To = uptr(2)
			op.Batches[0].Events = op.Batches[0].Events[:2]
		})},
		{"G5", "replay-gap", "a watch skips an event", streamed(history.Watch, history.Input{From: uptr(0)}, events(func(l []history.Event) []history.Event { return []history.Event{l[0], l[2]} }))},
		{"G5", "replay-gap", "a watch goes on one too far", streamed(history.Watch, history.Input{From: uptr(0)}, events(func(l []history.Event) []history.Event { return l[:2] }))},
		{"G9", "watch-stalls", "a watch is not told of the last commit", streamed(history.Watch, history.Input{From: uptr(0)}, func(_ *reference, op *history.Operation) {
			op.Batches[0].Events, op.Batches[0].Cursor, op.Rest = op.Batches[0].Events[:2], 2, 3
		})},
		{"G5", "watch-begins-early", "a watch that was to begin now begins in the past", streamed(history.Watch, history.Input{}, func(_ *reference, op *history.Operation) {
			op.Batches = []history.Batch{{Time: op.Return, Cursor: 1}}
		})},
	}
}
