package intent

import (
	"slices"
	"strings"
	"testing"

	"statehouse.dev/statehouse/history"
)

// run is what became of one call, transact c1-1 of key k, and of its requests.
type run struct {
	op       history.Operation
	requests []history.Operation
	log      []history.Event
	doubled  map[int]bool
}

func name(key string) history.Name { return history.Name{Namespace: "default", Agent: "a", Key: key} }

func commits(ts, version uint64, id, tag string) history.Event {
	ev := history.Event{CommitTS: ts, CommitTime: int64(ts), TxnID: id, Ops: []history.EventOp{{Name: name("k"), Version: version, Value: `{}`}}}
	if tag != "" {
		ev.Metadata = map[string]string{Tag: tag}
	}
	return ev
}

func acked(ts, version uint64) history.Output {
	return history.Output{CommitTS: ts, CommitTime: int64(ts), Versions: []history.KeyVersion{{Name: name("k"), Version: version}}}
}

func refusal(code string) *history.Refusal { return &history.Refusal{Code: code, Message: "no"} }

func (r *run) judge() (checks []string) {
	tagged := map[string]string{Tag: "c1-1"}
	in := history.Input{TxnID: "c1-1", Writes: []history.Write{{Name: name("k"), Value: `{}`}}, Metadata: tagged}
	op := r.op
	op.ID, op.Client, op.Call, op.Return = 1, "c1", 10, 20
	if op.Kind == "" {
		op.Kind, op.In.TxnID, op.In.Writes, op.In.Metadata = history.Transact, in.TxnID, in.Writes, tagged
	}
	wire := history.History{Log: r.log, Complete: true}
	for i, q := range r.requests {
		q.ID, q.Client, q.Kind, q.In, q.Call = i+7, "c1", history.Transact, in, int64(11+2*i)
		q.In.TxnID = "wire"
		if q.Return == 0 {
			q.Return = int64(12 + 2*i)
		}
		wire.Operations = append(wire.Operations, &q)
	}
	intents := history.History{Header: history.Header{Source: history.SourceIntent}, Operations: []*history.Operation{&op}}
	for _, v := range Judge(&wire, &intents, Network{Doubled: r.doubled}) {
		if len(r.requests) > 0 && v.Op != 0 && !strings.Contains(v.Sentence, "on the wire #7") {
			checks = append(checks, "it does not name the request: "+v.Sentence)
		}
		checks = append(checks, strings.TrimPrefix(v.Check, "intent-"))
	}
	return checks
}

func TestJudge(t *testing.T) {
	ok := history.Operation{Outcome: history.OK, Out: acked(1, 1)}
	lost := history.Operation{Outcome: history.Unknown, Error: refusal("unavailable")}
	full := history.Operation{Outcome: history.Fail, Error: refusal("DISK_FULL")}
	once := []history.Event{commits(1, 1, "wire", "c1-1")}
	for _, c := range []struct {
		title string
		run
		want string
	}{
		{"committed once", run{op: ok, requests: []history.Operation{lost, ok}, log: once}, ""},
		{"committed twice, under two ids", run{op: ok, requests: []history.Operation{lost, ok}, log: append(slices.Clone(once), commits(2, 2, "other", "c1-1"))}, "txn-twice answer-differs"},
		{"not there", run{op: ok, requests: []history.Operation{ok}}, "acked-commit-lost"},
		{"unknown, and there", run{op: lost, requests: []history.Operation{lost}, log: once}, ""},
		{"refused, and there", run{op: full, requests: []history.Operation{lost, full}, log: once}, "refused-but-applied"},
		{"refused, and a copy of the request is there", run{op: full, requests: []history.Operation{full}, log: once, doubled: map[int]bool{7: true}}, ""},
		{"unknown, though answered", run{op: lost, requests: []history.Operation{lost, ok}, log: once}, "doubt-without-cause"},
		{"unknown, though refused", run{op: lost, requests: []history.Operation{full}}, "doubt-without-cause"},
		{"unknown, and never asked", run{op: lost}, "doubt-without-cause"},
		{"unknown, and answered too late", run{op: lost, requests: []history.Operation{{Outcome: history.OK, Out: acked(1, 1), Return: 30}}, log: once}, ""},
		{"of a client that is not recorded", run{op: lost, requests: []history.Operation{lost}, log: []history.Event{commits(1, 1, "other", "")}}, ""},
		{"a watch that ends", run{op: history.Operation{Kind: history.Watch, Outcome: history.OK, In: history.Input{From: new(uint64)}}}, "watch-ends"},
		{"given up", run{op: history.Operation{
			Kind: history.Get, Outcome: history.Unknown, Error: &history.Refusal{Code: "UNAVAILABLE", Details: map[string]string{gaveUp: "UNAVAILABLE"}},
		}}, "gave-up"},
	} {
		if got := strings.Join(c.judge(), " "); got != c.want {
			t.Errorf("%s: found %q, want %q", c.title, got, c.want)
		}
	}
}

// A list may be left before its end, or end at its limit; what it shows must be right.
func TestJudgeLists(t *testing.T) {
	log := []history.Event{{CommitTS: 1, CommitTime: 1, TxnID: "x", Ops: []history.EventOp{
		{Name: name("a"), Version: 1, Value: `{}`}, {Name: name("b"), Version: 1, Value: `{}`},
	}}}
	for _, c := range []struct {
		keys  string
		limit uint64
		more  bool
		want  string
	}{
		{"a b", 0, false, ""}, {"a", 0, false, "wrong-read"}, {"a", 0, true, ""}, {"a b", 0, true, ""}, {"b", 0, true, "wrong-read"},
		{"a", 1, true, ""}, {"a b", 2, true, ""}, {"a b", 1, true, "wrong-read"},
	} {
		r := run{log: log, op: history.Operation{
			Kind: history.ListKeys, Outcome: history.OK, In: history.Input{Namespace: "default", Agent: "a", Limit: c.limit, At: new(uint64(1))},
			Out: history.Output{Keys: strings.Fields(c.keys), More: c.more},
		}}
		if got := strings.Join(r.judge(), " "); got != c.want {
			t.Errorf("%q, limit %d, more %v: found %q, want %q", c.keys, c.limit, c.more, got, c.want)
		}
	}
}
