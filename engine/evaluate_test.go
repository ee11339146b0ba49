package engine_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"statehouse.dev/statehouse/engine"
)

// Operations that the writer evaluates.

func increment(key, pointer, delta string) engine.Write {
	return engine.Write{Name: engine.RecordName{Agent: "a", Key: key}, Eval: engine.Increment{Pointer: pointer, Delta: delta}}
}

func merge(key, patch string) engine.Write {
	return engine.Write{Name: engine.RecordName{Agent: "a", Key: key}, Value: []byte(patch), Eval: engine.Merge{}}
}

func appendTo(prefix, value string) engine.Write {
	return engine.Write{Name: engine.RecordName{Agent: "a", Key: prefix}, Value: []byte(value), Eval: engine.Append{}}
}

func ifAbsent(key, value string) engine.Write {
	return engine.Write{Name: engine.RecordName{Agent: "a", Key: key}, Value: []byte(value), Eval: engine.IfAbsent{}}
}

func writeOf(key, value string) engine.Write {
	return engine.Write{Name: engine.RecordName{Agent: "a", Key: key}, Value: []byte(value)}
}

func deleteOf(key string) engine.Write {
	return engine.Write{Name: engine.RecordName{Agent: "a", Key: key}, Tombstone: true}
}

func transactIn(w *world, id string, writes ...engine.Write) (engine.CommitResult, error) {
	return w.Transact(context.Background(), engine.TxnID(id), writes, engine.Conditions{})
}

// told spells the results of a commit.
func told(r engine.CommitResult) string {
	var all []string
	for _, one := range r.Results {
		s := fmt.Sprintf("%s@%d", one.Name.Key, one.Version)
		if one.Existed {
			s += "!"
		}
		if one.Value != nil {
			s += "=" + string(one.Value)
		}
		all = append(all, s)
	}
	return strings.Join(all, " ")
}

// TestEvaluated: what comes of each operation is what the log has, a retry is told the same, also
// after a restart, and evaluates nothing again.
func TestEvaluated(t *testing.T) {
	w := newWorld(t, 1, engine.Limits{})
	steps := []struct {
		writes []engine.Write
		want   string
	}{
		{[]engine.Write{increment("n", "/count", "1")}, `n@1={"count":1}`},
		{[]engine.Write{increment("n", "/count", "9007199254740992")}, `n@2={"count":9007199254740993}`},
		{[]engine.Write{merge("n", `{"by":{"x":null,"y":1},"count":null}`)}, `n@3={"by":{"y":1}}`},
		{[]engine.Write{appendTo("log/", `{"m":1}`), appendTo("log/", `{"m":2}`)}, `log/0000000000000001@1 log/0000000000000002@1`},
		{[]engine.Write{ifAbsent("n", `{}`), appendTo("log/", `{"m":3}`)}, `n@3!={"by":{"y":1}} log/0000000000000003@1`},
		{[]engine.Write{ifAbsent("new", `{"a":1}`)}, `new@1`},
		{[]engine.Write{deleteOf("log/0000000000000003")}, ``},
		{[]engine.Write{appendTo("log/", `{"m":4}`)}, `log/0000000000000004@1`},
		{[]engine.Write{writeOf("log/0000000000000009", `{}`), writeOf("log/x", `{}`), writeOf("log/0000000000000010/y", `{}`)}, ``},
		{[]engine.Write{appendTo("log/", `{"m":5}`)}, `log/0000000000000010@1`},
		// In their order, to one version.
		{[]engine.Write{writeOf("o", `{"n":5}`), increment("o", "/n", "2"), merge("o", `{"m":true}`), increment("o", "/n", "-1")}, `o@1 o@1 o@1 o@1={"n":6,"m":true}`},
		{[]engine.Write{increment("o", "/n", "1"), deleteOf("o")}, `o@2 o@2`},
		{[]engine.Write{deleteOf("n"), increment("n", "/count", "7")}, `n@4 n@4={"count":7}`},
		{[]engine.Write{increment("n", "/count", "1"), writeOf("n", `{"z":0}`)}, `n@5 n@5`},
	}
	answers := make([]engine.CommitResult, len(steps))
	for i, s := range steps {
		r, err := transactIn(w, fmt.Sprint("t", i), s.writes...)
		if err != nil || told(r) != s.want {
			t.Errorf("%d: %s, %v, not %s", i, told(r), err, s.want)
		}
		answers[i] = r
	}
	head := w.Published()
	again := func(when string) {
		for i, s := range steps {
			r, err := transactIn(w, fmt.Sprint("t", i), s.writes...)
			if err != nil || told(r) != s.want || r.CommitTS != answers[i].CommitTS {
				t.Errorf("G6: %s: %d: %s at %d, %v, not %s at %d", when, i, told(r), r.CommitTS, err, s.want, answers[i].CommitTS)
			}
		}
		if w.Published() != head {
			t.Errorf("G6: %s: %d commits, not %d", when, w.Published(), head)
		}
	}
	again("again")
	w.restart()
	again("after a restart")
	w.close()
	w.verify("at the end")
}

// TestEvaluatedInOneStep: evaluations see what the step has planned before them.
func TestEvaluatedInOneStep(t *testing.T) {
	w := newWorld(t, 1, engine.Limits{})
	const n = 100
	last := 0 // in the other sequence
	for _, cold := range []bool{false, true} {
		ask := func(i int, again bool) (engine.CommitResult, error) {
			ws := []engine.Write{increment("n", "/n", "1"), appendTo("log/", `{}`), writeOf(fmt.Sprint("k", i), `{}`)}
			if i%3 == 0 {
				ws = append(ws, writeOf(fmt.Sprintf("other/%016d", 1000+2*i), `{}`))
			} else {
				ws = append(ws, appendTo("other/", `{}`))
			}
			return transactIn(w, fmt.Sprintf("%v-%d", cold, i), ws...)
		}
		for i := range n {
			_ = w.abandon(func() error { _, err := ask(i, false); return err })
		}
		w.Step()
		base := 0
		if cold {
			base = n
		}
		for i := range n {
			r, err := ask(i, true)
			want := fmt.Sprintf(`n@%d={"n":%d} log/%016d@1`, base+i+1, base+i+1, base+i+1)
			suffix := ""
			if i%3 == 0 {
				last = max(last, 1000+2*i)
			} else {
				last++
				suffix = fmt.Sprintf(" other/%016d@1", last)
			}
			if got := told(r); err != nil || !strings.HasPrefix(got, want) || !strings.HasSuffix(got, suffix) {
				t.Fatalf("%d: %s, %v, not %s…%s", i, got, err, want, suffix)
			}
		}
		w.restart()
	}
	w.close()
	w.verify("at the end")
}

// TestNumbersGivenOnce: whatever was appended to a sequence, deleted, pruned, erased or restarted.
func TestNumbersGivenOnce(t *testing.T) {
	w := newWorld(t, 1, engine.Limits{})
	given := 0
	next := func(when string) {
		t.Helper()
		given++
		r, err := transactIn(w, fmt.Sprint("t", given), appendTo("s/", `{}`))
		if want := fmt.Sprintf("s/%016d@1", given); err != nil || told(r) != want {
			t.Fatalf("G6: %s: %s, %v, not %s", when, told(r), err, want)
		}
	}
	next("first")
	if _, err := transactIn(w, "del", deleteOf("s/0000000000000001")); err != nil {
		t.Fatal(err)
	}
	next("after a delete")
	w.restart()
	next("after a restart")
	if _, err := w.SetRetention(context.Background(), engine.Retention{MaxAge: time.Minute, MaxVersions: 1}); err != nil {
		t.Fatal(err)
	}
	if _, err := transactIn(w, "del3", deleteOf("s/0000000000000003")); err != nil {
		t.Fatal(err)
	}
	w.clock = w.clock.Add(time.Hour)
	for range 20 {
		w.Tick()
		w.Step()
	}
	w.restart()
	next("after retention")
	if err := w.Erase(context.Background(), engine.Erasure{Agent: "a"}, func(engine.ErasureProgress) error { return nil }); err != nil {
		t.Fatal(err)
	}
	w.restart()
	next("after an erasure")
	w.close()
	w.verify("at the end")
}

// TestEvaluationFails: what cannot be done refuses the commit, for good.
func TestEvaluationFails(t *testing.T) {
	w := newWorld(t, 1, engine.Limits{ValueBytes: 100, TxnBytes: 1000})
	if _, err := transactIn(w, "put", writeOf("k", `{"s":"x","n":5}`), writeOf("max/9999999999999999", `{}`)); err != nil {
		t.Fatal(err)
	}
	bounded := increment("k", "/n", "-6")
	bounded.Eval = engine.Increment{Pointer: "/n", Delta: "-6", Min: "0"}
	for name, write := range map[string]engine.Write{
		"a string": increment("k", "/s", "1"), "below its bound": bounded, "too long": merge("k", fmt.Sprintf(`{"x":"%90s"}`, "")), "at its end": appendTo("max/", `{}`),
	} {
		_, err := transactIn(w, strings.ReplaceAll(name, " ", "-"), writeOf("beside", `{}`), write)
		if !errors.Is(err, engine.ErrEvaluation) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := transactIn(w, "fix", writeOf("k", `{"s":1,"n":50}`)); err != nil {
		t.Fatal(err)
	}
	if _, err := transactIn(w, "below-its-bound", writeOf("beside", `{}`), bounded); !errors.Is(err, engine.ErrEvaluation) {
		t.Errorf("G6: what was refused is done later: %v", err)
	}
	if r, err := w.now().Get(engine.RecordName{Agent: "a", Key: "beside"}); err != nil || r.Exists {
		t.Errorf("G2: a refused commit wrote: %v, %v", r, err)
	}
	for name, writes := range map[string][]engine.Write{
		"no pointer": {increment("k", "", "1")}, "no number": {increment("k", "/n", "one")}, "deep": {increment("k", strings.Repeat("/a", 29), "1")},
		"a patch that is no object": {merge("k", `[]`)}, "two that the log does not tell apart": {appendTo("s/", `{}`), writeOf("s/0000000000000007", `{}`)},
		"absent and not": {ifAbsent("q", `{}`), increment("q", "/n", "1")}, "a long prefix": {appendTo(strings.Repeat("x", 1010), `{}`)},
		"bounds that cross": {{Name: bounded.Name, Eval: engine.Increment{Pointer: "/n", Delta: "1", Min: "2", Max: "1"}}},
	} {
		if _, err := transactIn(w, "invalid", writes...); !errors.Is(err, engine.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	id := beginIn(t, w, time.Hour)
	if err := w.Stage(id, increment("k", "/n", "1")); !errors.Is(err, engine.ErrInvalid) {
		t.Errorf("an increment is staged: %v", err)
	}
	w.close()
}

// TestSameEvaluatedRequest: what is asked makes a request, not what came of it.
func TestSameEvaluatedRequest(t *testing.T) {
	w := newWorld(t, 1, engine.Limits{})
	if _, err := transactIn(w, "t", increment("k", "/n", "1.0"), writeOf("x", `{"a":1,"b":2}`)); err != nil {
		t.Fatal(err)
	}
	if r, err := transactIn(w, "t", increment("k", "/n", "10e-1"), writeOf("x", `{"b":2,"a":1}`)); err != nil || told(r) != `k@1={"n":1} x@1` {
		t.Errorf("G6: spelled otherwise: %s, %v", told(r), err)
	}
	for name, writes := range map[string][]engine.Write{
		"another number":       {increment("k", "/n", "2"), writeOf("x", `{"a":1,"b":2}`)},
		"another pointer":      {increment("k", "/m", "1"), writeOf("x", `{"a":1,"b":2}`)},
		"another order":        {writeOf("x", `{"a":1,"b":2}`), increment("k", "/n", "1")},
		"another kind":         {merge("k", `{"n":1}`), writeOf("x", `{"a":1,"b":2}`)},
		"what came of it":      {writeOf("k", `{"n":1}`), writeOf("x", `{"a":1,"b":2}`)},
		"less":                 {increment("k", "/n", "1")},
		"a bound":              {{Name: engine.RecordName{Agent: "a", Key: "k"}, Eval: engine.Increment{Pointer: "/n", Delta: "1", Min: "0"}}, writeOf("x", `{"a":1,"b":2}`)},
		"one more of the same": {increment("k", "/n", "1"), writeOf("x", `{"a":1,"b":2}`), writeOf("x", `{"a":1,"b":2}`)},
	} {
		if _, err := transactIn(w, "t", writes...); !errors.Is(err, engine.ErrTxnIDReused) {
			t.Errorf("G6: %s: %v", name, err)
		}
	}
	w.close()
}
