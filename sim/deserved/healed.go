package deserved

import (
	"fmt"
	"slices"

	"statehouse.dev/statehouse/history"
)

// Daemon is one that healthy clients ask, after every fault is healed.
type Daemon interface {
	// Ask makes a request and sees it through; a watch until nothing more comes.
	Ask(kind history.Kind, in history.Input) *history.Operation
	// Hear takes what has come meanwhile on a stream, and ends it.
	Hear(watch *history.Operation)
	// FreshTxn is a name that no transaction has.
	FreshTxn() string
	// Fails reports what is not as it must be.
	Fails(op int, sentence string)
}

// When every fault is healed, nothing is left for which a request may be refused. Heal makes one
// of each kind that changes anything, and of those that only read if reads is set, and each must
// succeed. It tries each of so many slots for open transactions; 0: none.
func Heal(d Daemon, slots int, reads bool) {
	h := healing{d}
	h.slots(slots)
	h.writes(reads)
}

type healing struct{ Daemon }

// does makes a request, which must succeed.
func (h healing) does(kind history.Kind, in history.Input) *history.Operation {
	op := h.Ask(kind, in)
	if op.Error != nil {
		h.Fails(op.ID, fmt.Sprintf("a %s is refused (%s: %s)", kind, op.Error.Code, op.Error.Message))
	}
	return op
}

// Healer is the agent that is written to.
const Healer = "healer"

// begin begins a transaction, by a fresh name.
func (h healing) begin() (txn string, ok bool) {
	txn = h.FreshTxn()
	return txn, h.does(history.Begin, history.Input{TxnID: txn}).Outcome == history.OK
}

// fewSlots is how many open transactions can be tried one by one.
const fewSlots = 16

// slots begins as many transactions as there may be, if those are few.
func (h healing) slots(most int) {
	if most <= 0 || most > fewSlots {
		return
	}
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
func (h healing) writes(reads bool) {
	name := history.Name{Namespace: "default", Agent: Healer, Key: "healed"}
	at := history.Input{Namespace: name.Namespace, Agent: name.Agent, Key: name.Key}
	within := func(txn string) history.Input { in := at; in.TxnID = txn; return in }

	version := uint64(0)
	if rs := h.does(history.Get, at).Out.Records; len(rs) > 0 {
		version = rs[0].Version
	}
	id := h.FreshTxn()
	one := h.does(history.Transact, history.Input{
		TxnID: id, Writes: []history.Write{{Name: name, Value: `{"healed":1}`}}, Keys: []history.KeyCondition{{Name: name, Expected: version}},
	})
	first := one.Out.CommitTS
	watch := h.Ask(history.Watch, history.Input{Namespace: name.Namespace, Agent: name.Agent, From: &first})

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

	if !reads {
		return
	}
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
		h.Fails(told.ID, "the outcome of a commit just made is told as "+told.Out.State)
	}
}

// sees holds a watch to showing a commit that was made after it began.
func (h healing) sees(watch *history.Operation, ts uint64) {
	h.Hear(watch)
	shown := slices.ContainsFunc(watch.Batches, func(b history.Batch) bool {
		return slices.ContainsFunc(b.Events, func(ev history.Event) bool { return ev.CommitTS == ts })
	})
	if ts > 0 && !shown {
		h.Fails(watch.ID, fmt.Sprintf("a watch does not see commit %d", ts))
	}
}
