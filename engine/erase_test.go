package engine_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"statehouse.dev/statehouse/engine"
	"statehouse.dev/statehouse/sim/simdisk"
)

// settle has the writer do all chores.
func (p *process) chores() {
	p.Tick()
	for p.Step() {
	}
}

func (p *process) erase(t *testing.T, what engine.Erasure) engine.ErasureProgress {
	t.Helper()
	var last engine.ErasureProgress
	if err := p.Erase(context.Background(), what, func(at engine.ErasureProgress) error { last = at; return nil }); err != nil {
		t.Fatal(err)
	}
	if !last.Done {
		t.Fatalf("erase ended at %+v", last)
	}
	return last
}

// transact commits writes under an id.
func (p *process) transact(t *testing.T, id string, metadata map[string]string, writes ...engine.Write) engine.CommitResult {
	t.Helper()
	r, err := p.Transact(context.Background(), engine.TxnID(id), writes, engine.Conditions{Metadata: metadata})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func secret(agent, key string, n int) engine.Write {
	return engine.Write{Name: name(agent, key), Value: fmt.Appendf(nil, `{"secret":"hunter-%s-%s-%d"}`, agent, key, n)}
}

// found lists the files in which any of the texts stand.
func found(t *testing.T, d *simdisk.Disk, texts ...string) (files []string) {
	t.Helper()
	var walk func(dir string)
	walk = func(dir string) {
		names, err := d.List(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range names {
			path := d.PathJoin(dir, n)
			info, err := d.Stat(path)
			if err != nil {
				t.Fatal(err)
			}
			if info.IsDir() {
				walk(path)
				continue
			}
			f, err := d.Open(path)
			if err != nil {
				t.Fatal(err)
			}
			data := make([]byte, info.Size())
			_, _ = f.ReadAt(data, 0)
			_ = f.Close()
			for _, text := range texts {
				if bytes.Contains(data, []byte(text)) {
					files = append(files, path+" has "+text)
				}
			}
		}
	}
	walk(rigDir)
	return files
}

func TestErase(t *testing.T) {
	d, clock := simdisk.NewDisk(simdisk.DiskOptions{Seed: 1}), &rigClock{}
	p := openOn(t, d, clock)
	for i := range 5 {
		p.transact(t, fmt.Sprint("one-", i), map[string]string{"who": "alice-the-user"}, secret("a", "k", i), put("a", "other", i), put("b", "k", i))
	}
	before := p.Published()
	if n := len(found(t, d, "hunter-a-k")); n == 0 {
		t.Fatal("the values are found nowhere before")
	}
	if got, err := p.PreviewErasure(context.Background(), engine.Erasure{Agent: "a", Key: "k"}); err != nil || got.Values != 5 || got.Keys != 1 {
		t.Fatalf("preview %+v, %v", got, err)
	}
	got := p.erase(t, engine.Erasure{Agent: "a", Key: "k", Reason: "asked for", Principal: "root"})
	if got.Keys != 1 || got.Values != 5 || got.CommitTS != before+1 {
		t.Fatalf("erased %+v", got)
	}
	if again := p.erase(t, engine.Erasure{Agent: "a", Key: "k"}); again.Keys != 0 {
		t.Fatalf("again %+v", again)
	}
	check := func(p *process) {
		t.Helper()
		if _, err := p.GetVersion(name("a", "k"), 3); !errors.Is(err, engine.ErrErased) {
			t.Errorf("version 3: %v", err)
		}
		at := before
		s, err := p.Snapshot(engine.At{CommitTS: &at})
		if err != nil {
			t.Fatal(err)
		}
		if rec, err := s.Get(name("a", "k")); err != nil || !rec.Exists || !rec.Erased || rec.Value != nil || rec.Version != 5 {
			t.Errorf("as of before: %+v, %v", rec, err)
		}
		if rec, err := s.Get(name("b", "k")); err != nil || len(rec.Value) == 0 {
			t.Errorf("another agent: %+v, %v", rec, err)
		}
		events, _, err := p.Replay(engine.Filter{Agent: "a"}, 0, p.Published(), 0)
		if err != nil || len(events) != 6 {
			t.Fatalf("replay: %d events, %v", len(events), err)
		}
		for i, ev := range events[:5] {
			if op := ev.Ops[0]; !op.Erased || op.Value != nil || ev.Metadata != nil || ev.Ops[1].Erased || len(ev.Ops[1].Value) == 0 {
				t.Errorf("event %d: %+v", i, ev)
			}
		}
		if ev := events[5]; ev.Metadata[engine.MetadataReason] != "asked for" || ev.Principal != "root" || !ev.Ops[0].Tombstone || !ev.Ops[0].Erased {
			t.Errorf("the erasure's event: %+v", ev)
		}
		if r, err := p.Transact(context.Background(), "one-2", []engine.Write{secret("a", "k", 2), put("a", "other", 2), put("b", "k", 2)}, engine.Conditions{}); err != nil || r.CommitTS != 3 || len(r.Versions) != 3 {
			t.Errorf("a retry: %+v, %v", r, err)
		}
	}
	check(p)
	p.transact(t, "later", nil, put("a", "k", 9))
	if rec, err := p.GetVersion(name("a", "k"), 7); err != nil || !rec.Exists {
		t.Errorf("written after: %+v, %v", rec, err)
	}
	if err := p.CompactAll(context.Background(), nil); err != nil {
		t.Fatal(err)
	}
	p.AwaitCleaning()
	if files := found(t, d, "hunter-a-k"); len(files) > 0 {
		t.Errorf("found after a compaction: %s", strings.Join(files, "\n"))
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	if r, err := verifyOn(d); err != nil {
		t.Fatalf("verify: %v %+v", err, r)
	}
}

// aged commits n times and lets an hour pass before each.
func (p *process) aged(t *testing.T, n int) {
	t.Helper()
	for range n {
		p.clock.ms.Add(time.Hour.Milliseconds())
		at := int(p.Published()) + 1
		p.transact(t, fmt.Sprint("aged-", at), map[string]string{"n": fmt.Sprint(at)}, put("a", fmt.Sprint("k", at%3), at), putIn("other", "a", "k", at))
	}
}

func TestRetentionByAge(t *testing.T) {
	d, clock := simdisk.NewDisk(simdisk.DiskOptions{Seed: 1}), &rigClock{}
	p := openOn(t, d, clock)
	p.aged(t, 20)
	if _, err := p.SetRetention(context.Background(), engine.Retention{MaxAge: 5 * time.Hour}); err != nil {
		t.Fatal(err)
	}
	p.chores()
	rs, err := p.Retentions()
	if err != nil || len(rs) != 1 || rs[0].Floor != 15 {
		t.Fatalf("%+v, %v", rs, err)
	}
	for ts := engine.CommitTS(1); ts <= 20; ts++ {
		s, err := p.Snapshot(engine.At{CommitTS: &ts})
		if err != nil {
			t.Fatal(err)
		}
		for key := range 3 {
			rec, err := s.Get(name("a", fmt.Sprint("k", key)))
			if below := ts < 15; errors.Is(err, engine.ErrOutOfRange) != below {
				t.Errorf("at %d: %v", ts, err)
			} else if !below && (err != nil || rec.CommitTS > ts || ts-rec.CommitTS > 2 || len(rec.Value) == 0) {
				t.Errorf("at %d: %+v %v", ts, rec, err)
			}
		}
		if rec, err := s.Get(engine.RecordName{Namespace: "other", Agent: "a", Key: "k"}); err != nil || rec.CommitTS != ts {
			t.Errorf("the other namespace at %d: %+v, %v", ts, rec, err)
		}
	}
	if _, _, err := p.Replay(engine.Filter{Agent: "a"}, 13, 20, 0); !errors.Is(err, engine.ErrOutOfRange) {
		t.Errorf("replay from below: %v", err)
	}
	if events, _, err := p.Replay(engine.Filter{Agent: "a"}, 14, 20, 0); err != nil || len(events) != 6 {
		t.Errorf("replay from the floor: %d events, %v", len(events), err)
	}
	if r := p.transact(t, "aged-4", nil, put("a", "k1", 4), putIn("other", "a", "k", 4)); r.CommitTS != 4 {
		t.Errorf("a retry is answered commit %d", r.CommitTS)
	}
	s, err := p.Snapshot(engine.At{})
	if err != nil {
		t.Fatal(err)
	}
	history, _, err := s.History(name("a", "k1"), 0, false, engine.Page{})
	if err != nil || len(history) != 3 || history[2].CommitTS != 13 || history[2].TxnID != "aged-13" {
		t.Errorf("history %+v, %v", history, err)
	}
	if _, err := p.GetVersion(name("a", "k1"), 1); !errors.Is(err, engine.ErrOutOfRange) {
		t.Errorf("a version that is gone: %v", err)
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	r, err := verifyOn(d)
	if err != nil {
		t.Fatalf("verify: %v %+v", err, r)
	}
	if r.Records != 20+5+3 {
		t.Errorf("%d records are left", r.Records)
	}
	p = openOn(t, d, clock)
	p.aged(t, 10)
	p.chores()
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	if r, err := verifyOn(d); err != nil {
		t.Fatalf("verify: %v %+v", err, r)
	}
}

func TestRetentionByVersions(t *testing.T) {
	d, clock := simdisk.NewDisk(simdisk.DiskOptions{Seed: 1}), &rigClock{}
	p := openOn(t, d, clock)
	for i := range 10 {
		p.transact(t, fmt.Sprint("t", i), nil, put("a", "k", i))
	}
	p.transact(t, "removed", nil, remove("a", "k"))
	if _, err := p.SetRetention(context.Background(), engine.Retention{MaxVersions: 3}); err != nil {
		t.Fatal(err)
	}
	p.chores()
	for v := engine.Version(1); v <= 10; v++ {
		_, err := p.GetVersion(name("a", "k"), v)
		if errors.Is(err, engine.ErrOutOfRange) != (v <= 8) || v > 8 && err != nil {
			t.Errorf("version %d: %v", v, err)
		}
		var f *engine.Failure
		if errors.As(err, &f) && f.Details["oldest_version"] != "9" {
			t.Errorf("version %d: oldest_version %s", v, f.Details["oldest_version"])
		}
	}
	events, _, err := p.Replay(engine.Filter{Agent: "a"}, 0, p.Published(), 0)
	if err != nil || len(events) != 11 {
		t.Fatalf("replay: %d events, %v", len(events), err)
	}
	for i, ev := range events {
		if op := ev.Ops[0]; op.Pruned != (i < 8) || i < 10 && op.Pruned != (op.Value == nil) {
			t.Errorf("event %d: %+v", i, op)
		}
	}
	p.transact(t, "again", nil, put("a", "k", 11))
	p.chores()
	p.erase(t, engine.Erasure{Agent: "a"})
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	if r, err := verifyOn(d); err != nil {
		t.Fatalf("verify: %v %+v", err, r)
	}
}
