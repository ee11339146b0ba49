package linearizability

import (
	"fmt"
	"testing"
)

// Histories written by hand, in the fewest words: a time is a number, everything is
// about agent "a", and each value says which commit it is of.

func key(k string) Name { return Name{"ns", "a", k} }

// put is an acknowledged commit: at ts it made version v of k.
func put(call, ret int64, txn string, ts uint64, k string, v uint64) *Operation {
	return &Operation{Client: txn, Kind: Transact, Call: call, Return: ret, Outcome: OK,
		In:  Input{TxnID: txn, Writes: []Write{{Name: key(k), Value: fmt.Sprint(ts)}}},
		Out: Output{CommitTS: ts, CommitTime: int64(ts), Versions: []KeyVersion{{key(k), v}}}}
}

// lostPut is a commit that nobody answered.
func lostPut(call int64, txn string, value uint64, k string) *Operation {
	op := put(call, 0, txn, value, k, 0)
	op.Outcome, op.Out = Unknown, Output{}
	return op
}

// get read k at version v of commit ts; 0: nothing.
func get(call, ret int64, k string, v, ts uint64) *Operation {
	r := Record{Name: key(k)}
	if v > 0 {
		r = Record{Name: key(k), Exists: true, Version: v, CommitTS: ts, CommitTime: int64(ts), Value: fmt.Sprint(ts)}
	}
	return &Operation{Client: "r", Kind: Get, Call: call, Return: ret, Outcome: OK,
		In: Input{Namespace: "ns", Agent: "a", Key: k}, Out: Output{Records: []Record{r}}}
}

// replay was sent these commits.
func replay(call, ret int64, cursor uint64, events ...Event) *Operation {
	return &Operation{Client: "r", Kind: Replay, Call: call, Return: ret, Outcome: OK, In: Input{Namespace: "ns", Agent: "a"},
		Batches: []Batch{{Time: ret, Events: events, Cursor: cursor}}}
}

func event(ts uint64, txn, k string, v uint64) Event {
	return Event{CommitTS: ts, CommitTime: int64(ts), TxnID: txn, Ops: []EventOp{{Name: key(k), Version: v, Value: fmt.Sprint(ts)}}}
}

func history(log []Event, ops ...*Operation) *History {
	for i, op := range ops {
		op.ID = i + 1
		for n := range op.Out.Records { // the commit point of a read is told
			op.Out.ReadTS = max(op.Out.ReadTS, op.Out.Records[n].CommitTS)
		}
	}
	return &History{Operations: ops, Log: log, Complete: true}
}

func TestHandmade(t *testing.T) {
	one := event(1, "t1", "x", 1)
	two := event(2, "t2", "x", 2)
	other := event(2, "t2", "y", 1)
	twoOps := Event{CommitTS: 1, CommitTime: 1, TxnID: "t1", Ops: []EventOp{{Name: key("x"), Version: 1, Value: "1"}, {Name: key("y"), Version: 1, Value: "1"}}}
	begin := func(call, ret int64, txn string, at uint64) *Operation {
		return &Operation{Client: txn, Kind: Begin, Call: call, Return: ret, Outcome: OK, Out: Output{TxnID: txn, SnapshotTS: at}}
	}
	in := func(txn string, op *Operation) *Operation { op.In.TxnID, op.Client = txn, txn; return op }
	stage := func(call, ret int64, txn, k, value string) *Operation {
		return &Operation{Client: txn, Kind: StageWrite, Call: call, Return: ret, Outcome: OK, In: Input{TxnID: txn, Namespace: "ns", Agent: "a", Key: k, Value: value}}
	}
	commit := func(call, ret int64, txn string, ts uint64, k string, v uint64) *Operation {
		op := put(call, ret, txn, ts, k, v)
		op.Kind, op.In.Writes = Commit, nil
		return op
	}
	for _, c := range []struct {
		name string
		h    *History
		want string // the first finding's promise and check; empty: it is right
	}{
		{"nothing", history(nil), ""},
		{"a write and a read", history([]Event{one}, put(1, 2, "t1", 1, "x", 1), get(3, 4, "x", 1, 1)), ""},
		{"a read at the same time may see it", history([]Event{one}, put(1, 4, "t1", 1, "x", 1), get(2, 3, "x", 1, 1)), ""},
		{"or not", history([]Event{one}, put(1, 4, "t1", 1, "x", 1), get(2, 3, "x", 0, 0)), ""},
		{"a lost answer, committed", history([]Event{one}, lostPut(1, "t1", 1, "x"), get(9, 10, "x", 1, 1)), ""},
		{"a lost answer, not committed", history(nil, lostPut(1, "t1", 1, "x"), get(9, 10, "x", 0, 0)), ""},
		{"sent again", history([]Event{one}, lostPut(1, "t1", 1, "x"), put(3, 4, "t1", 1, "x", 1)), ""},
		{"a whole replay", history([]Event{one, two}, put(1, 2, "t1", 1, "x", 1), put(3, 4, "t2", 2, "x", 2), replay(5, 6, 2, one, two)), ""},

		{"acknowledged and lost", history(nil, put(1, 2, "t1", 1, "x", 1)), "G1 acked-commit-lost"},
		{"a commit nobody asked for", history([]Event{one}), "G2 unasked-commit"},
		{"half of a commit", history([]Event{one}, func() *Operation {
			op := lostPut(1, "t1", 1, "x")
			op.In.Writes = append(op.In.Writes, Write{Name: key("y"), Value: "1"})
			return op
		}()), "G2 commit-differs"},
		{"a read after the write does not see it", history([]Event{one}, put(1, 2, "t1", 1, "x", 1), get(3, 4, "x", 0, 0)), "G3 stale-read"},
		{"two reads that disagree on the order", history([]Event{one, two}, put(1, 10, "t1", 1, "x", 1), put(1, 10, "t2", 2, "x", 2), get(2, 3, "x", 2, 2), get(4, 5, "x", 1, 1)), "G3 stale-read"},
		{"seen and never committed", history(nil, lostPut(1, "t1", 1, "x"), get(3, 4, "x", 1, 1)), "G4 ghost-read"},
		{"seen before it was asked for", history([]Event{one}, get(1, 2, "x", 1, 1), put(3, 4, "t1", 1, "x", 1)), "G3 commit-before-call"},
		{"a hole in a replay", history([]Event{one, two}, put(1, 2, "t1", 1, "x", 1), put(3, 4, "t2", 2, "x", 2), replay(5, 6, 2, two)), "G5 replay-gap"},
		{"a replay that ends early", history([]Event{one, two}, put(1, 2, "t1", 1, "x", 1), put(3, 4, "t2", 2, "x", 2), replay(5, 6, 1, one)), "G5 replay-short"},
		{"a replay out of order", history([]Event{one, two}, put(1, 2, "t1", 1, "x", 1), put(3, 4, "t2", 2, "x", 2), replay(5, 6, 2, two, one)), "G5 replay-gap"},
		{"a log with a gap", history([]Event{one, event(3, "t2", "x", 2)}, put(1, 2, "t1", 1, "x", 1), lostPut(1, "t2", 3, "x")), "G5 log-gap"},
		{"a version used again", history([]Event{one, event(2, "t2", "x", 1)}, put(1, 2, "t1", 1, "x", 1), lostPut(3, "t2", 2, "x")), "G5 version-gap"},
		{"time that runs backwards", history([]Event{one, {CommitTS: 2, CommitTime: 0, TxnID: "t2", Ops: other.Ops}}, put(1, 2, "t1", 1, "x", 1), lostPut(3, "t2", 2, "y")), "G5 commit-time-falls"},
		{"applied twice", history([]Event{one, event(2, "t1", "x", 2)}, lostPut(1, "t1", 1, "x")), "G6 txn-twice"},
		{"answered otherwise the second time", history([]Event{one}, put(1, 2, "t1", 1, "x", 1), put(3, 4, "t1", 2, "x", 1)), "G6 answer-differs"},
		{"a lost update", history([]Event{one, two, event(3, "t3", "x", 3)}, put(1, 2, "t1", 1, "x", 1), begin(3, 4, "t3", 1), in("t3", get(5, 6, "x", 1, 1)),
			put(7, 8, "t2", 2, "x", 2), stage(9, 10, "t3", "x", "3"), commit(11, 12, "t3", 3, "x", 3)), "G3 lost-update"},
		{"write skew", history([]Event{twoOps, event(2, "t2", "x", 2), event(3, "t3", "y", 2)},
			func() *Operation {
				op := put(1, 2, "t1", 1, "x", 1)
				op.In.Writes = append(op.In.Writes, Write{Name: key("y"), Value: "1"})
				op.Out.Versions = append(op.Out.Versions, KeyVersion{key("y"), 1})
				return op
			}(),
			begin(3, 4, "t2", 1), begin(3, 4, "t3", 1), in("t2", get(5, 6, "y", 1, 1)), in("t3", get(5, 6, "x", 1, 1)),
			stage(7, 8, "t2", "x", "2"), stage(7, 8, "t3", "y", "3"), commit(9, 10, "t2", 2, "x", 2), commit(11, 12, "t3", 3, "y", 2)), "G3 lost-update"},
	} {
		r := Check(c.h, Options{})
		got := ""
		if len(r.Violations) > 0 {
			got = r.Violations[0].Promise + " " + r.Violations[0].Check
		}
		if got != c.want || (c.want == "") != (r.Verdict == VerdictOK) {
			t.Errorf("%s: %s, %q, want %q\n%s", c.name, r.Verdict, got, c.want, findings(r))
		}
	}
}
