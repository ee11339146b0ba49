package engine_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"pgregory.net/rapid"

	"statehouse.dev/statehouse/engine"
)

// The machine's interactive transactions.

func (m *machine) begin(t *rapid.T) { m.beginOne(t) }

func (m *machine) beginOne(t *rapid.T) engine.TxnID {
	timeout := rapid.SampledFrom([]time.Duration{0, time.Millisecond, 30 * time.Second, time.Hour, 1 << 62}).Draw(t, "timeout")
	ask, granted := &timeout, min(max(timeout, time.Millisecond), time.Hour)
	if rapid.Bool().Draw(t, "default") {
		ask, granted = nil, 30*time.Second
	}
	id, snapshot, got, err := m.w.Begin(ask)
	if err != nil || got != granted {
		t.Fatalf("G9: Begin(%v) granted %v (%v), want %v", ask, got, err, granted)
	}
	if int(snapshot) != m.s.published {
		t.Fatalf("G4: Begin reads at %d, published is %d", snapshot, m.s.published)
	}
	if slices.Contains(m.begun, id) {
		t.Fatalf("G6: Begin answered the id %s twice", id)
	}
	m.begun = append(m.begun, id)
	m.s.open[id] = &specTxn{id: id, snapshot: m.s.published, deadline: m.w.clock.Add(granted),
		reads: map[engine.RecordName]engine.Version{}}
	return id
}

// contend is a whole transaction that reads and writes, while others commit: in
// steps before its own, and in its own step ahead of it.
func (m *machine) contend(t *rapid.T) {
	id := m.beginOne(t)
	for range rapid.IntRange(1, 4).Draw(t, "operations") {
		switch rapid.IntRange(0, 2).Draw(t, "operation") {
		case 0:
			m.txnGetIn(t, id)
		case 1:
			m.txnScanIn(t, id)
		case 2:
			m.stageIn(t, id)
		}
	}
	for range rapid.IntRange(0, 2).Draw(t, "others") {
		m.transact(t)
	}
	m.commitOf(t, id)
}

// drawBegun picks a transaction, mostly one that is open, rarely one that never was.
func (m *machine) drawBegun(t *rapid.T) engine.TxnID {
	if len(m.begun) == 0 {
		t.Skip("none has begun")
	}
	if rapid.IntRange(0, 19).Draw(t, "foreign") == 0 {
		return "01a206db-a9ff-7ce8-9a58-257adfc272ef"
	}
	among := slices.DeleteFunc(slices.Clone(m.begun), func(id engine.TxnID) bool { return m.s.open[id] == nil })
	if len(among) == 0 || rapid.IntRange(0, 4).Draw(t, "any") == 0 {
		among = m.begun
	}
	return rapid.SampledFrom(among).Draw(t, "txn")
}

// over is what a transaction that cannot be used any more answers; nil: it can.
func (m *machine) over(id engine.TxnID) error {
	x, end := m.s.open[id], m.s.ended[id]
	switch {
	case x != nil && x.committing == nil:
		return nil
	case x != nil || m.s.committedAs(id, m.s.published) > 0:
		return engine.ErrTxnCommitted
	case end.err != nil:
		return end.err
	case end.state == engine.TxnCommitted:
		return engine.ErrTxnCommitted
	case end.state == engine.TxnAborted:
		return engine.ErrTxnAborted
	}
	return engine.ErrTxnNotFound
}

func (m *machine) stage(t *rapid.T)   { m.stageIn(t, m.drawBegun(t)) }
func (m *machine) txnGet(t *rapid.T)  { m.txnGetIn(t, m.drawBegun(t)) }
func (m *machine) txnScan(t *rapid.T) { m.txnScanIn(t, m.drawBegun(t)) }
func (m *machine) commit(t *rapid.T)  { m.commitOf(t, m.drawBegun(t)) }

func (m *machine) stageIn(t *rapid.T, id engine.TxnID) {
	w := m.drawWrite(t)
	err, want := m.w.Stage(id, w), m.over(id)
	if !errors.Is(err, want) {
		t.Fatalf("G6: Stage in %s answered %v, want %v", id, err, want)
	}
	if want != nil {
		return
	}
	x := m.s.open[id]
	x.ops = stage(x.ops, w)
	if w.Expected != nil {
		x.expected = append(x.expected, engine.KeyPrecondition{Name: w.Name, Expected: *w.Expected})
	}
}

func (m *machine) txnGetIn(t *rapid.T, id engine.TxnID) {
	n := drawName.Draw(t, "name")
	got, at, err := m.w.TxnGet(id, n)
	if want := m.over(id); !errors.Is(err, want) {
		t.Fatalf("G6: TxnGet in %s answered %v, want %v", id, err, want)
	} else if want != nil {
		return
	}
	x := m.s.open[id]
	n = plainName(n)
	want := m.s.record(n, x.snapshot)
	if i := slices.IndexFunc(x.ops, func(op specOp) bool { return op.name == n }); i >= 0 {
		want = ownRecord(x.ops[i])
	} else {
		x.reads[n] = want.Version
	}
	if recordText(got) != recordText(want) || int(at) != x.snapshot {
		t.Fatalf("G3: TxnGet at %d read\n%s\nnot, at %d,\n%s", at, recordText(got), x.snapshot, recordText(want))
	}
}

// txnScanIn reads an interval of keys in pages.
func (m *machine) txnScanIn(t *rapid.T, id engine.TxnID) {
	o := m.drawScan(t)
	o.After = "" // what lies before a page is read, too, if anybody is to rely on it
	o.Page = engine.Page{Items: rapid.IntRange(0, 3).Draw(t, "items")}
	for range rapid.IntRange(1, 3).Draw(t, "pages") {
		got, more, at, err := m.w.TxnScan(context.Background(), id, o)
		if want := m.over(id); !errors.Is(err, want) {
			t.Fatalf("G6: TxnScan in %s answered %v, want %v", id, err, want)
		} else if want != nil {
			return
		}
		x := m.s.open[id]
		want := m.s.scan(o, x.snapshot, x.ops)
		m.samePage(t, fmt.Sprintf("G3: TxnScan %+v at %d", o, at), o, got, more, want)
		if int(at) != x.snapshot {
			t.Fatalf("G3: TxnScan reads at %d, the transaction began at %d", at, x.snapshot)
		}
		r := specRange{agent: agentOf(o), prefix: o.Prefix, first: o.After}
		if more {
			r.last = got[len(got)-1].Name.Key
		}
		if o.Reverse {
			r.first, r.last = r.last, r.first
		}
		x.ranges = append(x.ranges, r)
		if !more {
			return
		}
		o.After = got[len(got)-1].Name.Key
	}
}

func agentOf(o engine.ScanOptions) engine.AgentName {
	return plainName(engine.RecordName{Namespace: o.Agent.Namespace, Agent: o.Agent.Agent}).AgentName()
}

func (m *machine) commitOf(t *rapid.T, id engine.TxnID) {
	patient := rapid.IntRange(0, 2).Draw(t, "patience") > 0
	var c engine.Conditions
	if rapid.IntRange(0, 2).Draw(t, "conditions") == 0 {
		c = m.drawConditions(t)
	}
	call := func() (engine.CommitResult, error) { return m.w.Commit(context.Background(), id, c) }
	what := fmt.Sprintf("Commit %s %+v", id, c)
	x := m.s.open[id]
	if p := m.underWay(id); p != nil && m.s.committedAs(id, m.s.published) == 0 {
		what += ", which a Transact has under way"
		if !patient {
			m.submitted(t, what, p, false, call)
			return
		}
		r, err := call()
		m.stepped()
		m.same(t, "G6", what, r, err, m.commitOver(id))
		return
	}
	if x == nil {
		r, err := call()
		m.same(t, "G6", what+", which is over", r, err, m.commitOver(id))
		return
	}
	if x.committing == nil { // of two Commits the first one's conditions count
		x.committing = newSpecProposal(id, x.ops, x.expected, c)
		x.committing.txn = x
		if p := x.committing; len(x.ops)+len(p.conditions.Keys)+len(p.conditions.Heads) == 0 {
			// It only read, all of it at its snapshot.
			want := specAnswer{state: engine.TxnCommitted, result: m.s.result(x.snapshot)}
			want.result.Versions = nil
			r, err := call()
			m.same(t, "G3", what+", which only read", r, err, want)
			m.s.end(id, want)
			return
		}
		m.s.queue = append(m.s.queue, x.committing)
	}
	m.submitted(t, what, x.committing, patient, call)
}

// underWay is the first Transact that is queued under an id of which nothing else is
// known: a crash has taken the transaction, and a client uses its id again.
func (m *machine) underWay(id engine.TxnID) *specProposal {
	i := slices.IndexFunc(m.s.queue, func(p *specProposal) bool { return p.id == id })
	if _, ended := m.s.ended[id]; i < 0 || ended || m.s.open[id] != nil {
		return nil
	}
	return m.s.queue[i]
}

// commitOver is what a Commit of a transaction is told that is over.
func (m *machine) commitOver(id engine.TxnID) specAnswer {
	if ts := m.s.committedAs(id, m.s.published); ts > 0 {
		return specAnswer{result: m.s.result(ts)}
	}
	if end := m.s.ended[id]; end.state == engine.TxnCommitted {
		return end
	}
	return specAnswer{err: m.over(id)}
}

func (m *machine) abort(t *rapid.T) {
	id, patient := m.drawBegun(t), rapid.Bool().Draw(t, "patience")
	x := m.s.open[id]
	call := func() error { return m.w.Abort(context.Background(), id) }
	p := m.underWay(id)
	if x != nil {
		p = x.committing
	}
	if p != nil && !patient {
		if err := m.w.abandon(call); !errors.Is(err, engine.ErrOutcomeUnknown) {
			t.Fatalf("G6: Abort of %s, which is committing, gave up and was answered %v", id, err)
		}
		return
	}
	err := call()
	var want error
	switch {
	case p != nil:
		m.stepped()
		if p.answer.err == nil || m.s.committedAs(id, m.s.published) > 0 {
			want = engine.ErrTxnCommitted
		}
	case x != nil:
		m.s.end(id, specAnswer{state: engine.TxnAborted})
	case errors.Is(m.over(id), engine.ErrTxnCommitted):
		want = engine.ErrTxnCommitted
	}
	if !errors.Is(err, want) {
		t.Fatalf("G6: Abort of %s answered %v, want %v", id, err, want)
	}
}
