package linearizability

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"statehouse.dev/statehouse/history"
	"statehouse.dev/statehouse/linearizability/serial"
	"statehouse.dev/statehouse/linearizability/verdict"
)

// seenByBoth are lies that the second judge must see as well, which knows nothing
// of the first: with the log, and without.
var seenByBoth = map[string][2]string{
	"a version is used again after a delete":                    {"not-linearizable", "not-linearizable"},
	"an acknowledged commit is gone":                            {"acked-not-in-log", ""},
	"another place than the log's":                              {"places-differ", "place-taken"},
	"another version than was written":                          {"not-linearizable", "not-linearizable"},
	"a commit that somebody had seen before it was asked for":   {"order-against-time", "order-against-time"},
	"acknowledged before what comes before it was asked for":    {"order-against-time", "order-against-time"},
	"a version was not as expected":                             {"not-linearizable", "not-linearizable"},
	"a condition beside the writes did not hold":                {"not-linearizable", "not-linearizable"},
	"an agent's head had moved":                                 {"not-linearizable", "not-linearizable"},
	"a commit without writes whose condition did not hold":      {"not-linearizable", "not-linearizable"},
	"a commit without writes is in the past":                    {"order-against-time", "order-against-time"},
	"a transaction that only read is not where it read":         {"places-differ", "places-differ"},
	"what it had read had changed":                              {"not-linearizable", "not-linearizable"},
	"what it had read with others had changed":                  {"not-linearizable", "not-linearizable"},
	"two doctors went home":                                     {"not-linearizable", "not-linearizable"},
	"a phantom came where it had listed":                        {"not-linearizable", "not-linearizable"},
	"what was aborted is there":                                 {"aborted-and-committed", ""},
	"a transaction is called committed before it was":           {"not-linearizable", "not-linearizable"},
	"a transaction that is not in the log is called committed":  {"acked-not-in-log", ""},
	"another commit":                                            {"places-differ", "places-differ"},
	"a commit that is called never seen":                        {"not-linearizable", "not-linearizable"},
	"a read of what was overwritten":                            {"order-against-time", "order-against-time"},
	"a dirty read: of what was never committed":                 {"not-linearizable", "not-linearizable"},
	"a read of a commit that a crash took back":                 {"not-linearizable", "not-linearizable"},
	"a read of another value":                                   {"not-linearizable", "not-linearizable"},
	"an event without state":                                    {"not-linearizable", "not-linearizable"},
	"two keys of different points":                              {"not-linearizable", "not-linearizable"},
	"a transaction begins in the past":                          {"order-against-time", "order-against-time"},
	"a transaction's snapshot moves back":                       {"not-linearizable", "not-linearizable"},
	"a read of what was refused":                                {"not-linearizable", "not-linearizable"},
	"a list as of one commit that shows another":                {"not-linearizable", "not-linearizable"},
	"as of an earlier commit, one too late":                     {"not-linearizable", "not-linearizable"},
	"the clock went back":                                       {"commit-time-falls", "commit-time-falls"},
	"a client's transaction had read what had changed":          {"not-linearizable", "not-linearizable"},
	"a client's transaction had found absent what is there":     {"not-linearizable", "not-linearizable"},
	"a key came where a client's transaction had listed":        {"listing-changed", "listing-changed"},
	"a key changed where a client's transaction had listed":     {"listing-changed", "listing-changed"},
	"a blind one-shot":                                          {"conflict-without-reading", "conflict-without-reading"},
	"a transaction scans what it has deleted":                   {"own-write-unseen", "own-write-unseen"},
	"a phantom in a scan":                                       {"not-linearizable", "not-linearizable"},
	"a key that was never written":                              {"not-linearizable", "not-linearizable"},
	"a page of another point":                                   {"not-linearizable", "not-linearizable"},
	"pages of two points":                                       {"not-linearizable", "not-linearizable"},
	"bytes that one who asks for bytes is shown as an object":   {"not-linearizable", "not-linearizable"},
	"an object that one who asks for bytes is shown as bytes":   {"not-linearizable", "not-linearizable"},
	"bytes of another type":                                     {"not-linearizable", "not-linearizable"},
	"bytes of another type, as an object":                       {"not-linearizable", "not-linearizable"},
	"bytes as they are, for one who knows none":                 {"not-linearizable", "not-linearizable"},
	"a lineage without the parent's last event before the fork": {"not-linearizable", "not-linearizable"},
	"a lineage that has it twice":                               {"not-linearizable", "not-linearizable"},
	"a lineage in which the parent goes on":                     {"parent-goes-on", "parent-goes-on"},
}

func TestSecondJudgeSeesLies(t *testing.T) {
	seen := 0
	for _, l := range lies() {
		want, both := seenByBoth[l.about]
		if !both {
			continue
		}
		seen++
		for i, complete := range []bool{true, false} {
			r := newReference()
			l.tell(r)
			if r.h.Complete = complete; !complete {
				r.h.Log = nil
			}
			got := ""
			if p := serial.Check(r.h, serial.Options{}); len(p.Violations) > 0 {
				got = p.Violations[0].Check
			}
			if got != want[i] {
				t.Errorf("%s, log %t: %q, want %q", l.about, complete, got, want[i])
			}
		}
	}
	if seen != len(seenByBoth) {
		t.Errorf("%d of %d are among the lies", seen, len(seenByBoth))
	}
}

// TestLyingLog: a log that agrees with every read, but not with what was written,
// is found out by the samples, which do without it. The first judge would see it
// too, and is not asked.
func TestLyingLog(t *testing.T) {
	r := newReference()
	r.transact("a", put("x", "k", "1"))
	for i := range 2 * 128 { // so that the reads are in a window that begins in what the log says
		r.transact("b", put("y", fmt.Sprint("k", i%7), "1"))
	}
	r.h.Log[0].Ops[0].Value = `{"v":"forged"}`
	for range 20 {
		r.get("a", "x", "k").Out.Records[0].Value = `{"v":"forged"}`
	}
	windows := serial.Check(r.h, serial.Options{Samples: -1})
	if len(windows.Violations) > 0 {
		t.Fatalf("with the log: %+v", windows.Violations)
	}
	all := serial.Check(r.h, serial.Options{Samples: 200})
	if len(all.Violations) != 1 || all.Violations[0].Check != "not-linearizable" {
		t.Errorf("without: %+v", all.Violations)
	}
}

// TestGivenUp: a search that would take too long says that it does not know. That
// is neither a pass nor a broken guarantee.
func TestGivenUp(t *testing.T) {
	r := newReference()
	for i := range 20 {
		r.transact("a", put("x", "k", fmt.Sprint(i)))
	}
	if got := Check(r.h, Options{SearchSteps: 5}); got.Verdict != verdict.Unknown || len(got.Violations) != 0 {
		t.Errorf("%+v", got)
	}
	if got := Check(r.h, Options{SearchSteps: 500}); got.Verdict != verdict.OK || got.Stats.DeepestSearch == 0 {
		t.Errorf("%+v", got)
	}
}

// TestManyUnknownOutcomes: without the log, commits that nobody knows the outcome
// of may be anywhere; what rules most of it out is that versions are dense.
func TestManyUnknownOutcomes(t *testing.T) {
	r := newReference()
	for i := range 60 {
		k := fmt.Sprint("k", i%5)
		r.transact("a", put("x", k, fmt.Sprint(i)))
		if i%3 == 0 {
			lose(r.transact("b", put("x", k, fmt.Sprint("b", i))))
		}
		r.get("c", "x", k)
	}
	r.h.Complete, r.h.Log = false, nil
	got := Check(r.h, Options{})
	if got.Verdict != verdict.OK || got.Stats.DeepestSearch > 20_000 {
		t.Errorf("%+v", got)
	}
	last := &r.h.Operations[len(r.h.Operations)-1].Out.Records[0]
	last.Value = `{"v":"nobody wrote it"}`
	if got := Check(r.h, Options{}); got.Verdict == verdict.OK {
		t.Errorf("%+v", got)
	}
}

// TestSameVerdict: the verdict, and everything about it, follows from the history
// and the options alone.
func TestSameVerdict(t *testing.T) {
	for _, l := range lies() {
		var first *serial.Result
		for range 3 {
			r := newReference()
			l.tell(r)
			p := serial.Check(r.h, serial.Options{Samples: 8})
			if first == nil {
				first = &p
			}
			if !reflect.DeepEqual(&p, first) {
				t.Fatalf("%s: %+v, then %+v", l.about, first, p)
			}
		}
	}
}

// TestRandomTruths: whatever is done one after the other is right, and stays so when
// calls come earlier, returns later, and answers get lost.
func TestRandomTruths(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := newReference()
		rng := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))
		randomStory(r, rng, rapid.IntRange(1, 80).Draw(t, "length"))
		blur(r, rng, rapid.Int64Range(0, 60).Draw(t, "blur"), 6)
		if got := Check(r.h, Options{Samples: 8, SampleSize: 20}); got.Verdict != verdict.OK {
			t.Fatalf("%s: %+v\n%s", got.Verdict, got.Violations, dump(r.h))
		}
		r.h.Complete, r.h.Log = false, nil
		if got := Check(r.h, Options{}); got.Verdict != verdict.OK {
			t.Fatalf("without the log: %s: %+v\n%s", got.Verdict, got.Violations, dump(r.h))
		}
	})
}

func dump(h *history.History) string {
	var out string
	for _, op := range h.Operations {
		out += fmt.Sprintf("#%d %s [%d,%d] %s %s %s\n", op.ID, op.Kind, op.Call, op.Return, op.Outcome, brief(op.In), brief(op.Out))
	}
	return out
}

// randomStory tells n things, one after the other.
func randomStory(r *reference, rng *rand.Rand, n int) {
	some := func(list ...string) string { return list[rng.IntN(len(list))] }
	agent, k := func() string { return some("x", "y") }, func() string { return some("a", "b", "c") }
	var txn string
	begun := 0 // the head then: the reference does not look for conflicts
	for i := range n {
		value := fmt.Sprint(i)
		switch rng.IntN(14) {
		case 0, 1, 2:
			r.transact("c1", put(agent(), k(), value))
		case 3:
			n := key("x", k())
			r.transact("c1", expecting(put("x", n.Key, value), r.at[r.head()][n].Version), del("y", k()))
		case 4:
			id := r.h.Operations
			if j := len(id) - 1; j >= 0 && id[j].Kind == history.Transact {
				r.do("c1", history.Transact, id[j].In)
				r.do("c1", history.GetTxn, history.Input{TxnID: id[j].In.TxnID})
			}
		case 5:
			r.do("c2", history.BatchGet, history.Input{Names: []history.Name{key("x", k()), key("y", k())}})
		case 6:
			r.do("c2", history.Scan, history.Input{Agent: agent(), Reverse: rng.IntN(2) == 0})
		case 7:
			page := r.do("c2", history.ListKeys, history.Input{Agent: "x", Limit: 1})
			for page.Out.More && int(page.Out.ReadTS) == len(r.h.Log) {
				page = r.do("c2", history.ListKeys, history.Input{Agent: "x", Limit: 1, PageOf: page.ID})
			}
		case 8:
			if txn == "" {
				txn, begun = r.begin("c3"), len(r.h.Log)
			} else if begun == len(r.h.Log) {
				r.do("c3", history.Commit, history.Input{TxnID: txn})
				txn = ""
			} else {
				r.do("c3", history.Abort, history.Input{TxnID: txn})
				txn = ""
			}
		case 9, 10:
			switch {
			case txn == "":
			case rng.IntN(2) == 0:
				r.stage("c3", txn, put(agent(), k(), value))
			case rng.IntN(2) == 0:
				r.do("c3", history.Get, history.Input{TxnID: txn, Agent: agent(), Key: k()})
			default:
				r.do("c3", history.Scan, history.Input{TxnID: txn, Agent: agent()})
			}
		default:
			r.get("c4", agent(), k())
		}
	}
}

// blur makes everything that is not inside of a transaction take longer, and loses
// one answer of so many; 0: none.
func blur(r *reference, rng *rand.Rand, most int64, one int) {
	for _, op := range r.h.Operations {
		if op.In.TxnID != "" && op.Kind != history.Transact || op.In.PageOf != 0 {
			continue
		}
		op.Call -= rng.Int64N(most + 1)
		if op.Kind != history.Begin && !op.Out.More {
			op.Return += rng.Int64N(most + 1)
		}
		if op.Kind == history.Transact && one > 0 && rng.IntN(one) == 0 {
			lose(op)
		}
	}
	slices.SortStableFunc(r.h.Operations, func(a, b *history.Operation) int { return int(a.Call - b.Call) })
}

// TestSecondJudgeSeesThePast: what a read of the past shows has to be what was there, and what
// was there for one reader is there for all that come after.
func TestSecondJudgeSeesThePast(t *testing.T) {
	version := history.Input{Agent: "x", Key: "k", KeyVersion: 1}
	for about, tell := range map[string]func(r *reference){ // each by itself
		"": func(r *reference) { r.do("b", history.GetVersion, version) },
		"a version with another value": func(r *reference) {
			r.do("b", history.GetVersion, version).Out.Records[0].Value = `{"v":"forged"}`
		},
		"an entry of a history with another value": func(r *reference) {
			r.do("b", history.KeyHistory, history.Input{Agent: "x", Key: "k"}).Out.Records[1].Value = `{"v":"forged"}`
		},
		"a version that a later reader does not see": func(r *reference) {
			stale := *r.get("c", "x", "k")
			r.transact("a", put("x", "k", "3"))
			r.do("b", history.GetVersion, history.Input{Agent: "x", Key: "k", KeyVersion: 3})
			late := r.get("c", "x", "k")
			late.Out = stale.Out
		},
	} {
		r := newReference()
		r.transact("a", put("x", "k", "1"))
		r.transact("a", put("x", "k", "2"))
		tell(r)
		if got := serial.Check(r.h, serial.Options{}); len(got.Violations) > 0 != (about != "") {
			t.Errorf("%q: %+v", about, got.Violations)
		}
	}
}

// TestManyReadsOfThePast: what may have been called at any time is met in its place, so that
// many reads of the past cost the search no more than their number.
func TestManyReadsOfThePast(t *testing.T) {
	r := newReference()
	for i := range 10 {
		r.transact("a", put("x", "k", fmt.Sprint(i)))
	}
	for range 200 {
		r.do("b", history.KeyHistory, history.Input{Agent: "x", Key: "k", OldestFirst: true})
	}
	r.h.Complete, r.h.Log = false, nil
	if got := Check(r.h, Options{}); got.Verdict != verdict.OK || got.Stats.DeepestSearch > 20_000 {
		t.Errorf("%+v", got)
	}
}
