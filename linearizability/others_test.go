package linearizability

import (
	"maps"
	"os"
	"slices"
	"testing"
)

// without is a history of which some clients kept no record: their operations are
// not in it, what they committed is in the log. A transaction that one began belongs
// to that one.
func without(h *History, silent ...string) *History {
	theirs := make(map[string]bool)
	for _, op := range h.Operations {
		if slices.Contains(silent, op.Client) && op.In.TxnID != "" && op.Kind != GetTxn {
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
				if r := Check(rest, Options{}); r.Verdict == VerdictIllegal {
					accused++
				}
				n := rest.AdmitOthers()
				if r := Check(rest, Options{}); r.Verdict != VerdictOK {
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
const pythonHistory = "testdata/clients/python.jsonl"

// TestPythonHistory: what the SDK writes is read, is whole with its replay, and right.
func TestPythonHistory(t *testing.T) {
	f, err := os.Open(pythonHistory)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	h, err := ReadHistory(f)
	if err != nil {
		t.Fatal(err)
	}
	outcomes, kinds := make(map[Outcome]int), make(map[Kind]int)
	for _, op := range h.Operations {
		outcomes[op.Outcome]++
		kinds[op.Kind]++
	}
	if missing := h.Rebuild(); h.Header.Source != SourceClient || len(missing) > 0 || h.AdmitOthers() != 8 || outcomes[Unknown] < 3 || len(kinds) < 14 {
		t.Errorf("%+v: misses %v; outcomes %v, kinds %v", h.Header, missing, outcomes, kinds)
	}
	if r := Check(h, Options{}); r.Verdict != VerdictOK || r.Stats.Resolved < 2 || r.Stats.Reads < 20 {
		t.Errorf("%+v", r)
	}
}

// TestOthersAreNoExcuse: what a client was told must fit into what others did.
func TestOthersAreNoExcuse(t *testing.T) {
	name := Name{"default", "a", "k"}
	put := func(txn, value string) Input { return Input{TxnID: txn, Writes: []Write{{Name: name, Value: value}}} }
	ack := func(ts uint64) Output {
		return Output{CommitTS: ts, CommitTime: int64(ts), Versions: []KeyVersion{{name, ts}}}
	}
	event := func(ts uint64, txn, value string) Event {
		return Event{CommitTS: ts, CommitTime: int64(ts), TxnID: txn, Ops: []EventOp{{Name: name, Version: ts, Value: value}}}
	}
	get := func(id int, call int64, ts uint64, value string) *Operation {
		record := Record{Name: name, Exists: true, Version: ts, CommitTS: ts, CommitTime: int64(ts), Value: value}
		return &Operation{
			ID: id, Client: "c1", Kind: Get, Call: call, Return: call + 1, In: Input{Namespace: name.Namespace, Agent: name.Agent, Key: name.Key},
			Outcome: OK, Out: Output{ReadTS: ts, Records: []Record{record}},
		}
	}
	history := func(reads ...*Operation) *History {
		first := &Operation{ID: 1, Client: "c1", Kind: Transact, Call: 1, Return: 2, In: put("t1", `{"n":1}`), Outcome: OK, Out: ack(1)}
		again := &Operation{ID: 2, Client: "c1", Kind: Transact, Call: 30, Return: 31, In: put("t1", `{"n":1}`), Outcome: OK, Out: ack(1)}
		return &History{
			Header: Header{Unit: "ns", Source: SourceClient}, Complete: true, Operations: append([]*Operation{first, again}, reads...),
			Log: []Event{event(1, "t1", `{"n":1}`), event(2, "t2", `{"n":2}`), event(3, "t3", `{"n":3}`)},
		}
	}
	for _, c := range []struct {
		what string
		h    *History
		want Verdict
	}{
		{"what others wrote is read", history(get(3, 10, 2, `{"n":2}`), get(4, 20, 3, `{"n":3}`)), VerdictOK},
		{"what nobody wrote is read", history(get(3, 10, 2, `{"n":7}`)), VerdictIllegal},
		{"a later read sees less", history(get(3, 10, 3, `{"n":3}`), get(4, 20, 2, `{"n":2}`)), VerdictIllegal},
	} {
		if n := c.h.AdmitOthers(); n != 2 {
			t.Errorf("%s: %d commits of others", c.what, n)
		}
		if r := Check(c.h, Options{}); r.Verdict != c.want {
			t.Errorf("%s: %+v", c.what, r)
		}
	}
}

// TestDecisions: when commits were decided follows from answers that show the last
// commit of their moment, and from no others.
func TestDecisions(t *testing.T) {
	one := uint64(1)
	h := &History{
		Log: []Event{{CommitTS: 1}, {CommitTS: 2}, {CommitTS: 3}, {CommitTS: 4}},
		Operations: []*Operation{
			{Kind: Begin, Call: 5, Return: 6, Outcome: OK, Out: Output{SnapshotTS: 1}},
			{Kind: Transact, Call: 3, Return: 4, Outcome: Unknown, In: Input{TxnID: "t2"}},
			{Kind: Transact, Call: 10, Return: 45, Outcome: OK, In: Input{TxnID: "t2"}, Out: Output{CommitTS: 2, Versions: make([]KeyVersion, 1)}},
			{Kind: Get, Call: 30, Return: 31, Outcome: OK, Out: Output{ReadTS: 3}},
			{Kind: Watch, Call: 1, Outcome: Unknown, Batches: []Batch{{Time: 40, Cursor: 4}}},
			// Of these none tells anything.
			{Kind: Get, Call: 50, Return: 51, Outcome: OK, In: Input{At: &one}, Out: Output{ReadTS: 1}},
			{Kind: Get, Call: 50, Return: 51, Outcome: OK, In: Input{AtTime: 1}, Out: Output{ReadTS: 1}},
			{Kind: Get, Call: 50, Return: 51, Outcome: OK, In: Input{TxnID: "t9"}, Out: Output{ReadTS: 1}},
			{Kind: Scan, Call: 50, Return: 51, Outcome: OK, In: Input{PageOf: 4}, Out: Output{ReadTS: 1}},
			{Kind: Commit, Call: 50, Return: 51, Outcome: OK, In: Input{TxnID: "t8"}, Out: Output{CommitTS: 1}},
			{Kind: Get, Call: 50, Return: 51, Outcome: Fail},
		},
	}
	if got, want := h.decisions(), []span{{0, 6}, {5, 31}, {5, 31}, {30, 40}}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}
