package engine_test

import (
	"context"
	"errors"
	"fmt"

	"pgregory.net/rapid"

	"statehouse.dev/statehouse/engine"
)

// The machine's writes: Transact, alone and in crowds, and sent again.

// sentTxn is a Transact as the client sent it.
type sentTxn struct {
	id     engine.TxnID
	writes []engine.Write
	cond   engine.Conditions
}

func (m *machine) drawWrite(t *rapid.T) engine.Write {
	w := engine.Write{Name: drawName.Draw(t, "name"), Tombstone: rapid.IntRange(0, 3).Draw(t, "delete") == 0}
	if !w.Tombstone {
		m.n++
		w.Value = fmt.Appendf(nil, `{"n":%d}`, m.n)
	}
	if rapid.IntRange(0, 3).Draw(t, "expects") == 0 {
		v := m.drawVersion(t, w.Name)
		w.Expected = &v
	}
	return w
}

// drawVersion is mostly the version that the key is at once the queue is done.
func (m *machine) drawVersion(t *rapid.T, n engine.RecordName) engine.Version {
	right := m.s.record(plainName(n), len(m.s.log)).Version
	switch rapid.IntRange(0, 5).Draw(t, "expected") {
	case 0:
		return right + 1
	case 1:
		return right - min(right, 1)
	case 2:
		return 0
	}
	return right
}

func (m *machine) drawConditions(t *rapid.T) (c engine.Conditions) {
	for range rapid.SampledFrom([]int{0, 0, 0, 1, 2}).Draw(t, "key conditions") {
		n := drawName.Draw(t, "name")
		c.Keys = append(c.Keys, engine.KeyPrecondition{Name: n, Expected: m.drawVersion(t, n)})
	}
	for range rapid.SampledFrom([]int{0, 0, 0, 1}).Draw(t, "head conditions") {
		a := drawAgent.Draw(t, "agent")
		head := m.s.head(plainName(engine.RecordName{Namespace: a.Namespace, Agent: a.Agent}).AgentName(), len(m.s.log))
		if rapid.IntRange(0, 3).Draw(t, "wrong") == 0 {
			head++
		}
		c.Heads = append(c.Heads, engine.HeadPrecondition{Agent: a, Expected: head})
	}
	if rapid.Bool().Draw(t, "metadata") {
		m.n++
		c.Metadata = map[string]string{"actor": "model", "run_id": fmt.Sprint(m.n)}
	}
	return c
}

func (m *machine) drawTransact(t *rapid.T) sentTxn {
	x := sentTxn{id: m.freshID(t)}
	for range rapid.IntRange(0, 4).Draw(t, "writes") {
		x.writes = append(x.writes, m.drawWrite(t))
	}
	x.cond = m.drawConditions(t)
	m.drawReads(t, &x.cond)
	if len(x.writes) == 0 && len(x.cond.Keys) == 0 && len(x.cond.Heads) == 0 && x.cond.Reads == nil {
		x.writes = append(x.writes, m.drawWrite(t))
	}
	return x
}

func (m *machine) transact(t *rapid.T) {
	m.send(t, m.drawTransact(t), rapid.IntRange(0, 3).Draw(t, "patience") > 0)
}

// burst puts several commits of one record into one step.
func (m *machine) burst(t *rapid.T) {
	n := rapid.IntRange(2, 12).Draw(t, "commits")
	for i := range n {
		m.n++
		w := engine.Write{Name: engine.RecordName{Agent: "a", Key: "k"}, Value: fmt.Appendf(nil, `{"n":%d}`, m.n)}
		m.send(t, sentTxn{id: m.freshID(t), writes: []engine.Write{w}}, i == n-1)
	}
}

// retry sends again what was sent, the same or something else under its id, or
// something under the id of an interactive transaction.
func (m *machine) retry(t *rapid.T) {
	if len(m.sent) == 0 {
		t.Skip("nothing was sent")
	}
	x := rapid.SampledFrom(m.sent).Draw(t, "again")
	switch rapid.IntRange(0, 4).Draw(t, "how") {
	case 0:
		other := m.drawTransact(t)
		x.writes, x.cond = other.writes, other.cond
	case 1:
		if len(m.begun) > 0 {
			x.id = rapid.SampledFrom(m.begun).Draw(t, "begun id")
		}
	}
	x.cond.Metadata = nil // it is not part of what is asked for
	m.send(t, x, rapid.Bool().Draw(t, "patience"))
}

// send calls Transact and compares the answer, or what it left in the queue.
func (m *machine) send(t *rapid.T, x sentTxn, patient bool) {
	m.sent = append(m.sent, x)
	var ops []specOp
	var expected []engine.KeyPrecondition
	for _, w := range x.writes {
		ops = stage(ops, w)
		if w.Expected != nil {
			expected = append(expected, engine.KeyPrecondition{Name: w.Name, Expected: *w.Expected})
		}
	}
	p := newSpecProposal(x.id, ops, expected, x.cond)
	p.says = says(&x.cond, m.w.clock)
	call := func() (engine.CommitResult, error) {
		return m.w.Transact(context.Background(), x.id, x.writes, x.cond)
	}
	if open := m.s.open[x.id]; open != nil && open.committing != nil {
		m.sendBehind(t, p, patient, call)
		return
	}
	if end, ended := m.s.ended[x.id]; m.s.open[x.id] != nil || ended && end.intent == "" {
		r, err := call()
		m.same(t, "G6", "Transact under an id that Begin made", r, err, specAnswer{err: engine.ErrTxnIDReused})
		return
	}
	m.s.queue = append(m.s.queue, p)
	m.submitted(t, fmt.Sprintf("Transact %s %+v", x.id, p.intent), p, patient, call)
}

// sendBehind is send under the id of an interactive transaction that is committing: its
// commit is waited for, and then p is compared with it, or refused.
func (m *machine) sendBehind(t *rapid.T, p *specProposal, patient bool, call func() (engine.CommitResult, error)) {
	what := fmt.Sprintf("Transact under %s, which is committing", p.id)
	if !patient {
		if err := m.w.abandon(func() error { _, err := call(); return err }); !errors.Is(err, engine.ErrOutcomeUnknown) {
			t.Fatalf("G6: %s, gave up and was answered %v", what, err)
		}
		return
	}
	r, err := call()
	m.stepped()
	if m.s.committedAs(p.id, m.s.published) == 0 {
		m.same(t, "G6", what, r, err, specAnswer{err: engine.ErrTxnIDReused})
		return
	}
	m.s.queue = append(m.s.queue, p)
	m.stepped()
	m.same(t, "G6", what, r, err, p.answer)
}

// submitted runs a call that leaves p with the writer. A patient one is answered.
func (m *machine) submitted(t *rapid.T, what string, p *specProposal, patient bool, call func() (engine.CommitResult, error)) {
	if !patient {
		if err := m.w.abandon(func() error { _, err := call(); return err }); !errors.Is(err, engine.ErrOutcomeUnknown) {
			t.Fatalf("G6: %s gave up and was answered %v, not that its outcome is unknown", what, err)
		}
		return
	}
	r, err := call()
	m.stepped()
	m.same(t, "G3, G6", what, r, err, p.answer)
}

// same compares an answer with what the spec decided.
func (m *machine) same(t *rapid.T, promise, what string, r engine.CommitResult, err error, want specAnswer) {
	t.Helper()
	if !errors.Is(err, want.err) {
		t.Fatalf("%s: %s\nanswered %v\nnot      %v", promise, what, err, want.err)
	}
	if got, want := resultText(r), resultText(want.result); got != want {
		t.Fatalf("%s: %s\nanswered %s\nnot      %s", promise, what, got, want)
	}
}
