package engine_test

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"pgregory.net/rapid"

	"statehouse.dev/statehouse/engine"
)

// The machine's reads.

// drawAt picks a point of the order and says which it is.
func (m *machine) drawAt(t *rapid.T) (engine.At, int) {
	switch rapid.IntRange(0, 2).Draw(t, "at") {
	case 0:
		ts := engine.CommitTS(rapid.IntRange(0, m.s.published).Draw(t, "commit_ts"))
		return engine.At{CommitTS: &ts}, int(ts)
	case 1:
		at := m.drawTime(t)
		return engine.At{Time: &at}, m.s.lastAt(at)
	}
	return engine.At{}, m.s.published
}

// drawTime is at, just before or just after a commit.
func (m *machine) drawTime(t *rapid.T) time.Time {
	at := m.w.clock
	if m.s.published > 0 {
		at = m.s.log[rapid.IntRange(0, m.s.published-1).Draw(t, "commit")].time
	}
	return at.Add(time.Duration(rapid.IntRange(-1, 1).Draw(t, "off")))
}

func (m *machine) drawSnapshot(t *rapid.T) (engine.Snapshot, int) {
	at, ts := m.drawAt(t)
	s := m.w.at(at)
	if int(s.TS()) != ts {
		t.Fatalf("G3: a read at %s is at %d, want %d", atText(at), s.TS(), ts)
	}
	beyond := engine.CommitTS(m.s.published + 1)
	if _, err := m.w.Snapshot(engine.At{CommitTS: &beyond}); !errors.Is(err, engine.ErrInvalid) {
		t.Fatalf("G4: a read past the last published commit answered %v", err)
	}
	return s, ts
}

func atText(at engine.At) string {
	switch {
	case at.CommitTS != nil:
		return "commit " + at.CommitTS.String()
	case at.Time != nil:
		return timeText(*at.Time)
	}
	return "now"
}

func (m *machine) get(t *rapid.T) {
	s, ts := m.drawSnapshot(t)
	n := drawName.Draw(t, "name")
	m.sameRecord(t, s, n, ts)
	versions := m.s.history(plainName(n), m.s.published)
	v := engine.Version(rapid.IntRange(0, len(versions)+1).Draw(t, "version"))
	got, err := m.w.GetVersion(n, v)
	if v == 0 || int(v) > len(versions) {
		if !errors.Is(err, engine.ErrVersionNotFound) {
			t.Fatalf("G4: version %d of %q, which has %d, answered %s, %v", v, n, len(versions), recordText(got), err)
		}
		return
	}
	if want := recordText(versions[v-1].Record); err != nil || recordText(got) != want {
		t.Fatalf("G5: version %d is\n%s (%v)\nnot\n%s", v, recordText(got), err, want)
	}
}

func (m *machine) sameRecord(t *rapid.T, s engine.Snapshot, n engine.RecordName, ts int) {
	t.Helper()
	got, err := s.Get(n)
	if want := recordText(m.s.record(plainName(n), ts)); err != nil || recordText(got) != want {
		t.Fatalf("G3: Get at %d (published %d) read\n%s (%v)\nnot\n%s", ts, m.s.published, recordText(got), err, want)
	}
}

func (m *machine) drawScan(t *rapid.T) engine.ScanOptions {
	o := engine.ScanOptions{
		Agent:    drawAgent.Draw(t, "agent"),
		Prefix:   rapid.SampledFrom(modelPrefixes).Draw(t, "prefix"),
		Reverse:  rapid.Bool().Draw(t, "reverse"),
		KeysOnly: rapid.IntRange(0, 3).Draw(t, "keys only") == 0,
	}
	if after := rapid.SampledFrom(modelKeys).Draw(t, "after"); len(after) >= len(o.Prefix) && after[:len(o.Prefix)] == o.Prefix &&
		rapid.IntRange(0, 3).Draw(t, "go on") == 0 {
		o.After = after
	}
	if rapid.Bool().Draw(t, "paged") {
		o.Page = engine.Page{Items: rapid.IntRange(0, 3).Draw(t, "items"), Bytes: rapid.IntRange(0, 120).Draw(t, "bytes")}
	}
	return o
}

func (m *machine) scan(t *rapid.T) {
	s, ts := m.drawSnapshot(t)
	o := m.drawScan(t)
	got, more, err := s.Scan(o)
	if err != nil {
		t.Fatalf("G8: Scan %+v: %v", o, err)
	}
	m.samePage(t, fmt.Sprintf("G3, G10: Scan %+v at %d", o, ts), o, got, more, m.s.scan(o, ts, nil))
}

// samePage holds a page to be the start of what is there, as much as was asked
// for, and to tell whether there is more. want is all of it.
func (m *machine) samePage(t *rapid.T, what string, o engine.ScanOptions, got []engine.Record, more bool, want []engine.Record) {
	t.Helper()
	n := len(want)
	if o.Page.Items > 0 {
		n = min(n, o.Page.Items)
	}
	if o.Page.Bytes > 0 { // about so many: at least one, and it does end
		n = min(n, max(len(got), 1))
		if len(got) > 1+o.Page.Bytes/32 {
			t.Fatalf("%s: %d records on a page of %d bytes", what, len(got), o.Page.Bytes)
		}
	}
	if a, b := listText(got, recordText), listText(want[:n], recordText); a != b {
		t.Fatalf("%s: found%s\nnot%s", what, a, b)
	}
	if more != (n < len(want)) {
		t.Fatalf("%s: %d of %d found, and that there is more is said to be %v", what, n, len(want), more)
	}
}

// openScan is a list that a client reads page by page, while writes go on and
// daemons come and go.
type openScan struct {
	ts   engine.CommitTS
	o    engine.ScanOptions
	seen []engine.Record
}

// scanInPages reads one more page of a list, each at the first one's commit_ts.
func (m *machine) scanInPages(t *rapid.T) {
	if len(m.pages) == 0 || rapid.IntRange(0, 3).Draw(t, "new") == 0 {
		p := &openScan{o: m.drawScan(t)}
		_, ts := m.drawSnapshot(t)
		p.ts = engine.CommitTS(ts)
		p.o.After, p.o.Page = "", engine.Page{Items: rapid.IntRange(1, 3).Draw(t, "items")}
		m.pages = append(m.pages, p)
	}
	p := rapid.SampledFrom(m.pages).Draw(t, "list")
	got, more, err := m.w.at(engine.At{CommitTS: &p.ts}).Scan(p.o)
	if err != nil {
		t.Fatalf("G8: Scan %+v: %v", p.o, err)
	}
	p.seen = append(p.seen, got...)
	all := p.o
	all.After, all.Page = "", engine.Page{}
	want := m.s.scan(all, int(p.ts), nil)
	if len(p.seen) > len(want) || !more && len(p.seen) < len(want) {
		t.Fatalf("G3: pages of %+v at %d have%s\nnot%s", p.o, p.ts, listText(p.seen, recordText), listText(want, recordText))
	}
	if a, b := listText(p.seen, recordText), listText(want[:len(p.seen)], recordText); a != b {
		t.Fatalf("G3: pages of %+v at %d have%s\nnot%s", p.o, p.ts, a, b)
	}
	if more {
		p.o.After = got[len(got)-1].Name.Key
		return
	}
	m.pages = slices.DeleteFunc(m.pages, func(q *openScan) bool { return q == p })
}

func (m *machine) history(t *rapid.T) {
	s, ts := m.drawSnapshot(t)
	n := drawName.Draw(t, "name")
	oldestFirst := rapid.Bool().Draw(t, "oldest first")
	p := engine.Page{Items: rapid.IntRange(0, 4).Draw(t, "items"), Bytes: rapid.IntRange(0, 400).Draw(t, "bytes")}
	want := m.s.history(plainName(n), ts)
	if !oldestFirst {
		slices.Reverse(want)
	}
	var all []engine.HistoryEntry
	for after, more := engine.Version(0), true; more && len(all) <= len(want); {
		var page []engine.HistoryEntry
		var err error
		if page, more, err = s.History(n, after, oldestFirst, p); err != nil || more && len(page) == 0 || p.Items > 0 && len(page) > p.Items {
			t.Fatalf("G5: History of %q after %d: %d entries, more %v, %v", n, after, len(page), more, err)
		}
		all = append(all, page...)
		if len(page) > 0 {
			after = page[len(page)-1].Version
		}
	}
	if a, b := listText(all, historyText), listText(want, historyText); a != b {
		t.Fatalf("G5: History of %q at %d is%s\nnot%s", n, ts, a, b)
	}
}

func (m *machine) outcome(t *rapid.T) {
	ids := slices.Clone(m.begun)
	for _, x := range m.sent {
		ids = append(ids, x.id)
	}
	m.sameOutcome(t, rapid.SampledFrom(append(ids, "never-seen")).Draw(t, "id"))
}

func (m *machine) sameOutcome(t *rapid.T, id engine.TxnID) {
	t.Helper()
	got, err := m.w.Outcome(id)
	if want := outcomeText(m.s.outcome(id)); err != nil || outcomeText(got) != want {
		t.Fatalf("G6: the outcome of %s is\n%s (%v)\nnot\n%s", id, outcomeText(got), err, want)
	}
}
