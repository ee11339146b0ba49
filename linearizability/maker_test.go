package linearizability

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
)

// maker makes histories that are right: a store of a few lines, and clients whose
// operations overlap. Each takes effect at one moment between its call and its return.
type maker struct {
	rng     *rand.Rand
	h       History
	now     int64
	keys    map[Name][]Record // versions, oldest first
	pending map[string]*Operation
	done    map[string]bool // its pending operation has taken effect
	lost    int             // answers still to be lost
	txns    []string
}

const makerAgent = "a"

func makeHistory(seed uint64, operations, lost int) *History {
	m := &maker{
		rng: rand.New(rand.NewPCG(seed, 1)), keys: make(map[Name][]Record), lost: lost,
		pending: make(map[string]*Operation), done: make(map[string]bool),
	}
	m.h.Header = Header{Format: Format, Version: Version, Unit: "step"}
	for len(m.h.Operations) < operations || len(m.pending) > 0 {
		m.step(fmt.Sprint("c", m.rng.IntN(6)), len(m.h.Operations) < operations)
	}
	m.h.Complete = true
	return &m.h
}

// step lets one client call, or its operation take effect, or it return.
func (m *maker) step(client string, more bool) {
	m.now++
	op := m.pending[client]
	switch {
	case op == nil && more:
		op = &Operation{ID: len(m.h.Operations) + 1, Client: client, Call: m.now, Outcome: Unknown, In: Input{Namespace: "ns", Agent: makerAgent}}
		m.draw(op)
		m.h.Operations = append(m.h.Operations, op)
		m.pending[client], m.done[client] = op, false
	case op == nil:
	case !m.done[client]:
		m.effect(op)
		m.done[client] = true
	default:
		delete(m.pending, client)
		if m.lost > 0 && op.Kind == Transact && m.rng.IntN(4) == 0 {
			m.lost--
			op.Out, op.Error, op.Outcome = Output{}, nil, Unknown
			return
		}
		op.Return = m.now
		for i := range op.Batches {
			op.Batches[i].Time = m.now
		}
	}
}

func (m *maker) key() string { return fmt.Sprint("k", m.rng.IntN(8)) }

func (m *maker) draw(op *Operation) {
	in := &op.In
	switch m.rng.IntN(12) {
	case 0, 1, 2, 3:
		op.Kind = Transact
		in.TxnID = fmt.Sprint("t", op.ID)
		in.Metadata = map[string]string{"by": op.Client}
		m.txns = append(m.txns, in.TxnID)
		for i := range 1 + m.rng.IntN(2) {
			w := Write{Name: Name{"ns", makerAgent, fmt.Sprint("k", (m.rng.IntN(4)*2 + i))}, Value: fmt.Sprintf(`{"n":%d}`, op.ID)}
			if w.Delete = m.rng.IntN(4) == 0; w.Delete {
				w.Value = ""
			}
			if m.rng.IntN(3) == 0 {
				v := uint64(len(m.keys[w.Name]))
				w.Expected = &v
			}
			in.Writes = append(in.Writes, w)
		}
		in.Agent = ""
	case 4, 5, 6:
		op.Kind, in.Key = Get, m.key()
	case 7:
		op.Kind = BatchGet
		in.Names = []Name{{"ns", makerAgent, "k0"}, {"ns", makerAgent, "k1"}}
	case 8:
		op.Kind = Scan
	case 9:
		op.Kind, in.Key = KeyHistory, m.key()
	case 10:
		op.Kind = Replay
	default:
		op.Kind, in.TxnID = GetTxn, "t0"
		if n := len(m.txns); n > 0 {
			in.TxnID = m.txns[m.rng.IntN(n)]
		}
	}
}

func (m *maker) head() uint64 { return uint64(len(m.h.Log)) }

func (m *maker) last(n Name) Record {
	if vs := m.keys[n]; len(vs) > 0 {
		r := vs[len(vs)-1]
		r.TxnID, r.Metadata = "", nil // of a history only
		return r
	}
	return Record{Name: n}
}

func (m *maker) effect(op *Operation) {
	op.Outcome = OK
	out := &op.Out
	switch op.Kind {
	case Transact:
		m.commit(op)
	case Get:
		out.ReadTS, out.Records = m.head(), []Record{m.last(op.In.name())}
	case BatchGet:
		out.ReadTS = m.head()
		for _, n := range op.In.Names {
			out.Records = append(out.Records, m.last(n))
		}
	case Scan:
		out.ReadTS = m.head()
		for _, n := range slices.SortedFunc(maps.Keys(m.keys), compareNames) {
			if r := m.last(n); r.Exists {
				out.Records = append(out.Records, r)
			}
		}
	case KeyHistory:
		out.Records = slices.Clone(m.keys[op.In.name()])
		slices.Reverse(out.Records)
	case Replay:
		op.Batches = []Batch{{Events: slices.Clone(m.h.Log), Cursor: m.head()}}
	case GetTxn:
		out.State = "never_seen"
		for i := range m.h.Log {
			if ev := &m.h.Log[i]; ev.TxnID == op.In.TxnID {
				out.State, out.CommitTS, out.CommitTime = "committed", ev.CommitTS, ev.CommitTime
				for _, o := range ev.Ops {
					out.Versions = append(out.Versions, KeyVersion{o.Name, o.Version})
				}
			}
		}
	}
}

func (m *maker) commit(op *Operation) {
	for _, w := range op.In.Writes {
		if r := m.last(w.Name); w.Expected != nil && *w.Expected != r.Version && (*w.Expected != 0 || r.Exists) {
			op.Outcome, op.Error = Fail, &Refusal{Code: "PRECONDITION_FAILED", Details: map[string]string{
				"namespace": w.Namespace, "agent_id": w.Agent, "key": w.Key,
				"expected_version": fmt.Sprint(*w.Expected), "current_version": fmt.Sprint(r.Version),
			}}
			return
		}
	}
	ev := Event{CommitTS: m.head() + 1, CommitTime: 1000 + m.now, TxnID: op.In.TxnID, Metadata: op.In.Metadata}
	op.Out = Output{CommitTS: ev.CommitTS, CommitTime: ev.CommitTime}
	for _, w := range op.In.Writes {
		r := Record{Name: w.Name, Exists: !w.Delete, Version: uint64(len(m.keys[w.Name])) + 1, CommitTS: ev.CommitTS, CommitTime: ev.CommitTime,
			Value: w.Value, TxnID: ev.TxnID, Metadata: ev.Metadata}
		m.keys[w.Name] = append(m.keys[w.Name], r)
		ev.Ops = append(ev.Ops, EventOp{Name: w.Name, Version: r.Version, Delete: w.Delete, Value: w.Value})
		op.Out.Versions = append(op.Out.Versions, KeyVersion{w.Name, r.Version})
	}
	m.h.Log = append(m.h.Log, ev)
}

// findings names what a result found, for messages.
func findings(r Result) string {
	var list []string
	for _, v := range r.Violations {
		list = append(list, v.Promise+" "+v.Check+": "+v.Sentence)
	}
	return strings.Join(list[:min(len(list), 3)], "\n")
}
