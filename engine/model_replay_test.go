package engine_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"statehouse.dev/statehouse/engine"
)

// The machine's replays and lists, and the audit that looks at everything.

func (m *machine) drawFilter(t *rapid.T) engine.Filter {
	f := engine.Filter{
		Namespace: rapid.SampledFrom(modelNamespaces).Draw(t, "namespace"),
		AllAgents: rapid.Bool().Draw(t, "all agents"),
		KeysOnly:  rapid.IntRange(0, 3).Draw(t, "keys only") == 0,
	}
	if !f.AllAgents {
		f.Agent = rapid.SampledFrom(modelAgents).Draw(t, "agent")
	}
	if rapid.Bool().Draw(t, "filtered") {
		f.KeyPrefix = rapid.SampledFrom(modelPrefixes).Draw(t, "prefix")
	}
	return f
}

// drawRange draws bounds and says which commits are within them.
func (m *machine) drawRange(t *rapid.T) (r engine.Range, first, last int) {
	first, last = 1, m.s.published
	bound := func(what string) *engine.CommitTS {
		if rapid.Bool().Draw(t, what) {
			return nil
		}
		ts := engine.CommitTS(rapid.IntRange(0, m.s.published+2).Draw(t, what))
		return &ts
	}
	moment := func(what string) *time.Time {
		if rapid.IntRange(0, 2).Draw(t, what) > 0 {
			return nil
		}
		at := m.drawTime(t)
		return &at
	}
	r = engine.Range{From: bound("from"), To: bound("to"), FromTime: moment("from time"), ToTime: moment("to time")}
	if r.From != nil {
		first = max(first, int(*r.From))
	}
	if r.To != nil {
		last = min(last, int(*r.To))
	}
	if r.FromTime != nil {
		first = max(first, m.s.lastAt(r.FromTime.Add(-1))+1)
	}
	if r.ToTime != nil {
		last = min(last, m.s.lastAt(*r.ToTime))
	}
	return r, first, last
}

func (m *machine) replay(t *rapid.T) {
	f := m.drawFilter(t)
	r, first, last := m.drawRange(t)
	from, to, err := m.w.ReplayRange(r)
	if empty := first > last; err != nil || empty != (from > to) || !empty && (int(from) != first || int(to) != last) {
		t.Fatalf("G5: the range %+v is %d to %d (%v), not %d to %d", r, from, to, err, first, last)
	}
	m.sameReplay(t, f, first, last, rapid.IntRange(0, 3).Draw(t, "limit"))
}

// sameReplay replays first..last in chunks of at most limit events, each from the
// cursor that the one before answered.
func (m *machine) sameReplay(t *rapid.T, f engine.Filter, first, last, limit int) {
	t.Helper()
	var all []engine.Event
	for cursor := engine.Cursor(first - 1); int(cursor) < last; {
		events, next, err := m.w.Replay(f, cursor, engine.CommitTS(last), limit)
		if err != nil || next <= cursor || limit > 0 && len(events) > limit {
			t.Fatalf("G5: Replay %+v after %d to %d, limit %d: %d events, cursor %d, %v", f, cursor, last, limit, len(events), next, err)
		}
		// The cursor is exact: nothing up to it is still to come, all behind it is.
		if a, b := listText(events, eventText), listText(m.s.events(f, int(cursor)+1, int(next)), eventText); a != b {
			t.Fatalf("G5, G10: Replay %+v after %d up to %d has%s\nnot%s", f, cursor, next, a, b)
		}
		all, cursor = append(all, events...), next
	}
	if a, b := listText(all, eventText), listText(m.s.events(f, first, last), eventText); a != b {
		t.Fatalf("G5, G10: Replay %+v of %d to %d has%s\nnot%s", f, first, last, a, b)
	}
	// Asking for more than there is shows no more than is published.
	events, next, err := m.w.Replay(f, engine.Cursor(m.s.published), engine.CommitTS(m.s.published+3), 0)
	if err != nil || len(events) != 0 || int(next) != m.s.published {
		t.Fatalf("G4: Replay past the last published commit %d has%s, cursor %d, %v", m.s.published, listText(events, eventText), next, err)
	}
}

func (m *machine) lists(t *rapid.T) {
	s, ts := m.drawSnapshot(t)
	m.sameLists(t, s, ts, engine.Page{Items: rapid.IntRange(0, 2).Draw(t, "items")})
	// A prefix narrows it.
	prefix := rapid.SampledFrom([]string{"a", "a:", "b", "a:bc"}).Draw(t, "prefix")
	got, _, err := s.Agents("", prefix, "", engine.Page{})
	var want []engine.AgentInfo
	for _, a := range m.s.agents(engine.DefaultNamespace, ts) {
		if len(a.Name.Agent) >= len(prefix) && a.Name.Agent[:len(prefix)] == prefix {
			want = append(want, a)
		}
	}
	if err != nil || fmt.Sprint(got) != fmt.Sprint(want) {
		t.Fatalf("G10: agents under %q at %d are %v (%v), not %v", prefix, ts, got, err, want)
	}
}

// sameLists pages through all namespaces and their agents.
func (m *machine) sameLists(t *rapid.T, s engine.Snapshot, ts int, p engine.Page) {
	t.Helper()
	var names []string
	for more := true; more && len(names) <= len(modelNamespaces); {
		after := ""
		if len(names) > 0 {
			after = names[len(names)-1]
		}
		page, goesOn, err := s.Namespaces(after, p)
		if err != nil || p.Items > 0 && len(page) > p.Items || goesOn && len(page) == 0 {
			t.Fatalf("G10: Namespaces after %q: %v, more %v, %v", after, page, goesOn, err)
		}
		names, more = append(names, page...), goesOn
	}
	if want := m.s.namespaces(ts); fmt.Sprint(names) != fmt.Sprint(want) {
		t.Fatalf("G4, G10: the namespaces at %d are %q, not %q", ts, names, want)
	}
	for _, ns := range modelNamespaces {
		var agents []engine.AgentInfo
		for more := true; more && len(agents) <= len(modelAgents); {
			after := ""
			if len(agents) > 0 {
				after = agents[len(agents)-1].Name.Agent
			}
			page, goesOn, err := s.Agents(ns, "", after, p)
			if err != nil || p.Items > 0 && len(page) > p.Items || goesOn && len(page) == 0 {
				t.Fatalf("G10: Agents of %q after %q: %v, more %v, %v", ns, after, page, goesOn, err)
			}
			agents, more = append(agents, page...), goesOn
		}
		want := m.s.agents(plainName(engine.RecordName{Namespace: ns}).Namespace, ts)
		if fmt.Sprint(agents) != fmt.Sprint(want) {
			t.Fatalf("G4, G10: the agents of %q at %d are %v, not %v", ns, ts, agents, want)
		}
	}
}

// audit compares everything that can be asked for now.
func (m *machine) audit(t *rapid.T, when string) {
	t.Helper()
	if int(m.w.Published()) != m.s.published {
		t.Fatalf("G1, G4: %s commit %d is published, not %d", when, m.w.Published(), m.s.published)
	}
	s := m.w.now()
	for _, ns := range modelNamespaces {
		m.sameReplay(t, engine.Filter{Namespace: ns, AllAgents: true}, 1, m.s.published, 0)
		for _, a := range modelAgents {
			m.sameReplay(t, engine.Filter{Namespace: ns, Agent: a}, 1, m.s.published, 0)
			o := engine.ScanOptions{Agent: engine.AgentName{Namespace: ns, Agent: a}}
			got, more, err := s.Scan(o)
			if err != nil {
				t.Fatalf("G8: %s Scan %+v: %v", when, o, err)
			}
			m.samePage(t, fmt.Sprintf("G3, G10: %s Scan %+v", when, o), o, got, more, m.s.scan(o, m.s.published, nil))
			for _, k := range modelKeys {
				m.sameRecord(t, s, engine.RecordName{Namespace: ns, Agent: a, Key: k}, m.s.published)
			}
		}
	}
	m.sameLists(t, s, m.s.published, engine.Page{})
	for _, x := range m.sent {
		m.sameOutcome(t, x.id)
	}
	for _, id := range m.begun {
		m.sameOutcome(t, id)
	}
}

// TestForeignPageToken: a page token of another prefix does not lead out of this one.
func TestForeignPageToken(t *testing.T) {
	w := newWorld(t, 1, engine.Limits{})
	defer w.close()
	for i, agent := range []string{"a", "b", "c"} {
		x := engine.Write{Name: engine.RecordName{Agent: agent, Key: "k"}, Value: []byte(`{}`)}
		if _, err := w.Transact(context.Background(), engine.TxnID(fmt.Sprint("t", i)), []engine.Write{x}, engine.Conditions{}); err != nil {
			t.Fatal(err)
		}
	}
	for _, after := range []string{"a", "c", "\xff"} {
		if agents, _, err := w.now().Agents("", "b", after, engine.Page{}); !errors.Is(err, engine.ErrInvalid) {
			t.Errorf("G10: the agents under b behind %q are %v, %v", after, agents, err)
		}
		o := engine.ScanOptions{Agent: engine.AgentName{Agent: "a"}, Prefix: "b", After: after}
		if records, _, err := w.now().Scan(o); !errors.Is(err, engine.ErrInvalid) {
			t.Errorf("G10: the records under b behind %q are %v, %v", after, records, err)
		}
	}
}

// TestReplayChunks: a replay that is larger than a chunk, in each of the ways to be
// so, comes whole and once, and each chunk is bounded (G5, G9).
func TestReplayChunks(t *testing.T) {
	w := newWorld(t, 1, engine.Limits{QueuedCommits: 20_000})
	defer w.close()
	s := newSpec()
	send := func(n int, namespace, agent, key string, size int) {
		for range n {
			id := engine.TxnID(fmt.Sprint("t", len(s.queue)+len(s.log)))
			x := engine.Write{Name: engine.RecordName{Namespace: namespace, Agent: agent, Key: key}, Value: fmt.Appendf(nil, `{"pad":"%0*d"}`, size, len(s.queue))}
			s.queue = append(s.queue, newSpecProposal(id, stage(nil, x), nil, engine.Conditions{}))
			if err := w.abandon(func() error {
				_, err := w.Transact(context.Background(), id, []engine.Write{x}, engine.Conditions{})
				return err
			}); !errors.Is(err, engine.ErrOutcomeUnknown) {
				t.Fatal(err)
			}
		}
		for w.Step() {
		}
		for _, p := range s.queue { // versions do not matter here, and are dear to count
			s.log = append(s.log, specCommit{id: p.id, time: w.clock, ops: p.ops})
		}
		s.queue = nil
	}
	send(4100, "", "many", "k", 1)
	send(5, "other", "large", "k", 300<<10)
	send(4200, "", "many", "l", 1)
	for _, c := range []struct {
		name   string
		filter engine.Filter
		least  int // chunks
	}{
		{"events", engine.Filter{Agent: "many", KeyPrefix: "k"}, 2},
		{"bytes", engine.Filter{Namespace: "other", Agent: "large"}, 2},
		{"bytes are not read when only keys are asked for", engine.Filter{Namespace: "other", Agent: "large", KeysOnly: true}, 1},
		{"rows that do not match", engine.Filter{Agent: "many", KeyPrefix: "x"}, 2},
		{"rows of other namespaces", engine.Filter{Namespace: "other", AllAgents: true}, 2},
	} {
		chunks, found := 0, 0
		for cursor := engine.Cursor(0); cursor < w.Published(); chunks++ {
			events, next, err := w.Replay(c.filter, cursor, w.Published(), 0)
			want := s.events(c.filter, int(cursor)+1, int(next))
			if err != nil || next <= cursor || len(events) != len(want) || len(events) > 4096 {
				t.Fatalf("G5: %s: behind %d up to %d there are %d events (%v), not %d", c.name, cursor, next, len(events), err, len(want))
			}
			size := 0
			for i, ev := range events {
				if size > 1<<20 { // the one that reached the bound was the last
					t.Fatalf("G9: %s: a chunk goes on after %d bytes", c.name, size)
				}
				if ev.CommitTS != want[i].CommitTS || ev.TxnID != want[i].TxnID || string(ev.Ops[0].Value) != string(want[i].Ops[0].Value) {
					t.Fatalf("G5: %s: commit %d by %s, not %d by %s", c.name, ev.CommitTS, ev.TxnID, want[i].CommitTS, want[i].TxnID)
				}
				size += len(ev.Ops[0].Value)
			}
			found, cursor = found+len(events), next
		}
		if all := len(s.events(c.filter, 1, len(s.log))); chunks < c.least || found != all {
			t.Errorf("G5: %s: %d of %d events in %d chunks, at least %d were expected", c.name, found, all, chunks, c.least)
		}
	}
}
