package oracle

import (
	"fmt"
	"slices"
	"sort"

	"statehouse.dev/statehouse/history"
	"statehouse.dev/statehouse/linearizability/verdict"
)

// fold builds the model from the log, and holds the log to what it promises of
// itself (G5): dense, in order, versions 1, 2, 3…
func (j *Judge) fold(h *history.History) {
	m := &model{keys: make(map[history.Name][]version), agents: make(map[history.AgentName][]uint64), spaces: make(map[string]uint64),
		sorted: make(map[history.AgentName][]string), ByTxn: make(map[string]*history.Event, len(h.Log)), log: h.Log}
	j.M = m
	if b := h.Header.Base; b != nil {
		m.Base = b.CommitTS
		for i := range b.Records {
			r := &b.Records[i]
			m.add(r.Name, version{ts: r.CommitTS, number: r.Version, deleted: !r.Exists, value: r.Value, time: r.CommitTime})
			m.spaces[r.Namespace] = 0
		}
		for _, a := range b.Agents {
			m.agents[history.AgentName{Namespace: a.Namespace, Agent: a.Agent}] = slices.Compact([]uint64{a.FirstTS, a.HeadTS})
			m.spaces[a.Namespace] = 0
		}
	}
	m.head = m.Base
	covers := uint64(0)
	if b := h.Header.Base; b != nil {
		covers = b.Covers
	}
	var known map[history.Name]bool
	if j.lacks.before {
		known = Spoken(h)
	}
	last := int64(0)
	for i := range h.Log {
		ev := &h.Log[i]
		bad := func(check, format string, args ...any) {
			j.Violate(verdict.Violation{Guarantee: "G5", Check: check, CommitTS: ev.CommitTS, Sentence: fmt.Sprintf(format, args...)})
		}
		if ev.CommitTS != m.head+1 && (covers == 0 || ev.CommitTS <= m.head || ev.CommitTS > covers) {
			bad("log-gap", "the log goes from commit %d to commit %d", m.head, ev.CommitTS)
			return
		}
		m.head = ev.CommitTS
		if ev.CommitTime < last {
			bad("commit-time-falls", "commit %d is earlier than the commit before it", ev.CommitTS)
		}
		last = ev.CommitTime
		if m.ByTxn[ev.TxnID] != nil {
			j.Violate(verdict.Violation{Guarantee: "G6", Check: "txn-twice", CommitTS: ev.CommitTS,
				Sentence: fmt.Sprintf("transaction %s is in the log twice: commits %d and %d", ev.TxnID, m.ByTxn[ev.TxnID].CommitTS, ev.CommitTS)})
		}
		m.ByTxn[ev.TxnID] = ev
		for k := range ev.Ops {
			op := &ev.Ops[k]
			before := m.at(op.Name, ev.CommitTS)
			if before != nil && before.ts == ev.CommitTS {
				bad("key-twice", "commit %d changes key %q of agent %q twice", ev.CommitTS, op.Key, op.Agent)
			}
			// The base need not have the state of a key that nobody speaks of.
			if op.Version != before.num()+1 && (before != nil || !j.lacks.before || known[op.Name]) {
				bad("version-gap", "commit %d makes version %d of key %q of agent %q, whose last one was %d", ev.CommitTS, op.Version, op.Key, op.Agent, before.num())
			}
			m.add(op.Name, version{ts: ev.CommitTS, number: op.Version, deleted: op.Delete, value: op.Value, event: ev})
			a := history.AgentName{Namespace: op.Namespace, Agent: op.Agent}
			if list := m.agents[a]; len(list) == 0 || list[len(list)-1] != ev.CommitTS {
				m.agents[a] = append(list, ev.CommitTS)
			}
			if _, known := m.spaces[op.Namespace]; !known {
				m.spaces[op.Namespace] = ev.CommitTS
			}
		}
		if len(ev.Ops) == 0 {
			bad("empty-event", "commit %d has no operations", ev.CommitTS)
		}
	}
	if covers > 0 {
		m.head = max(m.head, covers)
		m.log = padded(h.Log, m.Base, m.head)
	}
	for _, keys := range m.sorted { // each sorted by itself
		sort.Strings(keys)
	}
}

func (m *model) add(n history.Name, v version) {
	if len(m.keys[n]) == 0 {
		a := history.AgentName{Namespace: n.Namespace, Agent: n.Agent}
		m.sorted[a] = append(m.sorted[a], n.Key)
	}
	m.keys[n] = append(m.keys[n], v)
}

// bounds of the points at which operations can have taken effect, from real time.
type bounds struct {
	base   uint64       // nothing is known of what was before
	proofs []Proof      // by time: what was known to be committed when
	starts []commitCall // by first call: commits that cannot be earlier
}

// proof: at time, some client knew that ts was committed.
type Proof struct {
	Time int64
	Ts   uint64 // running maximum
	Op   int
}

// low is the last commit that was known to somebody before time.
func (b *bounds) low(time int64) (uint64, int) {
	i := sort.Search(len(b.proofs), func(i int) bool { return b.proofs[i].Time >= time })
	if i == 0 || b.proofs[i-1].Ts < b.base {
		return b.base, 0
	}
	return b.proofs[i-1].Ts, b.proofs[i-1].Op
}

type commitCall struct {
	call int64
	ts   uint64 // running minimum from the end: the earliest commit asked for at or after call
	op   int
}

// high is the last commit that can have happened by time: the one before the
// first that was asked for only later.
func (b *bounds) high(time int64, head uint64) uint64 {
	i := sort.Search(len(b.starts), func(i int) bool { return b.starts[i].call > time })
	if i == len(b.starts) {
		return head
	}
	return min(head, b.starts[i].ts-1)
}

// gather collects what every operation proves, and when every commit was first
// asked for.
func (j *Judge) gather(h *history.History) {
	b := &j.b
	b.base = j.M.Base
	prove := func(time int64, ts uint64, op int) {
		if ts > 0 {
			b.proofs = append(b.proofs, Proof{time, ts, op})
		}
	}
	for _, op := range h.Operations {
		for i := range op.Batches {
			ba := &op.Batches[i]
			ts := ba.Cursor
			if n := len(ba.Events); n > 0 {
				ts = ba.Events[n-1].CommitTS
			}
			if op.Kind == history.Watch {
				ts = max(ts, ba.Cursor)
			} else {
				ts = min(ts, j.M.head) // a replay's cursor may be what was asked for
			}
			prove(ba.Time, ts, op.ID)
		}
		if op.Outcome == history.OK {
			prove(op.Return, op.NewestCommit(), op.ID)
		}
	}
	if j.Part != nil {
		b.proofs = append(b.proofs, j.Part.Known...)
	}
	sort.SliceStable(b.proofs, func(i, k int) bool { return b.proofs[i].Time < b.proofs[k].Time })
	for i := 1; i < len(b.proofs); i++ {
		if b.proofs[i].Ts < b.proofs[i-1].Ts {
			b.proofs[i].Ts, b.proofs[i].Op = b.proofs[i-1].Ts, b.proofs[i-1].Op
		}
	}
	for i := range j.M.log {
		ev := &j.M.log[i]
		if t := j.Txns[ev.TxnID]; t != nil && len(t.attempts) > 0 {
			b.starts = append(b.starts, commitCall{j.firstCall(t), ev.CommitTS, t.attempts[0].ID})
		}
	}
	sort.SliceStable(b.starts, func(i, k int) bool { return b.starts[i].call < b.starts[k].call })
	for i := len(b.starts) - 2; i >= 0; i-- {
		b.starts[i].ts = min(b.starts[i].ts, b.starts[i+1].ts)
	}
}
