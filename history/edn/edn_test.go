package edn

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"statehouse.dev/statehouse/history"
	"statehouse.dev/statehouse/linearizability"
	"statehouse.dev/statehouse/linearizability/verdict"
)

func read(t *testing.T, path string) *history.History {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	h, err := history.ReadHistory(f)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func goldens(t *testing.T) map[string]*history.History {
	t.Helper()
	paths, err := filepath.Glob("../testdata/*.jsonl")
	if err != nil || len(paths) == 0 {
		t.Fatal("no histories", err)
	}
	all := make(map[string]*history.History)
	for _, path := range paths {
		all[filepath.Base(path)] = read(t, path)
	}
	return all
}

func lines(t *testing.T, h *history.History) string {
	t.Helper()
	var b bytes.Buffer
	if err := h.Write(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// TestThereAndBack: what is written as EDN is the same when it is read.
func TestThereAndBack(t *testing.T) {
	all := goldens(t)
	rest := uint64(7)
	name := history.Name{Namespace: "n/%", Agent: "a\"\\\u2028", Key: "k\x01\n😀é"}
	all["odd"] = &history.History{
		Header: history.Header{Format: history.Format, Version: history.Version, Source: "daemon", Unit: "ns", Config: map[string]string{"A b": "c", "capture-mb": "3"},
			Base: &history.Base{CommitTS: 5, Records: []history.Record{{Name: name, Exists: true, Version: 1<<64 - 1, CommitTS: 5, Value: `{"n":1e400}`}}, Agents: []history.Agent{{Namespace: "n", Agent: "a", FirstTS: 1, HeadTS: 5}}}},
		Operations: []*history.Operation{
			{ID: 4, Client: "c", Kind: history.Watch, Call: -5, Rest: rest, In: history.Input{Namespace: "n", From: new(uint64(0))}, Outcome: history.Unknown, Batches: []history.Batch{{Time: -5, Cursor: 5}, {Time: 90, Cursor: 6}}},
			{ID: 2, Client: "c", Kind: history.Transact, Call: 3, Return: 3, In: history.Input{TxnID: "t", Metadata: map[string]string{"why not": "", "run": "7"}}, Outcome: history.Fail, Error: &history.Refusal{Code: "CONFLICT", Details: map[string]string{"key": "k"}}},
			{ID: 9, Client: "c", Kind: history.Commit, Call: 3, In: history.Input{TxnID: "u"}, Outcome: history.Unknown, Error: &history.Refusal{Code: "DISK_FULL"}},
			{ID: 11, Client: "c", Kind: history.Commit, Call: 3, Return: 8, In: history.Input{TxnID: "u"}, Outcome: history.Unknown, Error: &history.Refusal{Code: "STORAGE"}},
			{ID: 10, Client: "d", Kind: history.Get, Call: 4, In: history.Input{Namespace: "n", Agent: "a", Key: "k"}, Outcome: history.Unknown},
		},
		Log:   []history.Event{{CommitTS: 6, CommitTime: 9, TxnID: "u", Metadata: map[string]string{"Ä": "ö"}, Ops: []history.EventOp{{Name: name, Version: 2, Delete: true}}}},
		Notes: []history.Note{{Time: 2, Lane: "disk", Kind: "fault", Text: "; not a comment ["}}, Gaps: []history.Gap{{From: 1, To: 2, Lost: 3, Why: "full"}}, Complete: true,
	}
	for name, h := range all { // independent of each other: any order
		var b bytes.Buffer
		if err := Write(&b, h); err != nil {
			t.Fatal(err)
		}
		text := b.String()
		again, err := Read(&b)
		if err != nil {
			t.Fatalf("%s: %v\n%s", name, err, text)
		}
		if got, want := lines(t, again), lines(t, h); got != want {
			t.Errorf("%s is another\n%s\nafter\n%s\n%s", name, got, want, text)
		}
		// A process has one operation at a time, and none after one whose end it does not know.
		busy := make(map[string]bool)
		for _, line := range strings.Split(strings.TrimSpace(text), "\n") {
			_, rest, _ := strings.Cut(line, ":process ")
			process, _, _ := strings.Cut(rest, ",")
			if process == ":nemesis" {
				continue
			}
			switch invoked := strings.Contains(line, ":type :invoke"); {
			case invoked && busy[process]:
				t.Fatalf("%s: process %s is busy at\n%s", name, process, line)
			case !strings.Contains(line, ":type :info"):
				busy[process] = invoked
			}
		}
	}
}

// TestOfJepsen reads what a test written in Clojure stores: records with tags, processes
// of its own, no ids, exceptions.
func TestOfJepsen(t *testing.T) {
	h, err := Read(strings.NewReader(`
; a comment with a bracket [
#jepsen.history.Op{:index 0, :time 10, :type :invoke, :process 0, :f :transact, :value {:txn "t1" :writes [{:ns "n" :agent "a" :key "k" :value "{\"n\":1}"}]}}
#jepsen.history.Op{:index 1, :time 11, :type :invoke, :process 1, :f :get, :value {:ns "n", :agent "a", :key "k"}}
#jepsen.history.Op{:index 2, :time 12, :type :info, :process :nemesis, :f :kill, :value ["n1"]}
#jepsen.history.Op{:index 3, :time 20, :type :ok, :process 0, :f :transact, :value {:commit_ts 1 :commit_time 5 :versions [{:ns "n" :agent "a" :key "k" :version 1}]}}
#jepsen.history.Op{:index 4, :time 21, :type :info, :process 1, :f :get, :value nil, :error [:timeout], :exception {:via []}}
#jepsen.history.Op{:index 5, :time 30, :type :invoke, :process 0, :f :get, :value {:ns "n", :agent "a", :key "k"}}
#jepsen.history.Op{:index 6, :time 40, :type :ok, :process 0, :f :get, :value {:read_ts 1 :records [{:ns "n" :agent "a" :key "k" :exists true :version 1 :commit_ts 1 :commit_time 5 :value "{\"n\": 1}"}]}}
#jepsen.history.Op{:index 7, :time 50, :type :invoke, :process 0, :f :transact, :value {:txn "t2" :writes [{:ns "n" :agent "a" :key "k" :value "{}" :expected 7}]}}
#jepsen.history.Op{:index 8, :time 60, :type :fail, :process 0, :f :transact, :error {:code "PRECONDITION_FAILED" :details {:namespace "n" :agent_id "a" :key "k" :expected_version "7" :current_version "1"}}}
`))
	if err != nil {
		t.Fatal(err)
	}
	if missing := h.Rebuild(); len(missing) > 0 || !h.Complete || len(h.Operations) != 4 || len(h.Notes) != 1 {
		t.Fatalf("%v %+v", missing, h)
	}
	if r := linearizability.Check(h, linearizability.Options{}); r.Verdict != verdict.OK {
		t.Errorf("%+v", r)
	}
	h.Operations[2].Out.Records[0].Version = 2
	if r := linearizability.Check(h, linearizability.Options{}); r.Verdict != verdict.Illegal {
		t.Error("a wrong answer is taken for a right one")
	}
}

func TestRefused(t *testing.T) {
	const invoke = `{:time 1 :type :invoke :process 0 :f :get :value {:ns "n" :agent "a" :key "k"}}` + "\n"
	for text, want := range map[string]string{ // independent of each other: any order
		`{:time 1 :type :invoke :process 0 :f :get :value {:agnet "a"}}`: `form 1: the :value of :get: unknown field "agnet"`,
		`{:time 1 :type :invoke :process 0 :f :get :colour 3}`:           `unknown field "colour"`,
		`{:type :invoke :process 0 :f :get}`:                             "no :time",
		`{:time 1 :type :invoke :f :get}`:                                "no :process",
		`{:time 1 :type :done :process 0 :f :get}`:                       ":type",
		`{:time 1 :type :ok :process 0 :f :get}`:                         "did not invoke",
		`{:time 1 :type :invoke :process 0 :f :fetch}`:                   `"fetch"`,
		invoke + invoke: "form 2: process 0 invokes :get before its :get completed",
		invoke + `{:time 2 :type :ok :process 0 :f :scan}`:                 "invoked :get",
		invoke + `{:time 2 :type :fail :process 0 :f :get}`:                "no :error",
		invoke + `{:time 0 :type :ok :process 0 :f :get}`:                  "not returned",
		`{:time 1 :type :info :process :nemesis :f :batch :value {:op 3}}`: "batch of operation 3",
		`{:time 1 :type :invoke :process 0 :f :get :value #{1}}`:           "type",
		`42`:                       "no invocation or completion",
		`{:time 1`:                 "form 1",
		strings.Repeat("[", 1<<20): "too deep",
		`{:a 1 "a" 2}`:             "twice",
		invoke + `{:time "x"}`:     "form 2",
	} {
		if _, err := Read(strings.NewReader(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.80s: %v, and not %s", text, err, want)
		}
	}
}
