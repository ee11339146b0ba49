package engine_test

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"statehouse.dev/statehouse/engine"
)

// How the spec answers reads. ts is how much of the log is looked at.

// record is the last thing that happened to a record.
func (s *spec) record(n engine.RecordName, ts int) engine.Record {
	for i := ts - 1; i >= 0; i-- {
		for _, op := range s.log[i].ops {
			if op.name == n {
				return s.recordOf(i+1, op)
			}
		}
	}
	return engine.Record{Name: n}
}

func (s *spec) recordOf(ts int, op specOp) engine.Record {
	r := engine.Record{Name: op.name, Exists: !op.tombstone, Version: op.version,
		CommitTS: engine.CommitTS(ts), CommitTime: s.log[ts-1].time}
	if r.Exists {
		r.Value = []byte(op.value)
	}
	return r
}

// history lists a record's versions, oldest first.
func (s *spec) history(n engine.RecordName, ts int) (entries []engine.HistoryEntry) {
	for i, c := range s.log[:ts] {
		for _, op := range c.ops {
			if op.name == n {
				entries = append(entries, engine.HistoryEntry{Record: s.recordOf(i+1, op), TxnID: c.id, Metadata: c.metadata})
			}
		}
	}
	return entries
}

// names lists every record of the first ts commits that ever was, in byte order.
func (s *spec) names(ts int) (all []engine.RecordName) {
	for _, c := range s.log[:ts] {
		for _, op := range c.ops {
			if !slices.Contains(all, op.name) {
				all = append(all, op.name)
			}
		}
	}
	slices.SortFunc(all, func(a, b engine.RecordName) int {
		return strings.Compare(a.Namespace+"\x00"+a.Agent+"\x00"+a.Key, b.Namespace+"\x00"+b.Agent+"\x00"+b.Key)
	})
	return all
}

// scan lists what one page without bounds shows, own writes laid over the state.
func (s *spec) scan(o engine.ScanOptions, ts int, own []specOp) (records []engine.Record) {
	agent := plainName(engine.RecordName{Namespace: o.Agent.Namespace, Agent: o.Agent.Agent}).AgentName()
	byName := map[engine.RecordName]engine.Record{}
	for _, n := range s.names(ts) {
		byName[n] = s.record(n, ts)
	}
	for _, op := range own {
		byName[op.name] = ownRecord(op)
	}
	for n, r := range byName { // sorted below: order cannot matter
		behind := o.After == "" || n.Key > o.After && !o.Reverse || n.Key < o.After && o.Reverse
		if n.AgentName() == agent && strings.HasPrefix(n.Key, o.Prefix) && r.Exists && behind {
			if o.KeysOnly {
				r.Value = nil
			}
			records = append(records, r)
		}
	}
	slices.SortFunc(records, func(a, b engine.Record) int { return strings.Compare(a.Name.Key, b.Name.Key) })
	if o.Reverse {
		slices.Reverse(records)
	}
	return records
}

func ownRecord(op specOp) engine.Record {
	r := engine.Record{Name: op.name, Exists: !op.tombstone}
	if r.Exists {
		r.Value = []byte(op.value)
	}
	return r
}

// events lists what a replay shows of first..last.
func (s *spec) events(f engine.Filter, first, last int) (events []engine.Event) {
	ns := plainName(engine.RecordName{Namespace: f.Namespace}).Namespace
	for ts := max(first, 1); ts <= last; ts++ {
		c := s.log[ts-1]
		ev := engine.Event{CommitTS: engine.CommitTS(ts), CommitTime: c.time, TxnID: c.id, Metadata: c.metadata}
		for _, op := range c.ops {
			if op.name.Namespace != ns || !f.AllAgents && op.name.Agent != f.Agent || !strings.HasPrefix(op.name.Key, f.KeyPrefix) {
				continue
			}
			eo := engine.EventOp{Name: op.name, Version: op.version, Tombstone: op.tombstone}
			if !op.tombstone && !f.KeysOnly {
				eo.Value = []byte(op.value)
			}
			ev.Ops = append(ev.Ops, eo)
		}
		if len(ev.Ops) > 0 {
			events = append(events, ev)
		}
	}
	return events
}

// head is an agent's last commit.
func (s *spec) head(a engine.AgentName, ts int) engine.CommitTS {
	for i := ts - 1; i >= 0; i-- {
		if slices.ContainsFunc(s.log[i].ops, func(op specOp) bool { return op.name.AgentName() == a }) {
			return engine.CommitTS(i + 1)
		}
	}
	return 0
}

// agents lists a namespace's agents in byte order.
func (s *spec) agents(ns string, ts int) (agents []engine.AgentInfo) {
	for _, n := range s.names(ts) {
		if n.Namespace != ns || len(agents) > 0 && agents[len(agents)-1].Name == n.AgentName() {
			continue
		}
		info := engine.AgentInfo{Name: n.AgentName(), Head: s.head(n.AgentName(), ts)}
		info.HeadTime = s.log[info.Head-1].time
		for info.First = 1; s.head(info.Name, int(info.First)) == 0; {
			info.First++
		}
		agents = append(agents, info)
	}
	return agents
}

func (s *spec) namespaces(ts int) (names []string) {
	for _, n := range s.names(ts) {
		names = append(names, n.Namespace)
	}
	return slices.Compact(names)
}

// lastAt is the last published commit that is not later than t.
func (s *spec) lastAt(t time.Time) int {
	ts := 0
	for i, c := range s.log[:s.published] {
		if !c.time.After(t) {
			ts = i + 1
		}
	}
	return ts
}

// outcome is what became of an id. While a Transact waits for the writer it is open,
// for it may be there any moment; a copy of one that has ended changes nothing.
func (s *spec) outcome(id engine.TxnID) engine.TxnOutcome {
	if s.open[id] != nil {
		return engine.TxnOutcome{State: engine.TxnOpen}
	}
	if ts := s.committedAs(id, s.published); ts > 0 {
		return engine.TxnOutcome{State: engine.TxnCommitted, Result: s.result(ts)}
	}
	if end, ok := s.ended[id]; ok {
		return engine.TxnOutcome{State: end.state, Result: end.result}
	}
	for _, p := range slices.Concat(s.queue, s.inflight) {
		if p.id == id {
			return engine.TxnOutcome{State: engine.TxnOpen}
		}
	}
	return engine.TxnOutcome{State: engine.TxnNeverSeen}
}

// What is compared is compared as text: a difference is read off the message.

func recordText(r engine.Record) string {
	return fmt.Sprintf("%q v%d ts%d %s exists=%v %s", r.Name, r.Version, r.CommitTS, timeText(r.CommitTime), r.Exists, r.Value)
}

func timeText(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.Format("2006-01-02T15:04:05.999999999Z07")
}

func resultText(r engine.CommitResult) string {
	return fmt.Sprintf("ts%d %s %q", r.CommitTS, timeText(r.CommitTime), r.Versions)
}

func outcomeText(o engine.TxnOutcome) string { return o.State.String() + " " + resultText(o.Result) }

func historyText(h engine.HistoryEntry) string {
	return fmt.Sprintf("%s by %s %q", recordText(h.Record), h.TxnID, h.Metadata)
}

func eventText(ev engine.Event) string {
	var b strings.Builder
	fmt.Fprintf(&b, "ts%d %s %s %q:", ev.CommitTS, timeText(ev.CommitTime), ev.TxnID, ev.Metadata)
	for _, op := range ev.Ops {
		fmt.Fprintf(&b, " [%q v%d tombstone=%v %s]", op.Name, op.Version, op.Tombstone, op.Value)
	}
	return b.String()
}

// listText puts every item on a line of its own.
func listText[T any](items []T, text func(T) string) string {
	var b strings.Builder
	for _, i := range items {
		b.WriteString("\n  " + text(i))
	}
	return b.String()
}
