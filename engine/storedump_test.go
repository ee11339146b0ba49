package engine_test

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"statehouse.dev/statehouse/engine"
)

// A dump is everything that a store tells its clients, as lines of text: what
// two stores are compared by, and a store with the script it was told.
type dump struct {
	lines []string
	times []time.Time // commit_time of commit i+1
}

// readAll dumps an engine through its public methods.
func readAll(e *engine.Engine, ids []engine.TxnID) (d dump, err error) {
	s, err := e.Snapshot(engine.At{})
	if err != nil {
		return d, err
	}
	d.times = make([]time.Time, s.TS())
	d.addf("head %d", s.TS())
	namespaces, _, err := s.Namespaces("", engine.Page{})
	if err != nil {
		return d, err
	}
	for _, ns := range namespaces {
		d.addf("namespace %s", ns)
		if err := d.readEvents(e, engine.Filter{Namespace: ns, AllAgents: true}); err != nil {
			return d, err
		}
		agents, _, err := s.Agents(ns, "", "", engine.Page{})
		if err != nil {
			return d, err
		}
		for _, a := range agents {
			d.addf("agent %s/%s first %d head %d", ns, a.Name.Agent, a.First, a.Head)
			if err := d.readEvents(e, engine.Filter{Namespace: ns, Agent: a.Name.Agent}); err != nil {
				return d, err
			}
			if err := d.readRecords(e, s, a.Name); err != nil {
				return d, err
			}
		}
	}
	return d, d.readOutcomes(e, ids)
}

func (d *dump) addf(format string, args ...any) {
	d.lines = append(d.lines, fmt.Sprintf(format, args...))
}

// at notes the time of a commit; every row that tells it must tell the same.
func (d *dump) at(ts engine.CommitTS, t time.Time) error {
	if ts < 1 || int(ts) > len(d.times) {
		return fmt.Errorf("a row of commit %d, the last is %d", ts, len(d.times))
	}
	if have := d.times[ts-1]; !have.IsZero() && !have.Equal(t) {
		return fmt.Errorf("commit %d has two times, %v and %v", ts, have, t)
	}
	d.times[ts-1] = t
	return nil
}

func (d *dump) readEvents(e *engine.Engine, f engine.Filter) error {
	last := engine.CommitTS(len(d.times))
	for cursor := engine.Cursor(0); cursor < last; {
		events, next, err := e.Replay(f, cursor, last, 0)
		if err != nil {
			return err
		}
		for _, ev := range events {
			if err := d.at(ev.CommitTS, ev.CommitTime); err != nil {
				return err
			}
			d.event(ev)
		}
		cursor = next
	}
	return nil
}

func (d *dump) event(ev engine.Event) {
	d.addf("commit %d %s %v", ev.CommitTS, ev.TxnID, ev.Metadata)
	for _, op := range ev.Ops {
		d.addf("  %s", versionText(op.Name, op.Version, op.Tombstone, op.Value))
	}
}

func versionText(n engine.RecordName, v engine.Version, tombstone bool, value []byte) string {
	text := string(value)
	switch {
	case tombstone:
		text = "deleted"
	case len(value) > 200:
		text = fmt.Sprintf("%d bytes %x", len(value), sha256.Sum256(value))
	}
	return fmt.Sprintf("%s/%s/%q v%d %s", n.Namespace, n.Agent, n.Key, v, text)
}

// readRecords dumps what an agent has now, what it had halfway, and every version
// of every key that its events name.
func (d *dump) readRecords(e *engine.Engine, now engine.Snapshot, a engine.AgentName) error {
	half := now.TS() / 2
	past, err := e.Snapshot(engine.At{CommitTS: &half})
	if err != nil {
		return err
	}
	for _, s := range []engine.Snapshot{now, past} {
		records, _, err := s.Scan(engine.ScanOptions{Agent: a})
		if err != nil {
			return err
		}
		for _, r := range records {
			d.addf("at %d %s by %d", s.TS(), versionText(r.Name, r.Version, false, r.Value), r.CommitTS)
		}
	}
	last := engine.CommitTS(len(d.times))
	events, _, err := e.Replay(engine.Filter{Namespace: a.Namespace, Agent: a.Agent, KeysOnly: true}, 0, last, 0)
	if err != nil {
		return err
	}
	keys := make(map[engine.RecordName]bool)
	for _, ev := range events {
		for _, op := range ev.Ops {
			keys[op.Name] = true
		}
	}
	for _, n := range sortedNames(keys) {
		if err := d.readRecord(now, n); err != nil {
			return err
		}
	}
	return nil
}

func (d *dump) readRecord(now engine.Snapshot, n engine.RecordName) error {
	r, err := now.Get(n)
	if err != nil {
		return err
	}
	d.addf("get %s by %d", versionText(n, r.Version, !r.Exists, r.Value), r.CommitTS)
	history, _, err := now.History(n, 0, true, engine.Page{})
	if err != nil {
		return err
	}
	for _, h := range history {
		if err := d.at(h.CommitTS, h.CommitTime); err != nil {
			return err
		}
		d.addf("version %s by %d %s", versionText(n, h.Version, !h.Exists, h.Value), h.CommitTS, h.TxnID)
	}
	return nil
}

func (d *dump) readOutcomes(e *engine.Engine, ids []engine.TxnID) error {
	for _, id := range ids {
		o, err := e.Outcome(id)
		if err != nil {
			return err
		}
		d.addf("outcome %s %v %d %v", id, o.State, o.Result.CommitTS, o.Result.Versions)
		if o.State == engine.TxnCommitted {
			if err := d.at(o.Result.CommitTS, o.Result.CommitTime); err != nil {
				return err
			}
		}
	}
	return nil
}

func sortedNames[V any](m map[engine.RecordName]V) []engine.RecordName {
	return slices.SortedFunc(maps.Keys(m), func(a, b engine.RecordName) int {
		return strings.Compare(nameText(a), nameText(b))
	})
}

// nameText sorts as the engine does.
func nameText(n engine.RecordName) string { return n.Namespace + "\x00" + n.Agent + "\x00" + n.Key }

// differs names the first line in which two dumps differ; "" when none does.
func (d dump) differs(want dump) string {
	for i := range max(len(d.lines), len(want.lines)) {
		got, expected := "(end)", "(end)"
		if i < len(d.lines) {
			got = d.lines[i]
		}
		if i < len(want.lines) {
			expected = want.lines[i]
		}
		if got != expected {
			return fmt.Sprintf("line %d is %.200q, want %.200q", i+1, got, expected)
		}
	}
	return ""
}

// A model is what the first n attempts of a script make of an empty store: the
// same rules as the engine's in a few lines, with maps.
type model struct {
	events  []engine.Event
	records map[engine.RecordName][]modelVersion
}

type modelVersion struct {
	ts engine.CommitTS
	op engine.EventOp
	id engine.TxnID
}

func (s *script) model(n int) *model {
	m := &model{records: make(map[engine.RecordName][]modelVersion)}
	for i, a := range s.attempts[:n] {
		ev := engine.Event{CommitTS: engine.CommitTS(i + 1), TxnID: a.id, Metadata: a.metadata}
		last := make(map[engine.RecordName]int) // several writes of one key keep the last
		for _, w := range a.writes {
			op := engine.EventOp{Name: w.Name, Tombstone: w.Tombstone, Value: w.Value}
			if j, again := last[w.Name]; again {
				ev.Ops[j] = op
			} else {
				last[w.Name] = len(ev.Ops)
				ev.Ops = append(ev.Ops, op)
			}
		}
		slices.SortStableFunc(ev.Ops, func(a, b engine.EventOp) int {
			return strings.Compare(a.Name.Namespace+"\x00"+a.Name.Agent, b.Name.Namespace+"\x00"+b.Name.Agent)
		})
		for j := range ev.Ops {
			op := &ev.Ops[j]
			op.Version = engine.Version(len(m.records[op.Name]) + 1)
			m.records[op.Name] = append(m.records[op.Name], modelVersion{ev.CommitTS, *op, a.id})
		}
		m.events = append(m.events, ev)
	}
	return m
}

// filtered is what a replay of a namespace, or of one agent of it, answers.
func (m *model) filtered(ns, agent string) (events []engine.Event) {
	for _, ev := range m.events {
		ops := slices.DeleteFunc(slices.Clone(ev.Ops), func(op engine.EventOp) bool {
			return op.Name.Namespace != ns || agent != "" && op.Name.Agent != agent
		})
		if len(ops) > 0 {
			ev.Ops = ops
			events = append(events, ev)
		}
	}
	return events
}

// dump is what readAll must answer of a store that holds the model.
func (m *model) dump(ids []engine.TxnID) (d dump) {
	head := engine.CommitTS(len(m.events))
	d.addf("head %d", head)
	agents := make(map[string]map[string]bool)
	for n := range m.records {
		if agents[n.Namespace] == nil {
			agents[n.Namespace] = make(map[string]bool)
		}
		agents[n.Namespace][n.Agent] = true
	}
	for _, ns := range slices.Sorted(maps.Keys(agents)) {
		d.addf("namespace %s", ns)
		for _, ev := range m.filtered(ns, "") {
			d.event(ev)
		}
		for _, agent := range slices.Sorted(maps.Keys(agents[ns])) {
			events := m.filtered(ns, agent)
			d.addf("agent %s/%s first %d head %d", ns, agent, events[0].CommitTS, events[len(events)-1].CommitTS)
			for _, ev := range events {
				d.event(ev)
			}
			m.dumpRecords(&d, ns, agent, head)
		}
	}
	for i, id := range ids {
		if i >= len(m.events) {
			d.addf("outcome %s %v 0 []", id, engine.TxnNeverSeen)
			continue
		}
		var versions []engine.KeyVersion
		for _, op := range m.events[i].Ops {
			versions = append(versions, engine.KeyVersion{Name: op.Name, Version: op.Version})
		}
		d.addf("outcome %s %v %d %v", id, engine.TxnCommitted, i+1, versions)
	}
	return d
}

func (m *model) dumpRecords(d *dump, ns, agent string, head engine.CommitTS) {
	names := slices.DeleteFunc(sortedNames(m.records), func(n engine.RecordName) bool {
		return n.Namespace != ns || n.Agent != agent
	})
	for _, at := range []engine.CommitTS{head, head / 2} {
		for _, n := range names {
			if v, ok := m.at(n, at); ok && !v.op.Tombstone {
				d.addf("at %d %s by %d", at, versionText(n, v.op.Version, false, v.op.Value), v.ts)
			}
		}
	}
	for _, n := range names {
		v, _ := m.at(n, head)
		d.addf("get %s by %d", versionText(n, v.op.Version, v.op.Tombstone, v.op.Value), v.ts)
		for _, v := range m.records[n] {
			d.addf("version %s by %d %s", versionText(n, v.op.Version, v.op.Tombstone, v.op.Value), v.ts, v.id)
		}
	}
}

// at is the version of a record that a snapshot sees.
func (m *model) at(n engine.RecordName, ts engine.CommitTS) (last modelVersion, found bool) {
	for _, v := range m.records[n] {
		if v.ts <= ts {
			last, found = v, true
		}
	}
	return last, found
}

func (s *script) ids() (ids []engine.TxnID) {
	for _, a := range s.attempts {
		ids = append(ids, a.id)
	}
	return ids
}

// check compares an engine with a script of which at least acked attempts must
// be there and at most tried can be, each whole or not at all, in order. It
// answers how many are.
func (s *script) check(p *process, acked, tried int) (int, error) {
	n := int(p.Published())
	switch {
	case n < acked:
		return n, fmt.Errorf("%d commits were acknowledged, %d are there", acked, n)
	case n > tried:
		return n, fmt.Errorf("%d commits were asked for, %d are there", tried, n)
	case n > 0 && n < len(s.attempts) && s.attempts[n-1].group == s.attempts[n].group:
		return n, fmt.Errorf("commit %d is there and %d of the same batch is not", n, n+1)
	}
	got, err := readAll(p.Engine, s.ids())
	if err != nil {
		return n, err
	}
	if diff := got.differs(s.model(n).dump(s.ids())); diff != "" {
		return n, errors.New(diff)
	}
	for i := range n {
		if a := s.attempts[i]; a.acked && !a.result.CommitTime.Equal(got.times[i]) {
			return n, fmt.Errorf("commit %d was answered with time %v and has %v", i+1, a.result.CommitTime, got.times[i])
		}
		if i > 0 && got.times[i].Before(got.times[i-1]) {
			return n, fmt.Errorf("commit %d is older than the one before it", i+1)
		}
	}
	return n, nil
}

// mustCheck is check, failing the test.
func (s *script) mustCheck(t *testing.T, p *process, acked, tried int) int {
	t.Helper()
	n, err := s.check(p, acked, tried)
	if err != nil {
		t.Fatalf("the store is not what was committed: %v", err)
	}
	return n
}
