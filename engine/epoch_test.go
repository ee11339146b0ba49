package engine

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// TestEpochs: a commit_ts of an earlier epoch is right up to the commit at which it ended, in
// whatever order stores were restored, and refused after that with what a client must know.
func TestEpochs(t *testing.T) {
	a, b, c := epochName{1}, epochName{2}, epochName{3}
	for _, x := range []struct {
		what    string
		lineage lineage
		epoch   string
		last    CommitTS // that is right; 0: none is
	}{
		{"never restored", lineage{{a, 0}}, a.String(), 1 << 60},
		{"never restored, no epoch saved", lineage{{a, 0}}, "", 1 << 60},
		{"the current one", lineage{{a, 0}, {b, 10}}, b.String(), 1 << 60},
		{"the one before", lineage{{a, 0}, {b, 10}}, a.String(), 10},
		{"no epoch saved", lineage{{a, 0}, {b, 10}}, "", 10},
		{"before that", lineage{{a, 0}, {b, 10}, {c, 20}}, a.String(), 10},
		{"restored to before the last restore", lineage{{a, 0}, {b, 10}, {c, 5}}, a.String(), 5},
		{"restored to before it began", lineage{{a, 0}, {b, 10}, {c, 5}}, b.String(), 5},
		{"no epoch saved, restored twice", lineage{{a, 0}, {b, 5}, {c, 10}}, "", 5},
		{"of another store", lineage{{a, 0}, {b, 10}}, c.String(), 0},
		{"no epoch at all", lineage{{a, 0}}, "yesterday", 0},
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
		if back, ok := parseLineage(x.lineage.append(nil)); !ok || len(back) != len(x.lineage) || back.current() != x.lineage.current() {
			t.Errorf("%s: it comes back as %v, %v", x.what, back, ok)
		}
	}
	for _, body := range [][]byte{nil, {0}, lineage{{a, 3}}.append(nil), append(lineage{{a, 0}}.append(nil), 0)} {
		if l, ok := parseLineage(body); ok {
			t.Errorf("%x is the lineage %v", body, l)
		}
	}
}

// TestBeginEpoch: a store is made with an epoch and keeps it over restarts; a restore begins
// another one, at the last commit.
func TestBeginEpoch(t *testing.T) {
	fs := vfs.NewMem()
	env := tamperStore(t, fs)
	epochs := func() (name string, began CommitTS, last error) {
		_, e := tamperEnv(t, fs)
		name, began = e.Epoch()
		last = e.CheckEpoch(e.meta.lineage[0].name.String(), 7)
		if err := e.Close(); err != nil {
			t.Fatal(err)
		}
		return name, began, last
	}
	made, began, err := epochs()
	if again, _, _ := epochs(); len(made) != 12 || began != 0 || again != made || err != nil {
		t.Errorf("made with epoch %q of %d, then %q: %v", made, began, again, err)
	}
	name, began, err := BeginEpoch(env, tamperDir)
	if err != nil || name == made || began != 6 {
		t.Fatalf("began %q at %d: %v", name, began, err)
	}
	if now, at, err := epochs(); now != name || at != 6 || !errors.Is(err, ErrEpoch) {
		t.Errorf("epoch %q of %d, and commit 7 of the one before: %v", now, at, err)
	}
	if r, err := Verify(env, tamperDir, nil); err != nil || r.Epoch != name {
		t.Errorf("verify: %+v, %v", r, err)
	}
	if _, _, err := BeginEpoch(env, "/nowhere"); !errors.Is(err, ErrNoStore) {
		t.Errorf("where there is no store: %v", err)
	}
}

// TestUnknownFeature: a store in which a later build has used something that this one does not
// know is not opened, before any of it is read.
func TestUnknownFeature(t *testing.T) {
	fs := vfs.NewMem()
	env := tamperStore(t, fs)
	unreadable := change(logKey(6), func(b []byte) []byte { return append(b, 8, 1, 'x') })
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
	seen := make(map[salt]bool)
	see := func(s salt) {
		if seen[s] || s == (salt{}) {
			t.Errorf("the salt %x is used twice, or was not drawn", s)
		}
		seen[s] = true
	}
	it, err := newRowIter(e.db, []byte{eventTag}, []byte{recordTag + 1})
	if err != nil {
		t.Fatal(err)
	}
	for ok := it.first(); ok; ok = it.next() {
		switch it.key()[0] {
		case eventTag:
			ev, _ := parseEventRow(it.body)
			for _, op := range ev.ops {
				see(op.salt)
			}
		case recordTag:
			if rec, _ := parseRecordRow(it.body); !rec.tombstone {
				see(rec.salt)
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
