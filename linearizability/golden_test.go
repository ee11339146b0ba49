package linearizability

import (
	"bytes"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"statehouse.dev/statehouse/history"
	"statehouse.dev/statehouse/linearizability/verdict"
)

// The histories in testdata come from the simulator: small runs (three to ten
// clients, five to twelve rounds) with crashes, lost messages and disk faults, a mix of its
// workloads each, those of many seeds in which the most different things happened.
// Any that are good will do.
func goldens(t testing.TB) map[string]*history.History {
	t.Helper()
	paths, err := filepath.Glob("../history/testdata/*.jsonl")
	if err != nil || len(paths) == 0 {
		t.Fatal("no histories", err)
	}
	list := make(map[string]*history.History)
	for _, path := range paths {
		f, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		h, err := history.ReadHistory(f)
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		f.Close()
		list[strings.TrimSuffix(filepath.Base(path), ".jsonl")] = h
	}
	return list
}

// single marks a test that judges thousands of histories, one after another. The race
// detector sees in them what it sees in the few of other tests, and takes ten times as long:
// "make race" also runs this package without it.
func single(t *testing.T) {
	t.Helper()
	if underRace {
		t.Skip("one history at a time: make race runs it without the detector")
	}
}

// TestGoldenHistories: they are good, with their log and without, and the same when
// written and read again.
func TestGoldenHistories(t *testing.T) {
	for name, h := range goldens(t) { // independent of each other: any order
		first := Check(h, Options{})
		if first.Verdict != verdict.OK || first.Stats.Commits < 10 || first.Stats.Reads < 20 {
			t.Errorf("%s: %+v", name, first)
		}
		var b bytes.Buffer
		if err := h.Write(&b); err != nil {
			t.Fatal(err)
		}
		again, err := history.ReadHistory(&b)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if second := Check(again, Options{}); !reflect.DeepEqual(first, second) || !reflect.DeepEqual(h, again) {
			t.Errorf("%s: %+v, and written and read again %+v", name, first, second)
		}
		again.Complete, again.Log = false, nil
		if blind := Check(again, Options{}); blind.Verdict != verdict.OK {
			t.Errorf("%s, without its log: %+v", name, blind)
		}
	}
}

// FuzzCheck wants no panic and an end, whatever can be read.
func FuzzCheck(f *testing.F) {
	for i := range truths {
		r := newReference()
		truths[i].tell(r)
		var b bytes.Buffer
		if err := r.h.Write(&b); err != nil {
			f.Fatal(err)
		}
		f.Add(b.Bytes())
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		h, err := history.ReadHistory(bytes.NewReader(text))
		if err != nil {
			return
		}
		for _, complete := range []bool{true, false} {
			h.Complete = complete
			r := Check(h, Options{SearchSteps: 10_000})
			if (r.Verdict == verdict.Illegal) != (len(r.Violations) > 0) {
				t.Errorf("%+v", r)
			}
		}
	})
}
