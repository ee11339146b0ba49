package linearizability

import (
	"maps"
	"os"
	"slices"
	"testing"

	"statehouse.dev/statehouse/history"
	"statehouse.dev/statehouse/linearizability/verdict"
)

// without is a history of which some clients kept no record: their operations are
// not in it, what they committed is in the log. A transaction that one began belongs
// to that one.
func without(h *history.History, silent ...string) *history.History {
	theirs := make(map[string]bool)
	for _, op := range h.Operations {
		if slices.Contains(silent, op.Client) && op.In.TxnID != "" && op.Kind != history.GetTxn {
			theirs[op.In.TxnID] = true
		}
	}
	out := *h
	out.Operations = nil
	for _, op := range h.Operations {
		if !slices.Contains(silent, op.Client) && !theirs[op.In.TxnID] {
			known := *op
			out.Operations = append(out.Operations, &known)
		}
	}
	return &out
}

// TestOthersCommits: of a good history whatever clients are left out, the rest is
// good; without admitting that there were others, it is not.
func TestOthersCommits(t *testing.T) {
	accused := 0
	for name, h := range goldens(t) { // independent of each other: any order
		clients := make(map[string]bool)
		for _, op := range h.Operations {
			clients[op.Client] = true
		}
		list := slices.Sorted(maps.Keys(clients))
		for i := range list {
			for _, silent := range [][]string{{list[i]}, list[:i], list[i+1:]} {
				rest := without(h, silent...)
				if r := Check(rest, Options{}); r.Verdict == verdict.Illegal {
					accused++
				}
				n := AdmitOthers(rest)
				if r := Check(rest, Options{}); r.Verdict != verdict.OK {
					t.Errorf("%s without %v, %d commits of others: %+v", name, silent, n, r)
				}
			}
		}
	}
	if accused < 20 {
		t.Errorf("only %d histories were bad before", accused)
	}
}

// pythonHistory is what the Python client wrote down, with digests, while another
// client wrote, too.
const pythonHistory = "../history/testdata/clients/python.jsonl"

// TestPythonHistory: what the SDK writes is read, is whole with its replay, and right.
func TestPythonHistory(t *testing.T) {
	f, err := os.Open(pythonHistory)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	h, err := history.ReadHistory(f)
	if err != nil {
		t.Fatal(err)
	}
	outcomes, kinds := make(map[history.Outcome]int), make(map[history.Kind]int)
	for _, op := range h.Operations {
		outcomes[op.Outcome]++
		kinds[op.Kind]++
	}
	if missing := h.Rebuild(); h.Header.Source != history.SourceClient || len(missing) > 0 || AdmitOthers(h) != 8 || outcomes[history.Unknown] < 3 || len(kinds) < 14 {
		t.Errorf("%+v: misses %v; outcomes %v, kinds %v", h.Header, missing, outcomes, kinds)
	}
	if r := Check(h, Options{}); r.Verdict != verdict.OK || r.Stats.Resolved < 2 || r.Stats.Reads < 20 {
		t.Errorf("%+v", r)
	}
}

// TestOthersAreNoExcuse: what a client was told must fit into what others did.
func TestOthersAreNoExcuse(t *testing.T) {
	name := history.Name{Namespace: "default", Agent: "a", Key: "k"}
	put := func(txn, value string) history.Input {
		return history.Input{TxnID: txn, Writes: []history.Write{{Name: name, Value: value}}}
	}
	ack := func(ts uint64) history.Output {
		return history.Output{CommitTS: ts, CommitTime: int64(ts), Versions: []history.KeyVersion{{Name: name, Version: ts}}}
	}
	event := func(ts uint64, txn, value string) history.Event {
		return history.Event{CommitTS: ts, CommitTime: int64(ts), TxnID: txn, Ops: []history.EventOp{{Name: name, Version: ts, Value: value}}}
	}
	get := func(id int, call int64, ts uint64, value string) *history.Operation {
		record := history.Record{Name: name, Exists: true, Version: ts, CommitTS: ts, CommitTime: int64(ts), Value: value}
		return &history.Operation{
			ID: id, Client: "c1", Kind: history.Get, Call: call, Return: call + 1, In: history.Input{Namespace: name.Namespace, Agent: name.Agent, Key: name.Key},
			Outcome: history.OK, Out: history.Output{ReadTS: ts, Records: []history.Record{record}},
		}
	}
	story := func(reads ...*history.Operation) *history.History {
		first := &history.Operation{ID: 1, Client: "c1", Kind: history.Transact, Call: 1, Return: 2, In: put("t1", `{"n":1}`), Outcome: history.OK, Out: ack(1)}
		again := &history.Operation{ID: 2, Client: "c1", Kind: history.Transact, Call: 30, Return: 31, In: put("t1", `{"n":1}`), Outcome: history.OK, Out: ack(1)}
		return &history.History{
			Header: history.Header{Unit: "ns", Source: history.SourceClient}, Complete: true, Operations: append([]*history.Operation{first, again}, reads...),
			Log: []history.Event{event(1, "t1", `{"n":1}`), event(2, "t2", `{"n":2}`), event(3, "t3", `{"n":3}`)},
		}
	}
	for _, c := range []struct {
		what string
		h    *history.History
		want verdict.Verdict
	}{
		{"what others wrote is read", story(get(3, 10, 2, `{"n":2}`), get(4, 20, 3, `{"n":3}`)), verdict.OK},
		{"what nobody wrote is read", story(get(3, 10, 2, `{"n":7}`)), verdict.Illegal},
		{"a later read sees less", story(get(3, 10, 3, `{"n":3}`), get(4, 20, 2, `{"n":2}`)), verdict.Illegal},
	} {
		if n := AdmitOthers(c.h); n != 2 {
			t.Errorf("%s: %d commits of others", c.what, n)
		}
		if r := Check(c.h, Options{}); r.Verdict != c.want {
			t.Errorf("%s: %+v", c.what, r)
		}
	}
}
