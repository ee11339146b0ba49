package deserved

import (
	"slices"
	"strings"
	"testing"
	"time"

	"statehouse.dev/statehouse/history"
	pb "statehouse.dev/statehouse/proto/statehouse/v1"
)

// TestEveryCodeHasARow: but for those that the contract says are never sent.
func TestEveryCodeHasARow(t *testing.T) {
	never := []string{"UNKNOWN", "KEY_NOT_FOUND", "INTERNAL_ERROR"} // the last has no reason that is good enough
	for _, code := range pb.ErrorCode_name {
		if has := rows[code] != nil; has == slices.Contains(never, code) {
			t.Errorf("code %s: there is a row: %v", code, has)
		}
	}
}

func TestRules(t *testing.T) {
	name := history.Name{Namespace: "ns", Agent: "a", Key: "k"}
	write := func(value string) history.Input {
		return history.Input{TxnID: "t1", Namespace: "ns", Agent: "a", Key: "k", Value: value}
	}
	for _, c := range []struct {
		about string
		kind  history.Kind
		in    history.Input
		want  string
	}{
		{"all is well", history.StageWrite, write(`{"a":[1,{"b":null}],"c":"\u00e9"}`), ""},
		{"an array", history.StageWrite, write(`[]`), "value"},
		{"two objects", history.StageWrite, write(`{}{}`), "value"},
		{"a name twice", history.StageWrite, write(`{"a":1,"b":{"a":2},"\u0061":3}`), "value"},
		{"the same name in two objects", history.StageWrite, write(`{"a":{"a":{"a":1}}}`), ""},
		{"a string that is the name of a member", history.StageWrite, write(`{"a":"b","b":"a"}`), ""},
		{"too large for a double", history.StageWrite, write(`{"a":1e309}`), "value"},
		{"as large as a double can be", history.StageWrite, write(`{"a":1e308}`), ""},
		{"28 deep", history.StageWrite, write(strings.Repeat(`{"a":`, 28) + "1" + strings.Repeat("}", 28)), ""},
		{"29 deep", history.StageWrite, write(strings.Repeat(`{"a":`, 29) + "1" + strings.Repeat("}", 29)), "value"},
		{"too long", history.StageWrite, write(`{"a":"` + strings.Repeat("x", 100) + `"}`), "value"},
		{"no txn", history.Commit, history.Input{}, "txn_id"},
		{"an id with a space", history.Commit, history.Input{TxnID: "a b"}, "txn_id"},
		{"nothing to do", history.Transact, history.Input{TxnID: "t"}, "operations"},
		{"a long key", history.Get, history.Input{Namespace: "ns", Agent: "a", Key: strings.Repeat("k", 1025)}, "key"},
		{"the longest key", history.Get, history.Input{Namespace: "ns", Agent: "a", Key: strings.Repeat("k", 1024)}, ""},
		{"a control character", history.Get, history.Input{Agent: "a\x1f", Key: "k"}, "agent_id"},
		{"no key", history.Get, history.Input{Agent: "a"}, "key"},
		{"a prefix that is of no key", history.Scan, history.Input{Agent: "a", Prefix: "\x00"}, "prefix"},
		{"a point in a transaction", history.Get, history.Input{TxnID: "t", Agent: "a", Key: "k", AtTime: 1}, "at"},
		{"one agent and all", history.Replay, history.Input{Namespace: "ns", Agent: "a", AllAgents: true}, "agent_id"},
		{"a condition on no key", history.Transact, history.Input{TxnID: "t", Keys: []history.KeyCondition{{}}}, "agent_id,key"},
		{"names", history.BatchGet, history.Input{Names: slices.Repeat([]history.Name{name}, 1001)}, "names"},
		{"much metadata", history.Commit, history.Input{TxnID: "t", Metadata: map[string]string{"m": strings.Repeat("x", 60)}}, "metadata"},
	} {
		l := Limits{ValueBytes: 200, MetadataBytes: 60, BatchNames: 1000}
		if c.about == "too long" {
			l.ValueBytes = 100
		}
		if got := strings.Join(l.fields(c.kind, &c.in), ","); got != c.want {
			t.Errorf("%s: breaks the rules of %q, want %q", c.about, got, c.want)
		}
	}
}

// bench is a daemon that answers what it is told to.
type bench struct {
	*Judge
	world World
}

func newBench(l Limits) *bench {
	now := time.Unix(1_700_000_000, 0)
	b := &bench{NewJudge(), World{Now: now, Latest: now, Published: 7}}
	b.Started(l)
	return b
}

func (b *bench) after(d time.Duration) {
	b.world.Now = b.world.Now.Add(d)
	b.world.Latest = b.world.Now
}

func (b *bench) ok(r Request) string {
	r.Began = 7
	b.Arrived(&r)
	return b.Accepted(&r, &b.world)
}

func (b *bench) refused(r Request, e history.Refusal) string {
	r.Began = 7
	b.Arrived(&r)
	return b.Refused(&r, &e, false, &b.world)
}

func begin(id string) Request {
	return Request{Kind: history.Begin, Begun: id, Timeout: time.Second}
}

func of(kind history.Kind, id string) Request {
	return Request{Kind: kind, In: history.Input{TxnID: id, Agent: "a", Key: "k", Value: "{}"}}
}

var noSlot = history.Refusal{Code: "LIMIT_EXCEEDED", Details: map[string]string{"what": "open transactions"}}

func TestOpenTransactions(t *testing.T) {
	b := newBench(Limits{OpenTxns: 2})
	deserved := func(about string, got string, want bool) {
		t.Helper()
		if (got == "") != want {
			t.Errorf("%s: %q", about, got)
		}
	}
	deserved("none is open", b.refused(Request{Kind: history.Begin}, noSlot), false)
	deserved("the first", b.ok(begin("x")), true)
	deserved("the second", b.ok(begin("y")), true)
	deserved("two are open", b.refused(Request{Kind: history.Begin}, noSlot), true)
	deserved("the third", b.ok(begin("z")), false)
	deserved("aborted", b.ok(of(history.Abort, "z")), true)
	deserved("aborted", b.ok(of(history.Abort, "y")), true)
	deserved("one is open", b.refused(Request{Kind: history.Begin}, noSlot), false)
	b.after(time.Second)
	deserved("a write after the timeout", b.ok(of(history.StageWrite, "x")), false)
	deserved("expired", b.refused(of(history.StageWrite, "x"), history.Refusal{Code: "TXN_EXPIRED"}), true)
	deserved("not known", b.refused(of(history.StageWrite, "x"), history.Refusal{Code: "TXN_NOT_FOUND"}), false)
	b.Started(Limits{OpenTxns: 2})
	deserved("not known any more", b.refused(of(history.StageWrite, "x"), history.Refusal{Code: "TXN_NOT_FOUND"}), true)
}

func TestCauses(t *testing.T) {
	put := Request{Kind: history.Transact, In: history.Input{TxnID: "t", Writes: []history.Write{{Name: history.Name{Agent: "a", Key: "k"}, Value: "{}"}}}}
	get := Request{Kind: history.Get, In: history.Input{Agent: "a", Key: "k"}}
	for code, c := range map[string]struct {
		r     Request
		cause func(w *World)
	}{
		"DISK_FULL":       {put, func(w *World) { w.Short = true }},
		"STORAGE_ERROR":   {get, func(w *World) { w.Errors = 1 }},
		"DATA_LOSS":       {get, func(w *World) { w.Misreads = 1 }},
		"UNAVAILABLE":     {put, func(w *World) { w.Draining = true }},
		"OUTCOME_UNKNOWN": {put, func(w *World) { w.Gone = true }},
		"canceled":        {get, func(w *World) { w.Gone = true }},
	} {
		b := newBench(Limits{})
		if got := b.refused(c.r, history.Refusal{Code: code}); got == "" {
			t.Errorf("%s is deserved without a cause", code)
		}
		c.cause(&b.world)
		if got := b.refused(c.r, history.Refusal{Code: code}); got != "" {
			t.Errorf("%s is not deserved: %s", code, got)
		}
	}
	noToken := history.Refusal{Code: "UNAUTHENTICATED"}
	if stranger := (Request{Kind: history.Get, In: get.In, Stranger: true}); newBench(Limits{}).refused(get, noToken) == "" || newBench(Limits{}).refused(stranger, noToken) != "" || newBench(Limits{}).ok(stranger) == "" {
		t.Error("UNAUTHENTICATED is not for requests without the token, and for none else")
	}
	if got := newBench(Limits{}).refused(get, history.Refusal{Code: "INTERNAL_ERROR"}); got == "" {
		t.Error("a refusal is deserved that the contract does not know")
	}
}

func TestPageToken(t *testing.T) {
	e := history.Refusal{Code: "INVALID_REQUEST", Details: map[string]string{"field": "page_token"}}
	r := Request{Kind: history.Scan, In: history.Input{Agent: "a", PageOf: 3}}
	if b := newBench(Limits{}); b.refused(r, e) != "" {
		t.Error("a token of another request must be refused")
	}
	r.Fresh = true
	if b := newBench(Limits{}); b.refused(r, e) == "" {
		t.Error("a fresh token must not be refused")
	}
}
