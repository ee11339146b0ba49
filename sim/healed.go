package sim

import (
	"context"
	"fmt"
	"slices"
	"time"

	"statehouse.dev/statehouse/history"
	pb "statehouse.dev/statehouse/proto/statehouse/v1"
	"statehouse.dev/statehouse/sim/step"
)

// When every fault is healed, nothing is left for which a request may be refused. So one of each
// kind is made, and must succeed: in the process that has seen the faults, and in the next one.

// healed makes one request of every kind. What it does is in the history, and is judged with
// the rest.
func (w *World) healed(when string) {
	if w.process == nil || w.machine.pristine != nil || w.reasons.misreads > w.reasons.misreadsBefore {
		return // a process that has met corrupt data writes nothing more
	}
	h := &healing{w: w, when: when}
	operations, acked := w.rec.stats.Operations, w.rec.stats.Acked
	h.slots()
	h.writes()
	h.status()
	w.rec.stats.Operations, w.rec.stats.Acked = operations, acked // they say what the run did
}

type healing struct {
	w    *World
	when string
}

// does makes a request, which must succeed.
func (h *healing) does(kind history.Kind, in history.Input) *history.Operation {
	c, err := h.w.issue(Observer, h.w.network.nextID(), kind, in)
	if err != nil {
		return &history.Operation{}
	}
	if h.w.carryThrough(c); c.done && c.op.Outcome != history.OK {
		h.fails(c.op.ID, fmt.Sprintf("a %s is refused (%s: %s)", kind, c.op.Error.Code, c.op.Error.Message))
	}
	return c.op
}

func (h *healing) fails(op int, sentence string) {
	h.w.rec.violate("G9", "not-healed", op, "every fault is healed, yet "+h.when+" "+sentence)
}

// begin begins a transaction, by a fresh name.
func (h *healing) begin() (txn string, ok bool) {
	txn = h.w.FreshTxn()
	return txn, h.does(history.Begin, history.Input{TxnID: txn}).Outcome == history.OK
}

// fewSlots is how many open transactions can be tried one by one.
const fewSlots = 16

// slots lets every transaction expire, and begins as many as there may be, if those are few.
func (h *healing) slots() {
	most := h.w.config.limits().OpenTxns
	if most == 0 || most > fewSlots {
		return
	}
	_ = h.w.Apply(step.Step{Verb: step.Advance, Duration: 31 * time.Second})
	var open []string
	for range most {
		if txn, ok := h.begin(); ok {
			open = append(open, txn)
		}
	}
	for _, txn := range open {
		h.does(history.Abort, history.Input{TxnID: txn})
	}
}

// writes commits in each way that there is, and reads what that came to in each way.
func (h *healing) writes() {
	name := history.Name{Namespace: "default", Agent: Observer, Key: "healed"}
	at := history.Input{Namespace: name.Namespace, Agent: name.Agent, Key: name.Key}
	within := func(txn string) history.Input { in := at; in.TxnID = txn; return in }

	version := uint64(0)
	if rs := h.does(history.Get, at).Out.Records; len(rs) > 0 {
		version = rs[0].Version
	}
	id := h.w.FreshTxn()
	one := h.does(history.Transact, history.Input{
		TxnID: id, Writes: []history.Write{{Name: name, Value: `{"healed":1}`}}, Keys: []history.KeyCondition{{Name: name, Expected: version}},
	})
	first := one.Out.CommitTS
	watch, err := h.w.issue(Observer, h.w.network.nextID(), history.Watch, history.Input{Namespace: name.Namespace, Agent: name.Agent, From: &first})
	if err != nil {
		return
	}
	h.w.carryThrough(watch)

	txn, _ := h.begin()
	h.does(history.Get, within(txn))
	h.does(history.Scan, history.Input{Namespace: name.Namespace, Agent: name.Agent, TxnID: txn})
	staged := within(txn)
	staged.Value = `{"healed":2}`
	h.does(history.StageWrite, staged)
	two := h.does(history.Commit, history.Input{TxnID: txn, Heads: []history.HeadCondition{{Namespace: name.Namespace, Agent: name.Agent, Expected: first}}})
	if txn, ok := h.begin(); ok {
		h.does(history.StageDelete, within(txn))
		h.does(history.Abort, history.Input{TxnID: txn})
	}
	h.sees(watch, two.Out.CommitTS)

	past, old := at, at
	past.At, old.KeyVersion = &first, version+1
	h.does(history.Get, past)
	h.does(history.GetVersion, old)
	h.does(history.KeyHistory, at)
	h.does(history.BatchGet, history.Input{Names: []history.Name{name}})
	h.does(history.ListKeys, history.Input{Namespace: name.Namespace, Agent: name.Agent})
	h.does(history.ListAgents, history.Input{Namespace: name.Namespace})
	h.does(history.ListSpaces, history.Input{})
	h.does(history.Replay, history.Input{Namespace: name.Namespace, Agent: name.Agent})
	if told := h.does(history.GetTxn, history.Input{TxnID: id}); one.Outcome == history.OK && told.Outcome == history.OK && told.Out.State != "committed" {
		h.fails(told.ID, "the outcome of a commit just made is told as "+told.Out.State)
	}
}

// sees holds a watch to showing a commit that was made after it began.
func (h *healing) sees(watch *Call, ts uint64) {
	h.w.carryThrough(watch)
	shown := slices.ContainsFunc(watch.op.Batches, func(b history.Batch) bool {
		return slices.ContainsFunc(b.Events, func(ev history.Event) bool { return ev.CommitTS == ts })
	})
	if ts > 0 && !shown {
		h.fails(watch.op.ID, fmt.Sprintf("a watch does not see commit %d", ts))
	}
	if !watch.done {
		_ = h.w.Apply(step.Step{Verb: step.Timeout, Of: watch.op.ID})
	}
}

// status asks the daemon for its own view: it must refuse no writes, and count no transaction
// that no client can have open.
func (h *healing) status() {
	p := h.w.process
	if p == nil {
		return
	}
	for i := range p.desc.Methods {
		m := &p.desc.Methods[i]
		if m.MethodName != "GetStatus" {
			continue
		}
		resp, err := m.Handler(p.impl, context.Background(), func(any) error { return nil }, p.service.Unary)
		st, ok := resp.(*pb.GetStatusResponse)
		switch most, least := h.w.openTxns(); {
		case err != nil || !ok:
			h.fails(0, fmt.Sprintf("the status is refused (%v)", err))
		case st.GetWritesRefused() != "":
			h.fails(0, "writes are refused, as the status says: "+st.GetWritesRefused())
		case st.GetOpenTransactions() > uint64(most) || st.GetOpenTransactions() < uint64(least):
			h.fails(0, fmt.Sprintf("the status counts %d open transactions, where %d to %d can be", st.GetOpenTransactions(), least, most))
		}
	}
}
