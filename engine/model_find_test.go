package engine_test

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"strings"

	"pgregory.net/rapid"

	"statehouse.dev/statehouse/engine"
)

// The machine finds, lists folders and compares, page by page, and the spec does so by looking at
// everything that there is.

// A drawnFilter selects by the number in a value, and by that in the metadata of a commit.
type drawnFilter struct{ value, metadata int }

func (f drawnFilter) byValue(text []byte) bool {
	var n int
	_, _ = fmt.Sscanf(string(text), `{"n":%d}`, &n)
	return n%f.value == 0
}

func (f drawnFilter) byMetadata(m map[string]string) bool { return len(m["run_id"])%f.metadata == 0 }

// existing lists what exists in the spec, by agent and key.
func (s *spec) existing(ns string, of func(engine.RecordName) bool, ts int) (records []engine.Record) {
	for _, n := range s.names(ts) {
		if rec := s.record(n, ts); n.Namespace == ns && of(n) && rec.Exists {
			records = append(records, rec)
		}
	}
	return records
}

func (m *machine) find(t *rapid.T) {
	s, ts := m.drawSnapshot(t)
	agent := drawAgent.Draw(t, "agent")
	o := engine.FindOptions{
		Namespace: agent.Namespace, Agent: agent.Agent, Prefix: rapid.SampledFrom(modelPrefixes).Draw(t, "prefix"),
		Changed: rapid.Bool().Draw(t, "changed"), KeysOnly: rapid.IntRange(0, 3).Draw(t, "keys only") == 0,
		WithMetadata: rapid.Bool().Draw(t, "with metadata"),
		Page:         engine.Page{Items: rapid.IntRange(0, 3).Draw(t, "items"), Bytes: rapid.IntRange(0, 300).Draw(t, "bytes")},
	}
	if !o.Changed && rapid.Bool().Draw(t, "all agents") {
		o.AllAgents, o.Agent = true, ""
	}
	f := drawnFilter{rapid.IntRange(1, 3).Draw(t, "value"), rapid.IntRange(1, 3).Draw(t, "metadata")}
	if f.value > 1 {
		o.Value = f.byValue
	}
	if f.metadata > 1 {
		o.Metadata = f.byMetadata
	}
	scope := m.s.existing(plainName(engine.RecordName{Namespace: o.Namespace}).Namespace, func(n engine.RecordName) bool {
		return (o.AllAgents || n.Agent == o.Agent) && strings.HasPrefix(n.Key, o.Prefix)
	}, ts)
	if o.Changed {
		slices.SortStableFunc(scope, func(a, b engine.Record) int { return cmp.Compare(b.CommitTS, a.CommitTS) })
	}
	var want []engine.Record
	for _, rec := range scope {
		if f.byValue(rec.Value) && f.byMetadata(m.s.log[rec.CommitTS-1].metadata) {
			want = append(want, rec)
		}
	}
	got, scanned := m.findAll(t, s, &o, len(scope))
	if o.KeysOnly {
		for i := range want {
			want[i].Value = nil
		}
	}
	if a, b := listText(got, recordText), listText(want, recordText); a != b {
		t.Fatalf("G3, G10: Find %+v at %d found%s\nnot%s", o, ts, a, b)
	}
	if scanned != len(scope) {
		t.Fatalf("G9: Find %+v at %d says that it looked at %d of %d records", o, ts, scanned, len(scope))
	}
}

// findAll reads all pages.
func (m *machine) findAll(t *rapid.T, s engine.Snapshot, o *engine.FindOptions, scope int) (records []engine.Record, scanned int) {
	for pages := 0; ; pages++ {
		found, err := s.Find(*o)
		if err != nil || o.Page.Items > 0 && len(found.Records) > o.Page.Items {
			t.Fatalf("G8: Find %+v: %d records, %v", o, len(found.Records), err)
		}
		for i, by := range found.Metadata {
			if want := m.s.log[found.Records[i].CommitTS-1].metadata; fmt.Sprint(by) != fmt.Sprint(want) {
				t.Fatalf("G5: Find answers for %s the metadata %v, not %v", recordText(found.Records[i]), by, want)
			}
		}
		if o.WithMetadata && len(found.Metadata) != len(found.Records) {
			t.Fatalf("G5: Find answers metadata of %d records of %d", len(found.Metadata), len(found.Records))
		}
		records, scanned = append(records, found.Records...), scanned+found.Scanned
		if found.Next == "" {
			return records, scanned
		}
		if o.After == found.Next || pages > 10*(scope+m.s.published+20) {
			t.Fatalf("G9: Find %+v goes round: page %d goes on at %q", o, pages, found.Next)
		}
		o.After = found.Next
	}
}

func (m *machine) folders(t *rapid.T) {
	s, ts := m.drawSnapshot(t)
	o := m.drawScan(t)
	o.After, o.Page = "", engine.Page{Items: rapid.IntRange(1, 4).Draw(t, "items")}
	delimiter := rapid.SampledFrom([]string{"/", "k", "1", "k/"}).Draw(t, "delimiter")
	all := o
	all.Page = engine.Page{}
	var want []engine.Listed
	for _, rec := range m.s.scan(all, ts, nil) {
		l := engine.Listed{Name: rec.Name.Key}
		if before, _, found := strings.Cut(l.Name[len(o.Prefix):], delimiter); found {
			l = engine.Listed{Name: o.Prefix + before + delimiter, Folder: true}
		}
		if !slices.Contains(want, l) {
			want = append(want, l)
		}
	}
	var got []engine.Listed
	for more := true; more && len(got) <= len(want); {
		page, next, err := s.Folders(o, delimiter)
		if err != nil || next && len(page) == 0 {
			t.Fatalf("G8: Folders %+v: %v", o, err)
		}
		if got, more = append(got, page...), next; more {
			o.After = got[len(got)-1].Name
		}
	}
	if !slices.Equal(got, want) {
		t.Fatalf("G3, G10: folders of %+v by %q at %d are %v\nnot %v", o, delimiter, ts, got, want)
	}
}

func (m *machine) diff(t *rapid.T) {
	from, fromTS := m.drawSnapshot(t)
	to, toTS := m.drawSnapshot(t)
	o := engine.DiffOptions{
		From:   engine.DiffSide{Agent: drawAgent.Draw(t, "from"), At: from, Empty: rapid.IntRange(0, 5).Draw(t, "empty") == 0},
		To:     engine.DiffSide{Agent: drawAgent.Draw(t, "to"), At: to},
		Prefix: rapid.SampledFrom(modelPrefixes).Draw(t, "prefix"),
		Page:   engine.Page{Items: rapid.IntRange(0, 3).Draw(t, "items"), Bytes: rapid.IntRange(0, 300).Draw(t, "bytes")},
	}
	if rapid.Bool().Draw(t, "one agent") {
		o.To.Agent = o.From.Agent
	}
	if rapid.Bool().Draw(t, "same") { // the last digit is no difference
		o.Same = func(a, b []byte) bool { return bytes.Equal(a[:len(a)-2], b[:len(b)-2]) }
	}
	if o.From.Empty {
		fromTS = 0
	}
	var want []engine.Difference
	for _, key := range modelKeys {
		a := m.s.record(plainName(engine.RecordName{Namespace: o.From.Agent.Namespace, Agent: o.From.Agent.Agent, Key: key}), fromTS)
		b := m.s.record(plainName(engine.RecordName{Namespace: o.To.Agent.Namespace, Agent: o.To.Agent.Agent, Key: key}), toTS)
		same := a.Exists == b.Exists && (!a.Exists || bytes.Equal(a.Value, b.Value) || o.Same != nil && o.Same(a.Value, b.Value))
		if strings.HasPrefix(key, o.Prefix) && !same {
			for _, side := range []*engine.Record{&a, &b} {
				if !side.Exists {
					*side = engine.Record{}
				}
			}
			want = append(want, engine.Difference{Key: key, From: a, To: b})
		}
	}
	slices.SortFunc(want, func(a, b engine.Difference) int { return strings.Compare(a.Key, b.Key) })
	var got []engine.Difference
	for {
		page, err := m.w.Diff(o)
		if err != nil || o.Page.Items > 0 && len(page.Keys) > o.Page.Items {
			t.Fatalf("G8: Diff %+v: %d keys, %v", o, len(page.Keys), err)
		}
		got = append(got, page.Keys...)
		if page.Next == "" {
			break
		}
		if page.Next <= o.After {
			t.Fatalf("G9: Diff %+v goes round: from %q on to %q", o, o.After, page.Next)
		}
		o.After = page.Next
	}
	if a, b := listText(got, differenceText), listText(want, differenceText); a != b {
		t.Fatalf("G3: Diff of %v at %d and %v at %d is%s\nnot%s", o.From.Agent, fromTS, o.To.Agent, toTS, a, b)
	}
}

func differenceText(d engine.Difference) string {
	return fmt.Sprintf("%q: %s -> %s", d.Key, recordText(d.From), recordText(d.To))
}
