package linearizability

import (
	"testing"
)

// truths are good histories that look odd.
var truths = []struct {
	about string
	tell  func(r *reference)
}{
	{"nothing", func(*reference) {}},
	{"reads of an empty store", func(r *reference) {
		r.get("a", "x", "k")
		r.do("a", Scan, Input{Agent: "x"})
		r.do("a", ListAgents, Input{Namespace: "ns"})
		r.do("a", Replay, Input{Agent: "x"})
		r.do("a", Commit, Input{TxnID: r.begin("a")})
	}},
	{"a little of everything", func(r *reference) {
		r.transact("a", put("x", "k1", "1"), put("x", "k2", "1"), put("y", "k1", "1"))
		t := r.begin("b")
		r.do("b", Get, Input{TxnID: t, Agent: "x", Key: "k2"})
		r.stage("b", t, put("x", "k2", "2").expecting(1))
		r.do("b", Get, Input{TxnID: t, Agent: "x", Key: "k2"})
		r.do("b", Scan, Input{TxnID: t, Agent: "x", Reverse: true})
		r.do("b", GetTxn, Input{TxnID: t})
		r.do("b", Commit, Input{TxnID: t, Metadata: map[string]string{"actor": "b"}})
		r.do("b", Commit, Input{TxnID: t})
		r.do("b", GetTxn, Input{TxnID: t})
		r.transact("a", del("x", "k1"), put("x", "k3", "3"))
		r.transact("a", put("x", "k1", "1").expecting(0))
		page := r.do("a", Scan, Input{Agent: "x", Limit: 2})
		r.do("a", Scan, Input{Agent: "x", Limit: 2, PageOf: page.ID})
		r.do("a", ListKeys, Input{Agent: "x", Prefix: "k", Reverse: true, At: uptr(2)})
		r.do("a", GetVersion, Input{Agent: "x", Key: "k1", KeyVersion: 2})
		r.do("a", KeyHistory, Input{Agent: "x", Key: "k1"})
		r.do("a", BatchGet, Input{Names: []Name{key("x", "k1"), key("y", "k1"), key("y", "none")}})
		r.do("a", ListAgents, Input{Namespace: "ns"})
		r.do("a", ListSpaces, Input{})
		r.do("a", Replay, Input{Agent: "x", Prefix: "k1"})
		r.do("a", Watch, Input{Namespace: "ns", AllAgents: true, From: uptr(0)})
		r.do("a", Transact, Input{TxnID: "c", Writes: []Write{put("x", "k9", "9")}, Keys: []KeyCondition{{key("x", "k1"), 3}}, Heads: []HeadCondition{{"ns", "x", 4}}})
	}},
	{"a commit whose answer was lost is there", func(r *reference) {
		r.transact("a", put("x", "k", "1")).lose()
		r.get("b", "x", "k")
	}},
	{"a commit whose answer was lost comes late", func(r *reference) {
		op := r.transact("a", put("x", "k", "1"))
		op.lose()
		before := r.get("b", "x", "k")
		before.Out = Output{Records: []Record{{Name: key("x", "k")}}}
		r.get("b", "x", "k")
	}},
	{"a commit whose answer was lost is not there", func(r *reference) {
		r.transact("a", put("x", "k", "1")).lose()
		r.forget(1)
		r.get("b", "x", "k").Out = Output{Records: []Record{{Name: key("x", "k")}}}
	}},
	{"a commit that was sent again", func(r *reference) {
		r.transact("a", put("x", "k", "1")).lose()
		r.do("a", Transact, Input{TxnID: "x1", Writes: []Write{put("x", "k", "1")}})
		r.do("a", GetTxn, Input{TxnID: "x1"})
	}},
	{"a staged write whose answer was lost may be there or not", func(r *reference) {
		r.transact("a", put("x", "k", "1"))
		t := r.begin("a")
		r.stage("a", t, put("x", "l", "2")).lose()
		r.do("a", ListKeys, Input{TxnID: t, Agent: "x"})
		r.do("a", ListKeys, Input{TxnID: t, Agent: "x"}).Out.Keys = []string{"k"}
		r.do("a", Commit, Input{TxnID: t})
	}},
	{"a listing in a transaction that never arrived binds nobody", func(r *reference) {
		r.transact("a", put("x", "k", "1"))
		t := r.begin("a")
		r.do("a", ListKeys, Input{TxnID: t, Agent: "x"}).lose()
		r.transact("b", put("x", "k", "2"))
		r.stage("a", t, put("x", "l", "1"))
		r.do("a", Commit, Input{TxnID: t})
	}},
	{"a copy of a page that arrived late saw further", func(r *reference) {
		r.transact("a", put("x", "k", "1"))
		t := r.begin("a")
		r.stage("a", t, put("x", "b", "2"))
		r.do("a", ListKeys, Input{TxnID: t, Agent: "x", Limit: 1}) // b, and more
		r.transact("b", put("x", "k", "3"))
		r.stage("a", t, del("x", "b"))
		r.do("a", Commit, Input{TxnID: t}).refuse("CONFLICT", conflictOn(key("x", "k"), 1, 2)...)
		r.forget(1)
	}},
	{"a request was refused, and a copy of it was not", func(r *reference) {
		r.transact("a", put("x", "k", "1")).refuse("DISK_FULL")
		r.get("b", "x", "k")
	}},
	{"two reads under way see a commit under way, one of them", func(r *reference) {
		write := r.transact("a", put("x", "k", "1"))
		before, after := r.get("b", "x", "k"), r.get("c", "x", "k")
		before.Out = Output{Records: []Record{{Name: key("x", "k")}}}
		write.Call, before.Call, after.Call = 10, 11, 12
		write.Return, before.Return, after.Return = 20, 21, 22
	}},
	{"a conflict and a precondition, with their reasons", func(r *reference) {
		r.transact("a", put("x", "k", "1"))
		t := r.begin("a")
		r.do("a", Get, Input{TxnID: t, Agent: "x", Key: "k"})
		r.transact("b", put("x", "k", "2"))
		r.do("a", Commit, Input{TxnID: t}).refuse("CONFLICT", conflictOn(key("x", "k"), 1, 2)...)
		r.transact("b", put("x", "k", "3").expecting(1)).refuse("PRECONDITION_FAILED", failedOn(key("x", "k"), 1, 2)...)
		r.forget(1)
	}},
	{"an id that another request has: one that was committed, refused, or lost", func(r *reference) {
		other := func(id string) {
			r.do("b", Transact, Input{TxnID: id, Writes: []Write{put("x", "k", "2")}}).refuse("TXN_ID_REUSED")
		}
		r.do("a", Transact, Input{TxnID: "i", Writes: []Write{put("x", "k", "1")}})
		other("i")
		r.do("a", Transact, Input{TxnID: "j", Writes: []Write{put("x", "k", "1").expecting(7)}}).refuse("PRECONDITION_FAILED", failedOn(key("x", "k"), 7, 1)...)
		r.forget(1)
		other("j")
		r.do("a", Transact, Input{TxnID: "l", Writes: []Write{put("x", "k", "1")}, Keys: []KeyCondition{{key("x", "k"), 7}}}).lose()
		r.forget(1)
		other("l")
		other(r.begin("a"))
	}},
	{"a conflict on what a lost read had read, and a refusal on a condition of a lost write", func(r *reference) {
		r.transact("a", put("x", "k", "1"))
		t, u := r.begin("a"), r.begin("a")
		r.do("a", Get, Input{TxnID: t, Agent: "x", Key: "k"}).lose()
		r.transact("b", put("x", "k", "2"))
		r.do("a", Commit, Input{TxnID: t}).refuse("CONFLICT", conflictOn(key("x", "k"), 1, 2)...)
		r.stage("a", u, put("x", "k", "3").expecting(1)).lose()
		r.do("a", Commit, Input{TxnID: u}).refuse("PRECONDITION_FAILED", failedOn(key("x", "k"), 1, 2)...)
		r.forget(1)
	}},
	{"a request that was sent again in another spelling, and answered as it was first", func(r *reference) {
		r.do("a", Transact, Input{TxnID: "j", Writes: []Write{{Name: key("x", "k"), Value: `{"b":1.50,"a":"A"}`}}}).lose()
		r.do("a", Transact, Input{TxnID: "j", Writes: []Write{{Name: key("x", "k"), Value: `{"a":"\u0041","b":15e-1}`}}})
		r.get("b", "x", "k")
	}},
	{"a value with a number that is no double, read as a Struct", func(r *reference) {
		r.do("a", Transact, Input{TxnID: "j", Writes: []Write{{Name: key("x", "k"), Value: `{"n":9007199254740993}`}}})
		rec := &r.do("b", Get, Input{Agent: "x", Key: "k", Doubles: true}).Out.Records[0]
		rec.Value, rec.Inexact = `{"n":9007199254740992}`, true
	}},
	{"values written one way and read another", func(r *reference) {
		r.do("a", Transact, Input{TxnID: "j", Writes: []Write{{Name: key("x", "k"), Value: `{ "b": 1.50, "a": "\u0041" }`}}})
		r.get("a", "x", "k").Out.Records[0].Value = `{"a":"A","b":1.50}`
	}},
	{"a history that begins in the middle", func(r *reference) {
		r.transact("a", put("x", "k", "1"), put("x", "l", "1"))
		r.transact("a", del("x", "l"))
		base := &Base{CommitTS: 2, Agents: []Agent{{"ns", "x", 1, 2}}}
		for _, n := range []Name{key("x", "k"), key("x", "l")} {
			rec := r.at[2][n]
			base.Records = append(base.Records, rec)
		}
		known := r.h.Log
		r.transact("a", put("x", "l", "2").expecting(0))
		r.get("a", "x", "k")
		r.do("a", Scan, Input{Agent: "x"})
		r.do("a", ListAgents, Input{Namespace: "ns"})
		r.do("a", ListSpaces, Input{})
		r.do("a", Transact, Input{TxnID: "c", Writes: []Write{put("x", "m", "1")}, Heads: []HeadCondition{{"ns", "x", 3}}})
		r.h.Header.Base, r.h.Log = base, r.h.Log[len(known):]
		r.h.Operations = r.h.Operations[2:]
	}},
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
				if got := Check(r.h, Options{}); got.Verdict != VerdictOK {
					t.Errorf("complete %t: %s: %+v", complete, got.Verdict, got.Violations)
				}
			}
		})
	}
}
