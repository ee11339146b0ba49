package linearizability

import (
	"testing"

	"statehouse.dev/statehouse/history"
	"statehouse.dev/statehouse/linearizability/serial"
	"statehouse.dev/statehouse/linearizability/verdict"
)

// Transactions that their clients hold: what a transact says to have read.

// heldBy asks to commit a transaction of a client that holds it.
func (r *reference) heldBy(client, id string, reads history.Reads, writes ...history.Write) *history.Operation {
	return r.do(client, history.Transact, history.Input{TxnID: id, Reads: &reads, Writes: writes})
}

func saw(n history.Name, version uint64) history.KeyVersion {
	return history.KeyVersion{Name: n, Version: version}
}

func listed(agent, prefix, first, last string) history.Range {
	return history.Range{Namespace: "ns", Agent: agent, Prefix: prefix, First: first, Last: last}
}

func liesAboutReadSets() []lie {
	after := func(reads history.Reads) func(r *reference) {
		return func(r *reference) {
			r.transact("a", put("x", "k", "1"), put("x", "l", "1"))
			r.transact("b", put("x", "k", "2"))
			r.transact("b", put("x", "m", "1"))
			r.heldBy("a", "held", reads, put("y", "k", "1"))
		}
	}
	refused := func(reads history.Reads, details ...string) func(r *reference) {
		return func(r *reference) {
			after(reads)(r)
			refuse(r.h.Operations[len(r.h.Operations)-1], "CONFLICT", details...)
			r.forget(1)
		}
	}
	k, m := key("x", "k"), key("x", "m")
	return []lie{
		{"G3", "lost-update", "a client's transaction had read what had changed", after(history.Reads{Snapshot: 1, Keys: []history.KeyVersion{saw(k, 1)}})},
		{"G3", "lost-update", "a client's transaction had found absent what is there", after(history.Reads{Snapshot: 1, Keys: []history.KeyVersion{saw(m, 0)}})},
		{"G3", "write-skew", "a key came where a client's transaction had listed", after(history.Reads{Snapshot: 2, Ranges: []history.Range{listed("x", "", "l", "")}})},
		{"G3", "write-skew", "a key changed where a client's transaction had listed", after(history.Reads{Snapshot: 1, Ranges: []history.Range{listed("x", "", "", "k")}})},
		{"G4", "unjustified-conflict", "a client's transaction is refused for what has not changed", refused(history.Reads{Snapshot: 3, Keys: []history.KeyVersion{saw(k, 2)}}, conflictOn(k, 2, 2)...)},
		{"G4", "unjustified-conflict", "a client's transaction is refused for what it has not read", refused(history.Reads{Snapshot: 1, Keys: []history.KeyVersion{saw(key("x", "l"), 1)}}, conflictOn(k, 1, 2)...)},
		{"G4", "unjustified-conflict", "a client's transaction is refused for a key beyond what it has listed", refused(history.Reads{Snapshot: 1, Ranges: []history.Range{listed("x", "", "", "l")}}, conflictOn(m, 0, 1)...)},
		{"G3", "lost-update", "a client's transaction that changes nothing is said to hold", func(r *reference) {
			after(history.Reads{})(r)
			op := r.heldBy("a", "held too", history.Reads{Snapshot: 1, Keys: []history.KeyVersion{saw(k, 1)}})
			op.Out = history.Output{CommitTS: 4, CommitTime: r.h.Log[3].CommitTime}
		}},
		{"G6", "other-request-acked", "one id stands for two transactions that read differently", func(r *reference) {
			r.transact("a", put("x", "k", "1"))
			r.heldBy("a", "held", history.Reads{Snapshot: 1, Keys: []history.KeyVersion{saw(k, 1)}}, put("y", "k", "1"))
			r.heldBy("a", "held", history.Reads{Snapshot: 1, Keys: []history.KeyVersion{saw(m, 0)}}, put("y", "k", "1"))
		}},
	}
}

// TestReadSetsThatHold: neither judge finds anything where there is nothing.
func TestReadSetsThatHold(t *testing.T) {
	k, m := key("x", "k"), key("x", "m")
	r := newReference()
	r.transact("a", put("x", "k", "1"), put("x", "l", "1"))
	r.transact("b", put("x", "k", "2"))
	r.transact("b", put("x", "m", "1"))
	r.heldBy("a", "1", history.Reads{Snapshot: 2, Keys: []history.KeyVersion{saw(k, 2), saw(key("x", "n"), 0)}, Ranges: []history.Range{listed("x", "", "", "l"), listed("x", "mm", "", "")}}, put("x", "m", "2"))
	r.heldBy("a", "1", history.Reads{Snapshot: 2, Keys: []history.KeyVersion{saw(key("x", "n"), 0), saw(k, 2), saw(k, 2)}, Ranges: []history.Range{listed("x", "mm", "", ""), listed("x", "", "", "l")}}, put("x", "m", "2"))
	empty := r.heldBy("b", "2", history.Reads{Snapshot: 1, Keys: []history.KeyVersion{saw(m, 2)}})
	empty.Out = history.Output{CommitTS: 4, CommitTime: r.h.Log[3].CommitTime}
	refuse(r.heldBy("b", "3", history.Reads{Snapshot: 1, Keys: []history.KeyVersion{saw(k, 1)}}, put("y", "k", "1")), "CONFLICT", conflictOn(k, 1, 2)...)
	r.forget(1)
	refuse(r.heldBy("b", "4", history.Reads{Snapshot: 2, Ranges: []history.Range{listed("x", "m", "", "")}}, put("y", "k", "1")), "CONFLICT", append(conflictOn(m, 0, 1), "range", "m")...)
	r.forget(1)
	if got := Check(r.h, Options{}); got.Verdict != verdict.OK {
		t.Errorf("%s: %+v", got.Verdict, got.Violations)
	}
	if got := serial.Check(r.h, serial.Options{}); len(got.Violations) > 0 || got.Unknown {
		t.Errorf("the second judge: %+v", got)
	}
}
