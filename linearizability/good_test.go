package linearizability

import (
	"testing"

	"statehouse.dev/statehouse/history"
	"statehouse.dev/statehouse/linearizability/verdict"
)

// truths are good histories that look odd.
var truths = []struct {
	about string
	tell  func(r *reference)
}{
	{"nothing", func(*reference) {}},
	{"reads of an empty store", func(r *reference) {
		r.get("a", "x", "k")
		r.do("a", history.Scan, history.Input{Agent: "x"})
		r.do("a", history.ListAgents, history.Input{Namespace: "ns"})
		r.do("a", history.Replay, history.Input{Agent: "x"})
		r.do("a", history.Commit, history.Input{TxnID: r.begin("a")})
	}},
	{"a little of everything", func(r *reference) {
		r.transact("a", put("x", "k1", "1"), put("x", "k2", "1"), put("y", "k1", "1"))
		t := r.begin("b")
		r.do("b", history.Get, history.Input{TxnID: t, Agent: "x", Key: "k2"})
		r.stage("b", t, expecting(put("x", "k2", "2"), 1))
		r.do("b", history.Get, history.Input{TxnID: t, Agent: "x", Key: "k2"})
		r.do("b", history.Scan, history.Input{TxnID: t, Agent: "x", Reverse: true})
		r.do("b", history.GetTxn, history.Input{TxnID: t})
		r.do("b", history.Commit, history.Input{TxnID: t, Metadata: map[string]string{"actor": "b"}})
		r.do("b", history.Commit, history.Input{TxnID: t})
		r.do("b", history.GetTxn, history.Input{TxnID: t})
		r.transact("a", del("x", "k1"), put("x", "k3", "3"))
		r.transact("a", expecting(put("x", "k1", "1"), 0))
		page := r.do("a", history.Scan, history.Input{Agent: "x", Limit: 2})
		r.do("a", history.Scan, history.Input{Agent: "x", Limit: 2, PageOf: page.ID})
		r.do("a", history.ListKeys, history.Input{Agent: "x", Prefix: "k", Reverse: true, At: uptr(2)})
		r.do("a", history.GetVersion, history.Input{Agent: "x", Key: "k1", KeyVersion: 2})
		r.do("a", history.KeyHistory, history.Input{Agent: "x", Key: "k1"})
		r.do("a", history.BatchGet, history.Input{Names: []history.Name{key("x", "k1"), key("y", "k1"), key("y", "none")}})
		r.do("a", history.ListAgents, history.Input{Namespace: "ns"})
		r.do("a", history.ListSpaces, history.Input{})
		r.do("a", history.Replay, history.Input{Agent: "x", Prefix: "k1"})
		r.do("a", history.Watch, history.Input{Namespace: "ns", AllAgents: true, From: uptr(0)})
		r.do("a", history.Transact, history.Input{TxnID: "c", Writes: []history.Write{put("x", "k9", "9")}, Keys: []history.KeyCondition{{Name: key("x", "k1"), Expected: 3}}, Heads: []history.HeadCondition{{Namespace: "ns", Agent: "x", Expected: 4}}})
	}},
	{"a commit whose answer was lost is there", func(r *reference) {
		lose(r.transact("a", put("x", "k", "1")))
		r.get("b", "x", "k")
	}},
	{"a commit whose answer was lost comes late", func(r *reference) {
		op := r.transact("a", put("x", "k", "1"))
		lose(op)
		before := r.get("b", "x", "k")
		before.Out = history.Output{Records: []history.Record{{Name: key("x", "k")}}}
		r.get("b", "x", "k")
	}},
	{"a commit whose answer was lost is not there", func(r *reference) {
		lose(r.transact("a", put("x", "k", "1")))
		r.forget(1)
		r.get("b", "x", "k").Out = history.Output{Records: []history.Record{{Name: key("x", "k")}}}
	}},
	{"a commit that was sent again", func(r *reference) {
		lose(r.transact("a", put("x", "k", "1")))
		r.do("a", history.Transact, history.Input{TxnID: "x1", Writes: []history.Write{put("x", "k", "1")}})
		r.do("a", history.GetTxn, history.Input{TxnID: "x1"})
	}},
	{"a staged write whose answer was lost may be there or not", func(r *reference) {
		r.transact("a", put("x", "k", "1"))
		t := r.begin("a")
		lose(r.stage("a", t, put("x", "l", "2")))
		r.do("a", history.ListKeys, history.Input{TxnID: t, Agent: "x"})
		r.do("a", history.ListKeys, history.Input{TxnID: t, Agent: "x"}).Out.Keys = []string{"k"}
		r.do("a", history.Commit, history.Input{TxnID: t})
	}},
	{"a listing in a transaction that never arrived binds nobody", func(r *reference) {
		r.transact("a", put("x", "k", "1"))
		t := r.begin("a")
		lose(r.do("a", history.ListKeys, history.Input{TxnID: t, Agent: "x"}))
		r.transact("b", put("x", "k", "2"))
		r.stage("a", t, put("x", "l", "1"))
		r.do("a", history.Commit, history.Input{TxnID: t})
	}},
	{"a copy of a page that arrived late saw further", func(r *reference) {
		r.transact("a", put("x", "k", "1"))
		t := r.begin("a")
		r.stage("a", t, put("x", "b", "2"))
		r.do("a", history.ListKeys, history.Input{TxnID: t, Agent: "x", Limit: 1}) // b, and more
		r.transact("b", put("x", "k", "3"))
		r.stage("a", t, del("x", "b"))
		refuse(r.do("a", history.Commit, history.Input{TxnID: t}), "CONFLICT", conflictOn(key("x", "k"), 1, 2)...)
		r.forget(1)
	}},
	{"a request was refused, and a copy of it was not", func(r *reference) {
		refuse(r.transact("a", put("x", "k", "1")), "DISK_FULL")
		r.get("b", "x", "k")
	}},
	{"two reads under way see a commit under way, one of them", func(r *reference) {
		write := r.transact("a", put("x", "k", "1"))
		before, after := r.get("b", "x", "k"), r.get("c", "x", "k")
		before.Out = history.Output{Records: []history.Record{{Name: key("x", "k")}}}
		write.Call, before.Call, after.Call = 10, 11, 12
		write.Return, before.Return, after.Return = 20, 21, 22
	}},
	{"a conflict and a precondition, with their reasons", func(r *reference) {
		r.transact("a", put("x", "k", "1"))
		t := r.begin("a")
		r.do("a", history.Get, history.Input{TxnID: t, Agent: "x", Key: "k"})
		r.transact("b", put("x", "k", "2"))
		refuse(r.do("a", history.Commit, history.Input{TxnID: t}), "CONFLICT", conflictOn(key("x", "k"), 1, 2)...)
		refuse(r.transact("b", expecting(put("x", "k", "3"), 1)), "PRECONDITION_FAILED", failedOn(key("x", "k"), 1, 2)...)
		r.forget(1)
	}},
	{"an id that another request has: one that was committed, refused, or lost", func(r *reference) {
		other := func(id string) {
			refuse(r.do("b", history.Transact, history.Input{TxnID: id, Writes: []history.Write{put("x", "k", "2")}}), "TXN_ID_REUSED")
		}
		r.do("a", history.Transact, history.Input{TxnID: "i", Writes: []history.Write{put("x", "k", "1")}})
		other("i")
		refuse(r.do("a", history.Transact, history.Input{TxnID: "j", Writes: []history.Write{expecting(put("x", "k", "1"), 7)}}), "PRECONDITION_FAILED", failedOn(key("x", "k"), 7, 1)...)
		r.forget(1)
		other("j")
		lose(r.do("a", history.Transact, history.Input{TxnID: "l", Writes: []history.Write{put("x", "k", "1")}, Keys: []history.KeyCondition{{Name: key("x", "k"), Expected: 7}}}))
		r.forget(1)
		other("l")
		other(r.begin("a"))
	}},
	{"a conflict on what a lost read had read, and a refusal on a condition of a lost write", func(r *reference) {
		r.transact("a", put("x", "k", "1"))
		t, u := r.begin("a"), r.begin("a")
		lose(r.do("a", history.Get, history.Input{TxnID: t, Agent: "x", Key: "k"}))
		r.transact("b", put("x", "k", "2"))
		refuse(r.do("a", history.Commit, history.Input{TxnID: t}), "CONFLICT", conflictOn(key("x", "k"), 1, 2)...)
		lose(r.stage("a", u, expecting(put("x", "k", "3"), 1)))
		refuse(r.do("a", history.Commit, history.Input{TxnID: u}), "PRECONDITION_FAILED", failedOn(key("x", "k"), 1, 2)...)
		r.forget(1)
	}},
	{"a request that was sent again in another spelling, and answered as it was first", func(r *reference) {
		lose(r.do("a", history.Transact, history.Input{TxnID: "j", Writes: []history.Write{{Name: key("x", "k"), Value: `{"b":1.50,"a":"A"}`}}}))
		r.do("a", history.Transact, history.Input{TxnID: "j", Writes: []history.Write{{Name: key("x", "k"), Value: `{"a":"\u0041","b":15e-1}`}}})
		r.get("b", "x", "k")
	}},
	{"a value with a number that is no double, read as a Struct", func(r *reference) {
		r.do("a", history.Transact, history.Input{TxnID: "j", Writes: []history.Write{{Name: key("x", "k"), Value: `{"n":9007199254740993}`}}})
		rec := &r.do("b", history.Get, history.Input{Agent: "x", Key: "k", Doubles: true}).Out.Records[0]
		rec.Value, rec.Inexact = `{"n":9007199254740992}`, true
	}},
	{"values written one way and read another", func(r *reference) {
		r.do("a", history.Transact, history.Input{TxnID: "j", Writes: []history.Write{{Name: key("x", "k"), Value: `{ "b": 1.50, "a": "\u0041" }`}}})
		r.get("a", "x", "k").Out.Records[0].Value = `{"a":"A","b":1.50}`
	}},
	{"a read that may be stale, and is", func(r *reference) { mayBeStale(r, 1) }},
	{"a history that begins in the middle", func(r *reference) {
		r.transact("a", put("x", "k", "1"), put("x", "l", "1"))
		r.transact("a", del("x", "l"))
		base := &history.Base{CommitTS: 2, Agents: []history.Agent{{Namespace: "ns", Agent: "x", FirstTS: 1, HeadTS: 2}}}
		for _, n := range []history.Name{key("x", "k"), key("x", "l")} {
			rec := r.at[2][n]
			base.Records = append(base.Records, rec)
		}
		known := r.h.Log
		r.transact("a", expecting(put("x", "l", "2"), 0))
		r.get("a", "x", "k")
		r.do("a", history.Scan, history.Input{Agent: "x"})
		r.do("a", history.ListAgents, history.Input{Namespace: "ns"})
		r.do("a", history.ListSpaces, history.Input{})
		r.do("a", history.Transact, history.Input{TxnID: "c", Writes: []history.Write{put("x", "m", "1")}, Heads: []history.HeadCondition{{Namespace: "ns", Agent: "x", Expected: 3}}})
		r.h.Header.Base, r.h.Log = base, r.h.Log[len(known):]
		r.h.Operations = r.h.Operations[2:]
	}},
}

// mayBeStale reads the first of two commits, when both were known, and asks for one that is not before least.
func mayBeStale(r *reference, least uint64) {
	r.transact("a", put("x", "k", "1"))
	old := r.get("b", "x", "k").Out
	r.transact("a", put("x", "k", "2"))
	op := r.get("b", "x", "k")
	op.In.MaxStale, op.In.MinRead, op.Out = 1000, least, old
}

// TestTruths: good histories are accepted, with their log and without.
func TestTruths(t *testing.T) {
	for _, truth := range truths {
		t.Run(truth.about, func(t *testing.T) {
			for _, complete := range []bool{true, false} {
				r := newReference()
				truth.tell(r)
				if r.h.Complete = complete; !complete {
					r.h.Log = nil
				}
				if got := Check(r.h, Options{}); got.Verdict != verdict.OK {
					t.Errorf("complete %t: %s: %+v", complete, got.Verdict, got.Violations)
				}
			}
		})
	}
}
