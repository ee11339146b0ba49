package engine

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"statehouse.dev/statehouse/engine/layout"
)

// TestEpochs: a commit_ts of an earlier epoch is right up to the commit at which it ended, in
// whatever order stores were restored, and refused after that with what a client must know.
func TestEpochs(t *testing.T) {
	a, b, c := layout.EpochName{1}, layout.EpochName{2}, layout.EpochName{3}
	for _, x := range []struct {
		what    string
		lineage layout.Lineage
		epoch   string
		last    CommitTS // that is right; 0: none is
	}{
		{"never restored", layout.Lineage{{Name: a, Began: 0}}, a.String(), 1 << 60},
		{"never restored, no epoch saved", layout.Lineage{{Name: a, Began: 0}}, "", 1 << 60},
		{"the current one", layout.Lineage{{Name: a, Began: 0}, {Name: b, Began: 10}}, b.String(), 1 << 60},
		{"the one before", layout.Lineage{{Name: a, Began: 0}, {Name: b, Began: 10}}, a.String(), 10},
		{"no epoch saved", layout.Lineage{{Name: a, Began: 0}, {Name: b, Began: 10}}, "", 10},
		{"before that", layout.Lineage{{Name: a, Began: 0}, {Name: b, Began: 10}, {Name: c, Began: 20}}, a.String(), 10},
		{"restored to before the last restore", layout.Lineage{{Name: a, Began: 0}, {Name: b, Began: 10}, {Name: c, Began: 5}}, a.String(), 5},
		{"restored to before it began", layout.Lineage{{Name: a, Began: 0}, {Name: b, Began: 10}, {Name: c, Began: 5}}, b.String(), 5},
		{"no epoch saved, restored twice", layout.Lineage{{Name: a, Began: 0}, {Name: b, Began: 5}, {Name: c, Began: 10}}, "", 5},
		{"of another store", layout.Lineage{{Name: a, Began: 0}, {Name: b, Began: 10}}, c.String(), 0},
		{"no epoch at all", layout.Lineage{{Name: a, Began: 0}}, "yesterday", 0},
	} {
		e := &Engine{meta: meta{lineage: x.lineage}}
		if x.last > 0 {
			if err := e.CheckEpoch(x.epoch, x.last); err != nil {
				t.Errorf("%s: commit %d: %v", x.what, x.last, err)
			}
		}
		var f *Failure
		err := e.CheckEpoch(x.epoch, x.last+1)
		name, began := e.Epoch()
		if known := x.last == 1<<60; known == errors.Is(err, ErrEpoch) ||
			!known && (!errors.As(err, &f) || f.Details["epoch"] != name || f.Details["began_ts"] != began.String()) {
			t.Errorf("%s: commit %d: %v", x.what, x.last+1, err)
		}
		if back, ok := layout.ParseLineage(x.lineage.Append(nil)); !ok || len(back) != len(x.lineage) || back.Current() != x.lineage.Current() {
			t.Errorf("%s: it comes back as %v, %v", x.what, back, ok)
		}
	}
	for _, body := range [][]byte{nil, {0}, layout.Lineage{{Name: a, Began: 3}}.Append(nil), append(layout.Lineage{{Name: a, Began: 0}}.Append(nil), 0)} {
		if l, ok := layout.ParseLineage(body); ok {
			t.Errorf("%x is the lineage %v", body, l)
		}
	}
}

// TestUnknownFeature: a store in which a later build has used something that this one does not
// know is not opened, before any of it is read.
func TestUnknownFeature(t *testing.T) {
	fs := vfs.NewMem()
	env := tamperStore(t, fs)
	unreadable := change(layout.LogKey(6), func(b []byte) []byte { return append(b, 8, 1, 'x') })
	rewrite(t, fs, all(set(featuresKey, appendFeatures(nil, []string{"leases"})), unreadable))
	_, verr := Verify(env, tamperDir, nil)
	_, oerr := Open(env, Options{Dir: tamperDir})
	for _, err := range []error{verr, oerr} {
		if !errors.Is(err, ErrFormat) || !strings.Contains(err.Error(), "the store uses leases, which this build does not know: use a newer statehoused") {
			t.Errorf("it answered %v", err)
		}
	}
}

// TestSalts: every salt is drawn for one digest. One that served twice would tell which names,
// or values, are the same; one that was not drawn would hide nothing.
func TestSalts(t *testing.T) {
	fs := vfs.NewMem()
	tamperStore(t, fs)
	_, e := tamperEnv(t, fs)
	seen := make(map[layout.Salt]bool)
	see := func(s layout.Salt) {
		if seen[s] || s == (layout.Salt{}) {
			t.Errorf("the salt %x is used twice, or was not drawn", s)
		}
		seen[s] = true
	}
	it, err := newRowIter(e.db, []byte{layout.EventTag}, []byte{layout.RecordTag + 1})
	if err != nil {
		t.Fatal(err)
	}
	for ok := it.first(); ok; ok = it.next() {
		switch it.key()[0] {
		case layout.EventTag:
			ev, _ := layout.ParseEventRow(it.body)
			for _, op := range ev.Ops {
				see(op.Salt)
			}
		case layout.RecordTag:
			if rec, _ := layout.ParseRecordRow(it.body); !rec.Tombstone {
				see(rec.Salt)
			}
		}
		if bytes.Contains(it.body, make([]byte, 16)) {
			t.Errorf("%x: 16 zeros", it.body)
		}
	}
	if err := errors.Join(it.close(), e.Close()); err != nil || len(seen) != 19 {
		t.Errorf("%d salts: %v", len(seen), err)
	}
}

// TestPrincipal: who commits, and in which trace, comes back with the commit; of a name that is
// too long nothing is committed.
func TestPrincipal(t *testing.T) {
	fs := vfs.NewMem()
	_, e := tamperEnv(t, fs)
	w := []Write{{Name: annK, Value: []byte(`{}`)}, {Name: bobK, Value: []byte(`{}`)}}
	for _, c := range []Conditions{{Principal: strings.Repeat("p", MaxPrincipalBytes+1)}, {TraceID: strings.Repeat("t", MaxTraceIDBytes+1)}, {Principal: "\xff"}} {
		if _, err := e.Transact(t.Context(), "x", w, c); !errors.Is(err, ErrInvalid) {
			t.Errorf("%+v: %v", c, err)
		}
	}
	if _, err := e.Transact(t.Context(), "x", w, Conditions{Principal: "ops", TraceID: "trace-1"}); err != nil {
		t.Fatal(err)
	}
	id, _, _, err := e.Begin(nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Stage(id, w[0]); err != nil {
		t.Fatal(err)
	}
	if _, err := e.Commit(t.Context(), id, Conditions{Principal: "web", Metadata: map[string]string{"a": "1"}}); err != nil {
		t.Fatal(err)
	}
	events, _, err := e.Replay(Filter{AllAgents: true}, 0, 2, 0)
	if err != nil || len(events) != 2 || events[0].Principal != "ops" || events[0].TraceID != "trace-1" || events[1].Principal != "web" || events[1].TraceID != "" || events[1].Metadata["a"] != "1" {
		t.Errorf("replay: %+v, %v", events, err)
	}
	s, _ := e.Snapshot(At{})
	entries, _, err := s.History(annK, 0, true, Page{})
	if err != nil || len(entries) != 2 || entries[0].Principal != "ops" || entries[0].TraceID != "trace-1" || entries[1].Principal != "web" {
		t.Errorf("history: %+v, %v", entries, err)
	}
	if err := e.Close(); err != nil {
		t.Error(err)
	}
}
