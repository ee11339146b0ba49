package linearizability

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"statehouse.dev/statehouse/history"
	"statehouse.dev/statehouse/linearizability/verdict"
)

// lie is a history with one thing wrong, and what must be said of it.
type lie struct {
	guarantee, check, about string
	tell                    func(r *reference)
}

// refuse makes a refusal of an answer.
func refuse(op *history.Operation, code string, details ...string) *history.Operation {
	op.Outcome, op.Out, op.Error = history.Fail, history.Output{}, &history.Refusal{Code: code, Details: make(map[string]string)}
	for i := 0; i < len(details); i += 2 {
		op.Error.Details[details[i]] = details[i+1]
	}
	return op
}

func conflictOn(n history.Name, seen, current uint64) []string {
	return []string{
		"namespace", n.Namespace, "agent_id", n.Agent, "key", n.Key,
		"seen_version", strconv.FormatUint(seen, 10), "current_version", strconv.FormatUint(current, 10),
	}
}

func failedOn(n history.Name, expected, current uint64) []string {
	return []string{
		"namespace", n.Namespace, "agent_id", n.Agent, "key", n.Key,
		"expected_version", strconv.FormatUint(expected, 10), "current_version", strconv.FormatUint(current, 10),
	}
}

// lose forgets an answer.
func lose(op *history.Operation) *history.Operation {
	op.Outcome, op.Out, op.Return = history.Unknown, history.Output{}, 0
	return op
}

// forget takes commits off the end of the log.
func (r *reference) forget(n int) { r.h.Log = r.h.Log[:len(r.h.Log)-n] }

func uptr(v uint64) *uint64 { return &v }

func lies() []lie {
	return slices.Concat(liesOfTheLog(), liesAboutCommits(), liesAboutRefusals(), liesAboutTransactions(), liesInReads(), liesInStreams(), liesAboutReadSets(), liesAboutAsks(), liesAboutWakes(), liesAboutBytes(), liesAboutLineage())
}

func liesOfTheLog() []lie {
	three := func(r *reference) {
		r.transact("a", put("x", "k", "1"), put("y", "k", "1"))
		r.transact("a", del("x", "k"))
		r.transact("a", put("x", "k", "2"))
	}
	return []lie{
		{"G5", "log-gap", "commit_ts is not dense", func(r *reference) {
			three(r)
			r.h.Log[2].CommitTS++
		}},
		{"G5", "commit-time-falls", "the clock went back", func(r *reference) {
			three(r)
			r.h.Log[2].CommitTime = 1
			r.h.Operations[2].Out.CommitTime = 1
		}},
		{"G5", "version-gap", "a version is used again after a delete", func(r *reference) {
			three(r)
			r.h.Log[2].Ops[0].Version = 1
			r.h.Operations[2].Out.Versions[0].Version = 1
		}},
		{"G5", "key-twice", "one commit changes a key twice", func(r *reference) {
			three(r)
			r.h.Log[0].Ops = append(r.h.Log[0].Ops, r.h.Log[0].Ops[0])
		}},
		{"G5", "empty-event", "a commit has no operations", func(r *reference) {
			three(r)
			r.h.Log[2].Ops = nil
		}},
		{"G6", "txn-twice", "a commit that was sent again took effect again", func(r *reference) {
			three(r)
			again := r.h.Log[2]
			again.CommitTS, again.Ops = 4, []history.EventOp{{Name: key("x", "k"), Version: 4, Value: again.Ops[0].Value}}
			r.h.Log = append(r.h.Log, again)
		}},
		{"G2", "unasked-commit", "a commit that nobody asked for", func(r *reference) {
			three(r)
			r.h.Operations = r.h.Operations[:2]
		}},
		{"G2", "commit-differs", "half of a commit", func(r *reference) {
			lose(r.transact("a", put("x", "k", "1"), put("y", "k", "1")))
			r.h.Log[0].Ops = r.h.Log[0].Ops[:1]
		}},
		{"G2", "commit-differs", "other metadata than was asked for", func(r *reference) {
			r.do("a", history.Transact, history.Input{TxnID: "m", Writes: []history.Write{put("x", "k", "1")}, Metadata: map[string]string{"actor": "a"}})
			r.h.Log[0].Metadata = nil
		}},
	}
}

func liesAboutCommits() []lie {
	return []lie{
		{"G1", "acked-commit-lost", "an acknowledged commit is gone", func(r *reference) {
			r.transact("a", put("x", "k", "1"))
			r.transact("a", put("x", "k", "2"))
			r.forget(1)
		}},
		{"G6", "other-request-acked", "an id is used again, on other conditions that hold as well", func(r *reference) {
			op := r.transact("a", put("x", "k", "1"))
			again := *op
			again.ID, again.Call, again.Return = op.ID+1, op.Return+1, op.Return+2
			again.In.Keys = []history.KeyCondition{{Name: key("x", "l")}}
			r.h.Operations = append(r.h.Operations, &again)
		}},
		{"G6", "other-conditions-acked", "an id is used again, on conditions that did not hold", func(r *reference) {
			op := r.transact("a", put("x", "k", "1"))
			again := *op
			again.ID, again.Call, again.Return = op.ID+1, op.Return+1, op.Return+2
			again.In.Keys = []history.KeyCondition{{Name: key("x", "k"), Expected: 1}}
			r.h.Operations = append(r.h.Operations, &again)
		}},
		{"G6", "answer-differs", "another place than the log's", func(r *reference) {
			r.transact("a", put("x", "k", "1"))
			r.transact("a", put("y", "k", "1")).Out.CommitTS = 1
		}},
		{"G6", "version-differs", "another version than was written", func(r *reference) {
			r.transact("a", put("x", "k", "1"))
			r.transact("a", put("x", "k", "2")).Out.Versions[0].Version = 3
		}},
		{"G6", "version-differs", "a version too many", func(r *reference) {
			op := r.transact("a", put("x", "k", "1"))
			op.Out.Versions = append(op.Out.Versions, history.KeyVersion{Name: key("x", "l"), Version: 1})
		}},
		{"G6", "version-differs", "versions in another order than the writes", func(r *reference) {
			op := r.transact("a", put("x", "k", "1"), put("x", "l", "1"))
			op.Out.Versions[0], op.Out.Versions[1] = op.Out.Versions[1], op.Out.Versions[0]
		}},
		{"G6", "version-differs", "a version where nothing was written", func(r *reference) {
			op := r.do("a", history.Commit, history.Input{TxnID: r.begin("a")})
			op.Out.Versions = []history.KeyVersion{{Name: key("x", "k"), Version: 1}}
		}},
		{"G6", "other-operations-acked", "other operations under a used id", func(r *reference) {
			r.transact("a", put("x", "k", "1"))
			r.do("a", history.Transact, history.Input{TxnID: "x1", Writes: []history.Write{put("x", "k", "2")}})
		}},
		{"G3", "commit-before-call", "a commit that somebody had seen before it was asked for", func(r *reference) {
			r.transact("a", put("x", "k", "1"))
			r.get("b", "x", "k")
			op := r.h.Operations[0]
			op.Call, op.Return = r.now+2, r.now+3
			slices.Reverse(r.h.Operations)
		}},
		{"G3", "commit-after-return", "acknowledged before what comes before it was asked for", func(r *reference) {
			first := r.transact("a", put("x", "k", "1"))
			r.transact("b", put("x", "k", "2"))
			first.Call, first.Return = r.now+2, r.now+3
		}},
		{"G3", "condition-not-held", "a version was not as expected", func(r *reference) {
			r.transact("a", put("x", "k", "1"))
			r.transact("a", expecting(put("x", "k", "2"), 0))
		}},
		{"G3", "condition-not-held", "a condition beside the writes did not hold", func(r *reference) {
			r.transact("a", put("x", "k", "1"))
			r.do("a", history.Transact, history.Input{TxnID: "c", Writes: []history.Write{put("x", "l", "1")}, Keys: []history.KeyCondition{{Name: key("x", "k"), Expected: 2}}})
		}},
		{"G3", "condition-not-held", "an agent's head had moved", func(r *reference) {
			r.transact("a", put("x", "k", "1"))
			r.transact("a", put("x", "k", "2"))
			r.do("a", history.Transact, history.Input{TxnID: "c", Writes: []history.Write{put("x", "l", "1")}, Heads: []history.HeadCondition{{Namespace: "ns", Agent: "x", Expected: 1}}})
		}},
		{"G3", "condition-not-held", "a commit without writes whose condition did not hold", func(r *reference) {
			r.transact("a", put("x", "k", "1"))
			r.do("a", history.Transact, history.Input{TxnID: "c", Keys: []history.KeyCondition{{Name: key("x", "k"), Expected: 2}}})
		}},
		{"G4", "ghost-commit", "a commit without writes is in the future", func(r *reference) {
			r.transact("a", put("x", "k", "1"))
			r.do("a", history.Transact, history.Input{TxnID: "c", Keys: []history.KeyCondition{{Name: key("x", "k"), Expected: 1}}}).Out.CommitTS = 2
		}},
		{"G3", "empty-commit-elsewhere", "a commit without writes is in the past", func(r *reference) {
			r.transact("a", put("x", "k", "1"))
			r.transact("a", put("y", "k", "1"))
			op := r.do("a", history.Transact, history.Input{TxnID: "c", Keys: []history.KeyCondition{{Name: key("x", "k"), Expected: 1}}})
			op.Out.CommitTS, op.Out.CommitTime = 1, r.h.Log[0].CommitTime
		}},
		{"G3", "empty-commit-elsewhere", "a transaction that only read is not where it read", func(r *reference) {
			r.transact("a", put("x", "k", "1"))
			t := r.begin("a")
			r.transact("b", put("x", "k", "2"))
			op := r.do("a", history.Commit, history.Input{TxnID: t})
			op.Out.CommitTS, op.Out.CommitTime = 2, r.h.Log[1].CommitTime
		}},
	}
}

func liesAboutRefusals() []lie {
	return []lie{
		{"G6", "refused-but-applied", "a commit that was refused for good", func(r *reference) {
			refuse(r.transact("a", put("x", "k", "1")), "PRECONDITION_FAILED")
		}},
		{"G6", "refused-but-applied", "a transaction that is called expired", func(r *reference) {
			t := r.begin("a")
			r.stage("a", t, put("x", "k", "1"))
			lose(r.do("a", history.Commit, history.Input{TxnID: t}))
			refuse(r.do("a", history.Commit, history.Input{TxnID: t}), "TXN_EXPIRED")
		}},
		{"G6", "committed-but-refused", "a commit sent again while the disk is full", func(r *reference) {
			first := r.transact("a", put("x", "k", "1"))
			refuse(r.do("a", history.Transact, first.In), "DISK_FULL")
		}},
		{"G6", "id-not-reused", "an id that nobody used", func(r *reference) {
			refuse(r.transact("a", put("x", "k", "1")), "TXN_ID_REUSED")
			r.forget(1)
		}},
		{"G6", "id-not-reused", "a refused id, sent again with members in another order", func(r *reference) {
			first := r.do("a", history.Transact, history.Input{TxnID: "i", Writes: []history.Write{{Name: key("x", "k"), Value: `{"a":1,"b":2}`}}})
			r.forget(1)
			lose(first)
			refuse(r.do("b", history.Transact, history.Input{TxnID: "i", Writes: []history.Write{{Name: key("x", "k"), Value: `{"b":2.0,"a":1}`}}}), "TXN_ID_REUSED")
		}},
		{"G6", "id-not-reused", "a committed request, sent again with another spelling of a number", func(r *reference) {
			r.do("a", history.Transact, history.Input{TxnID: "i", Writes: []history.Write{{Name: key("x", "k"), Value: `{"n":10}`}}})
			refuse(r.do("a", history.Transact, history.Input{TxnID: "i", Writes: []history.Write{{Name: key("x", "k"), Value: `{"n":1e1}`}}}), "TXN_ID_REUSED")
		}},
		{"G6", "id-not-reused", "the same with conditions in another order, and other metadata", func(r *reference) {
			w := []history.Write{put("x", "k", "1"), put("x", "l", "1")}
			on := []history.KeyCondition{{Name: key("x", "m"), Expected: 0}, {Name: key("y", "m"), Expected: 0}}
			r.do("a", history.Transact, history.Input{TxnID: "i", Writes: w, Keys: on})
			again := history.Input{TxnID: "i", Writes: []history.Write{w[1], put("x", "k", "0"), w[0]}, Keys: []history.KeyCondition{on[1], on[0], on[1]}, Metadata: map[string]string{"try": "2"}}
			refuse(r.do("a", history.Transact, again), "TXN_ID_REUSED")
		}},
		{"G6", "id-not-reused", "what took the id was asked for only afterwards", func(r *reference) {
			r.transact("a", put("x", "k", "1"))
			refuse(r.do("a", history.Transact, history.Input{TxnID: "i", Writes: []history.Write{put("x", "k", "2")}}), "TXN_ID_REUSED")
			r.forget(1)
			r.txns = make(map[string]*openTxn)
			r.at = r.at[:2]
			r.do("a", history.Transact, history.Input{TxnID: "i", Writes: []history.Write{put("x", "k", "3")}})
		}},
		{"G4", "unjustified-conflict", "a blind one-shot", func(r *reference) {
			r.transact("a", put("x", "k", "1"))
			refuse(r.transact("b", put("x", "k", "2")), "CONFLICT", conflictOn(key("x", "k"), 0, 1)...)
			r.forget(1)
		}},
		{"G4", "unjustified-conflict", "of a read whose answer was lost, on another key", func(r *reference) {
			r.transact("a", put("x", "k", "1"), put("x", "l", "1"))
			t := r.begin("a")
			lose(r.do("a", history.Get, history.Input{TxnID: t, Agent: "x", Key: "k"}))
			r.transact("b", put("x", "l", "2"))
			r.stage("a", t, put("x", "m", "1"))
			refuse(r.do("a", history.Commit, history.Input{TxnID: t}), "CONFLICT", conflictOn(key("x", "l"), 1, 2)...)
			r.forget(1)
		}},
		{"G3", "unjustified-refusal", "the condition held", func(r *reference) {
			r.transact("a", put("x", "k", "1"))
			refuse(r.transact("a", expecting(put("x", "k", "2"), 1)), "PRECONDITION_FAILED", failedOn(key("x", "k"), 1, 1)...)
			r.forget(1)
		}},
		{"G3", "unjustified-refusal", "it names a version that never was", func(r *reference) {
			r.transact("a", put("x", "k", "1"))
			refuse(r.transact("a", expecting(put("x", "k", "2"), 0)), "PRECONDITION_FAILED", failedOn(key("x", "k"), 0, 2)...)
			r.forget(1)
		}},
		{"G4", "unjustified-conflict", "nothing had changed", func(r *reference) {
			r.transact("a", put("x", "k", "1"))
			t := r.begin("a")
			r.do("a", history.Get, history.Input{TxnID: t, Agent: "x", Key: "k"})
			r.stage("a", t, put("x", "l", "1"))
			refuse(r.do("a", history.Commit, history.Input{TxnID: t}), "CONFLICT", conflictOn(key("x", "k"), 1, 2)...)
			r.forget(1)
		}},
		{"G4", "unjustified-conflict", "what had changed was behind the page", func(r *reference) {
			r.transact("a", put("x", "k", "1"))
			t := r.begin("a")
			r.stage("a", t, put("x", "b", "2"))
			r.do("a", history.ListKeys, history.Input{TxnID: t, Agent: "x", Limit: 1}) // b, and more
			r.transact("b", put("x", "k", "3"))
			refuse(r.do("a", history.Commit, history.Input{TxnID: t}), "CONFLICT", conflictOn(key("x", "k"), 1, 2)...)
			r.forget(1)
		}},
		{"G4", "unjustified-conflict", "what had changed was not read", func(r *reference) {
			r.transact("a", put("x", "k", "1"), put("x", "l", "1"))
			t := r.begin("a")
			r.do("a", history.Get, history.Input{TxnID: t, Agent: "x", Key: "k"})
			r.transact("b", put("x", "l", "2"))
			r.stage("a", t, put("x", "m", "1"))
			refuse(r.do("a", history.Commit, history.Input{TxnID: t}), "CONFLICT", conflictOn(key("x", "l"), 1, 2)...)
			r.forget(1)
		}},
		{"G3", "version-missing", "a version that was known is not found", func(r *reference) {
			r.transact("a", put("x", "k", "1"))
			refuse(r.do("a", history.GetVersion, history.Input{Agent: "x", Key: "k", KeyVersion: 1}), "VERSION_NOT_FOUND")
		}},
		{"G6", "not-committed", "a transaction is called committed that no client asked to commit", func(r *reference) {
			t := r.begin("a")
			refuse(r.stage("a", t, put("x", "k", "1")), "TXN_ALREADY_COMMITTED")
		}},
	}
}

func liesAboutTransactions() []lie {
	reader := func(kind history.Kind, in history.Input) func(r *reference) {
		return func(r *reference) {
			r.transact("a", put("x", "k", "1"))
			t := r.begin("a")
			in.TxnID = t
			r.do("a", kind, in)
			r.transact("b", put("x", "k", "2"))
			r.stage("a", t, put("x", "l", "1"))
			r.do("a", history.Commit, history.Input{TxnID: t})
		}
	}
	committed := func(r *reference) *history.Operation {
		r.transact("a", put("x", "k", "1"))
		return r.do("a", history.GetTxn, history.Input{TxnID: "x1"})
	}
	return []lie{
		{"G3", "lost-update", "what it had read had changed", reader(history.Get, history.Input{Agent: "x", Key: "k"})},
		{"G3", "lost-update", "what it had read with others had changed", reader(history.BatchGet, history.Input{Names: []history.Name{key("y", "k"), key("x", "k")}})},
		{"G3", "write-skew", "what it had listed had changed", reader(history.ListKeys, history.Input{Agent: "x"})},
		{"G3", "write-skew", "two doctors went home", func(r *reference) {
			r.transact("a", put("x", "ann", "on"), put("x", "bob", "on"))
			t, u := r.begin("a"), r.begin("b")
			r.do("a", history.Scan, history.Input{TxnID: t, Agent: "x"})
			r.do("b", history.Scan, history.Input{TxnID: u, Agent: "x"})
			r.stage("a", t, del("x", "ann"))
			r.stage("b", u, del("x", "bob"))
			r.do("a", history.Commit, history.Input{TxnID: t})
			r.do("b", history.Commit, history.Input{TxnID: u})
		}},
		{"G3", "write-skew", "a phantom came where it had listed", func(r *reference) {
			t := r.begin("a")
			r.do("a", history.ListKeys, history.Input{TxnID: t, Agent: "x", Prefix: "p/"})
			r.transact("b", put("x", "p/1", "1"))
			r.stage("a", t, put("x", "l", "1"))
			r.do("a", history.Commit, history.Input{TxnID: t})
		}},
		{"G6", "aborted-but-applied", "what was aborted is there", func(r *reference) {
			t := r.begin("a")
			r.stage("a", t, put("x", "k", "1"))
			lose(r.do("a", history.Commit, history.Input{TxnID: t}))
			r.do("b", history.Abort, history.Input{TxnID: t})
		}},
		{"G6", "id-given-twice", "two transactions with one id", func(r *reference) {
			t := r.begin("a")
			r.do("b", history.Begin, history.Input{}).Out.TxnID = t
		}},
		{"G6", "id-missing", "a transaction without an id", func(r *reference) { r.do("b", history.Begin, history.Input{}).Out.TxnID = "" }},
		{"G6", "not-begun", "a transaction that nobody began takes writes", func(r *reference) {
			r.begin("a")
			r.stage("a", "t1", put("x", "k", "1")).In.TxnID = "t2"
		}},
		{"G6", "not-begun", "two transactions, of which an unanswered begin began one", func(r *reference) {
			lose(r.do("a", history.Begin, history.Input{}))
			r.begin("a")
			r.stage("a", "t2", put("x", "k", "1")).In.TxnID = "t8"
			r.stage("a", "t2", put("x", "l", "1")).In.TxnID = "t9"
		}},
		{"G6", "used-after-end", "a transaction that was aborted takes writes", func(r *reference) {
			t := r.begin("a")
			r.do("a", history.Abort, history.Input{TxnID: t})
			r.stage("a", t, put("x", "k", "1"))
		}},
		{"G6", "committed-after-abort", "a transaction that was aborted commits", func(r *reference) {
			t := r.begin("a")
			r.do("a", history.Abort, history.Input{TxnID: t})
			r.do("a", history.Commit, history.Input{TxnID: t}).Out = history.Output{}
		}},
		{"G4", "ghost-outcome", "a transaction that is not in the log is called committed", func(r *reference) {
			committed(r)
			lose(r.h.Operations[0])
			r.forget(1)
		}},
		{"G4", "ghost-outcome", "a transaction is called committed before it was", func(r *reference) {
			asked := committed(r)
			asked.Call, asked.Return = 0, 1
		}},
		{"G6", "outcome-differs", "another commit", func(r *reference) {
			r.transact("a", put("y", "k", "1"))
			r.transact("a", put("x", "k", "1"))
			op := r.do("a", history.GetTxn, history.Input{TxnID: "x2"})
			op.Out.CommitTS, op.Out.CommitTime = 1, r.h.Log[0].CommitTime
		}},
		{"G6", "outcome-differs", "a commit that is called aborted", func(r *reference) { committed(r).Out = history.Output{State: "aborted"} }},
		{"G6", "outcome-forgotten", "a commit that is called never seen", func(r *reference) { committed(r).Out = history.Output{State: "never_seen"} }},
		{"G6", "outcome-differs", "a state that there is not", func(r *reference) { committed(r).Out = history.Output{State: "lost"} }},
		{"G6", "outcome-differs", "a transaction that is open after its end", func(r *reference) {
			t := r.begin("a")
			r.do("a", history.Abort, history.Input{TxnID: t})
			r.do("a", history.GetTxn, history.Input{TxnID: t}).Out.State = "open"
		}},
		{"G6", "outcome-differs", "an abort that nobody asked for", func(r *reference) {
			t := r.begin("a")
			r.do("a", history.GetTxn, history.Input{TxnID: t}).Out.State = "aborted"
		}},
		{"G6", "outcome-differs", "a one-shot that has expired", func(r *reference) {
			r.do("a", history.GetTxn, history.Input{TxnID: "x"}).Out.State = "expired"
		}},
		{"G6", "outcome-differs", "an open transaction that nobody began", func(r *reference) {
			r.do("a", history.GetTxn, history.Input{TxnID: "x"}).Out.State = "open"
		}},
		{"G6", "outcome-differs", "a transaction that only read, elsewhere", func(r *reference) {
			r.transact("a", put("x", "k", "1"))
			t := r.begin("a")
			r.transact("b", put("x", "k", "2"))
			r.do("a", history.Commit, history.Input{TxnID: t})
			op := r.do("a", history.GetTxn, history.Input{TxnID: t})
			op.Out.CommitTS, op.Out.CommitTime = 2, r.h.Log[1].CommitTime
		}},
	}
}

// TestLies: each is refused, and for what it is.
func TestLies(t *testing.T) {
	for _, l := range lies() {
		t.Run(l.check+"/"+l.about, func(t *testing.T) {
			r := newReference()
			l.tell(r)
			got := Check(r.h, Options{SkipSerial: true})
			found := slices.ContainsFunc(got.Violations, func(v verdict.Violation) bool { return v.Guarantee == l.guarantee && v.Check == l.check })
			if got.Verdict != verdict.Illegal || !found {
				t.Errorf("%s: %+v, want %s %s", got.Verdict, got.Violations, l.guarantee, l.check)
			}
		})
	}
}

// TestEveryCheckHasItsLie: a check that no test here sees fail may have stopped
// looking.
func TestEveryCheckHasItsLie(t *testing.T) {
	named := regexp.MustCompile(`(?:"G\d+", (?:Check: )?|violateWake\(ev, [^"]*)"([a-z-]+)"`)
	told := make(map[string]bool)
	for _, l := range lies() {
		told[l.check] = true
	}
	files, err := filepath.Glob("oracle/*.go")
	if err != nil || len(files) == 0 {
		t.Fatal("the oracle has no files", err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range named.FindAllStringSubmatch(strings.ReplaceAll(string(text), `badLog(ev, "`, `"G5", "`), -1) {
			if !told[m[1]] {
				t.Errorf("%s: no lie is told for %s", file, m[1])
			}
		}
	}
}
