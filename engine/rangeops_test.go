package engine_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"statehouse.dev/statehouse/engine"
	"statehouse.dev/statehouse/sim/simdisk"
	"statehouse.dev/statehouse/sim/simtest"
)

func onRange(agent, prefix string, eval engine.Evaluation) engine.Write {
	return engine.Write{Name: engine.RecordName{Agent: agent, Key: prefix}, Eval: eval}
}

// TestDeleteAndRestoreMany: what one operation does to many keys is an ordinary commit.
func TestDeleteAndRestoreMany(t *testing.T) {
	d, clock := simdisk.NewDisk(simdisk.DiskOptions{Seed: 1}), &rigClock{}
	p := openOn(t, d, clock)
	p.transact(t, "1", nil, put("a", "k/1", 1), put("a", "k/2", 2), put("a", "l", 3), put("b", "k/1", 4))
	p.transact(t, "2", nil, put("a", "k/2", 5), remove("a", "l"))
	r := p.transact(t, "3", nil, onRange("a", "k/", engine.DeletePrefix{}))
	if len(r.Results) != 1 || r.Results[0].Keys != 2 || len(r.Versions) != 2 {
		t.Fatalf("deleted %+v", r)
	}
	if again := p.transact(t, "3", nil, onRange("a", "k/", engine.DeletePrefix{})); again.CommitTS != r.CommitTS || again.Results[0].Keys != 2 {
		t.Fatalf("again %+v", again)
	}
	p.transact(t, "4", nil, put("a", "k/1", 6), put("a", "new", 7))
	r = p.transact(t, "5", nil, onRange("a", "", engine.RestoreTo{At: atTS(2)}))
	if r.Results[0].Keys != 3 { // k/1, k/2 and new; l is deleted as it was then
		t.Fatalf("restored %+v", r)
	}
	for key, want := range map[string]engine.Record{
		"k/1": {Exists: true, Version: 4, Value: put("a", "k/1", 1).Value}, "k/2": {Exists: true, Version: 4, Value: put("a", "k/2", 5).Value},
		"l": {Version: 2}, "new": {Version: 2},
	} {
		rec, err := p.at(t).Get(name("a", key))
		if err != nil || rec.Exists != want.Exists || rec.Version != want.Version || string(rec.Value) != string(want.Value) {
			t.Errorf("%q is %d %s, %v", key, rec.Version, rec.Value, err)
		}
	}
	// Of a fork, before it was one: there was nothing.
	p.fork(t, "f", "c", "a", engine.At{})
	if r = p.transact(t, "6", nil, onRange("c", "", engine.RestoreTo{At: atTS(2)})); r.Results[0].Keys != 2 {
		t.Errorf("restored %+v", r)
	}
	p.verified(t, d)
}

// TestRestoreManyAtOnce: restores of several agents in one request, each to a commit of its own and after what operations
// before them did, know what each agent had.
func TestRestoreManyAtOnce(t *testing.T) {
	d, clock := simdisk.NewDisk(simdisk.DiskOptions{Seed: 1}), &rigClock{}
	p := openOn(t, d, clock)
	p.transact(t, "1", nil, put("a", "k", 1), put("b", "k", 2), put("a", "same", 3))
	p.transact(t, "2", nil, put("a", "k", 4), put("b", "k", 5), put("b", "later", 6))
	p.transact(t, "3", nil, put("b", "k", 7), remove("a", "k"))
	r := p.transact(t, "4", nil,
		put("a", "same", 8), put("a", "new", 9), // both as they were again, which is a version of the one and no record of the other
		onRange("a", "", engine.RestoreTo{At: atTS(1)}), onRange("b", "", engine.RestoreTo{At: atTS(2)}), onRange("a", "k", engine.RestoreTo{At: atTS(2)}))
	if got := []uint64{r.Results[2].Keys, r.Results[3].Keys, r.Results[4].Keys}; !slices.Equal(got, []uint64{3, 1, 1}) {
		t.Errorf("restored %d", got)
	}
	for n, want := range map[engine.RecordName]int{name("a", "k"): 4, name("a", "same"): 3, name("a", "new"): 0, name("b", "k"): 5, name("b", "later"): 6} {
		rec, err := p.at(t).Get(n)
		if err != nil || rec.Exists != (want != 0) || rec.Exists && string(rec.Value) != string(put(n.Agent, n.Key, want).Value) {
			t.Errorf("%v is %s, %v", n, rec.Value, err)
		}
	}
	p.verified(t, d)
}

// TestManyIsBounded: nobody walks very many keys to find out how many they are. What is past the limits of a
// transaction is an act, or refused by the limit's name.
func TestManyIsBounded(t *testing.T) {
	simtest.Serial(t)
	d, clock := simdisk.NewDisk(simdisk.DiskOptions{Seed: 1}), &rigClock{}
	p := openOn(t, d, clock)
	limit := p.Limits().TxnOps
	n := 0
	for n <= 2*limit {
		var ws []engine.Write
		for range 1000 {
			ws = append(ws, put("a", fmt.Sprintf("%c/%06d", 'a'+n/1000, n), n))
			n++
		}
		p.transact(t, fmt.Sprint(n), nil, ws...)
	}
	bounded := func(do func()) {
		t.Helper()
		reads := p.Reads()
		do()
		if steps := p.Reads().Steps - reads.Steps; steps > int64(5*limit) {
			t.Errorf("it looked at %d rows", steps)
		}
	}
	before := p.Published()
	bounded(func() {
		_, err := p.Transact(context.Background(), "restore", []engine.Write{onRange("a", "", engine.RestoreTo{At: atTS(1)}), put("a", "other", 1)}, engine.Conditions{})
		var f *engine.Failure
		if !errors.As(err, &f) || f.Kind != engine.ErrLimit || f.Details["limit"] == "" || f.InDoubt {
			t.Errorf("a restore of %d keys beside another operation: %v", n, err)
		}
	})
	if p.Published() != before {
		t.Error("a refused operation was committed")
	}
	if r := p.transact(t, "part", nil, onRange("a", "b/", engine.DeletePrefix{})); r.Results[0].Keys != 1000 || len(r.Versions) != 1000 {
		t.Errorf("%+v", r.Results)
	}
	if r := p.transact(t, "all", nil, onRange("a", "", engine.DeletePrefix{})); len(r.Versions) != 0 || r.Results[0].Keys != uint64(n-1000) || r.CommitTS != before+2 {
		t.Errorf("%+v", r)
	}
	if keys := p.keysOf(t, "a"); len(keys) > 0 {
		t.Errorf("%d keys are left", len(keys))
	}
	p.chores()
	for range 2 { // the second time it is the same request
		if r := p.transact(t, "back", nil, onRange("a", "", engine.RestoreTo{At: atTS(before)})); len(r.Versions) != 0 || r.Results[0].Keys != uint64(n) || r.CommitTS != before+3 {
			t.Errorf("%+v", r)
		}
	}
	if keys := p.keysOf(t, "a"); len(keys) != n {
		t.Errorf("there are %d keys", len(keys))
	}
	p.chores()
	p.verified(t, d)
}
