package linearizability

import (
	"cmp"
	"fmt"
	"hash/maphash"

	"statehouse.dev/statehouse/history"
	"statehouse.dev/statehouse/linearizability/verdict"
)

// finished is what is remembered of the finished transactions of a long history: how they
// ended. Of millions only the last ones, so that memory is bounded.
type finished struct {
	young, old map[[2]uint64]end
	limit      int  // of each
	forgot     bool // some, so that nothing is known of an id that is not here
	seeds      [2]maphash.Seed
}

// end is how a transaction ended. It has no place in the log (0) if it was aborted or
// refused, wrote nothing, or never arrived.
type end struct {
	commitTS uint64
	how      string // it ended otherwise, as a client was told: aborted, or the code of a refusal
}

func newFinished(limit int) *finished {
	return &finished{young: make(map[[2]uint64]end), limit: limit, seeds: [2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()}}
}

// hash stands for an id. That two ids do not differ in 128 bits is not to be expected.
func (f *finished) hash(id string) [2]uint64 {
	return [2]uint64{maphash.String(f.seeds[0], id), maphash.String(f.seeds[1], id)}
}

func (f *finished) get(id string) (end, bool) {
	h := f.hash(id)
	e, known := f.young[h]
	if !known {
		e, known = f.old[h]
	}
	return e, known
}

func (f *finished) put(id string, e end) {
	before, _ := f.get(id)
	e = end{cmp.Or(e.commitTS, before.commitTS), cmp.Or(e.how, before.how)}
	if len(f.young) >= f.limit {
		f.forgot = f.forgot || len(f.old) > 0
		f.old, f.young = f.young, make(map[[2]uint64]end, f.limit)
	}
	f.young[f.hash(id)] = e
}

// asked reports whether requests may have been made in a transaction that are not at hand.
func (f *finished) asked(id string) bool {
	_, known := f.get(id)
	return known || f.forgot
}

// checkEnd compares an answer about a transaction of which the section has no commit with how
// it ended. base is where the section begins.
func (l *long) checkEnd(op *history.Operation, base uint64) {
	ended, _ := l.finished.get(op.In.TxnID)
	attempt, told := op.Kind == history.Commit || op.Kind == history.Transact, op.Out.CommitTS
	breaks := func(guarantee, check, expected, got, format string, args ...any) {
		l.result.Violations = append(l.result.Violations, verdict.Violation{
			Guarantee: guarantee, Check: check, Op: op.ID, CommitTS: told, Time: op.Return,
			Sentence: fmt.Sprintf("#%d %s of %s: ", op.ID, op.Kind, op.Client) + fmt.Sprintf(format, args...), Expected: expected, Got: got,
		})
	}
	began := uint64(0)
	if b := l.index.Header.Base; b != nil {
		began = b.CommitTS
	}
	switch ok, at := op.Outcome == history.OK, ended.commitTS; {
	case at == 0 && ok && len(op.Out.Versions) > 0 && told > began && told <= base && !l.finished.forgot:
		// What wrote something is in the log, unless it was before that begins.
		breaks("G1", "acked-commit-lost", fmt.Sprintf("commit %d", told), "nothing in the log", "transaction %s was acknowledged as commit %d, and is not in the log", op.In.TxnID, told)
	case at == 0:
	case ok && attempt && told != at:
		breaks("G6", "answer-differs", "", "", "transaction %s was acknowledged as commit %d, and is commit %d in the log", op.In.TxnID, told, at)
	case ok && op.Kind == history.Abort:
		breaks("G6", "aborted-but-applied", "", "", "transaction %s was aborted, and is in the log as commit %d", op.In.TxnID, at)
	case ok && op.Kind == history.GetTxn && op.Out.State != "too_old" && (op.Out.State != "committed" || told != at):
		breaks("G6", "outcome-differs", "", op.Out.State, "it was told another outcome than commit %d, which the log has", at)
	case attempt && refused(op) != "":
		breaks("G6", "refused-but-applied", "", op.Error.Code, "it was refused (%s), and transaction %s is in the log as commit %d", op.Error.Code, op.In.TxnID, at)
	}
}

// refused is the code of a refusal that ends the transaction of a commit; "": it was not
// refused, or for the sake of the one request.
func refused(op *history.Operation) string {
	if op.Outcome != history.Fail || op.Error == nil {
		return ""
	}
	switch op.Error.Code {
	case "CONFLICT", "PRECONDITION_FAILED", "TXN_NOT_FOUND", "TXN_EXPIRED", "TXN_ABORTED", "INVALID_REQUEST", "LEASE_HELD", "LEASE_LOST", "EVALUATION_FAILED":
		return op.Error.Code
	}
	return ""
}

// standing is the state of a transaction as one section shows it.
type standing struct {
	id                  string
	begun, asked, acked bool
	told                bool // a client was told that it has ended
	as                  end
}

// standingsOf gathers the transactions of a section.
func standingsOf(h *history.History) map[string]*standing {
	txns := make(map[string]*standing)
	for _, op := range h.Operations {
		id := txnOf(op)
		if id == "" {
			continue
		}
		t := txns[id]
		if t == nil {
			t = &standing{id: id}
			txns[id] = t
		}
		t.add(op)
	}
	for i := range h.Log {
		if t := txns[h.Log[i].TxnID]; t != nil {
			t.as.commitTS = h.Log[i].CommitTS
		}
	}
	return txns
}

// txnOf is the transaction that an operation is of, or began; "": none.
func txnOf(op *history.Operation) string {
	if op.Kind == history.Begin {
		return op.Out.TxnID
	}
	return op.In.TxnID
}

func (t *standing) add(op *history.Operation) {
	ok := op.Outcome == history.OK
	switch op.Kind {
	case history.Begin:
		t.begun = t.begun || ok
	case history.Commit, history.Transact:
		t.asked, t.acked = true, t.acked || ok
		t.as.how = cmp.Or(t.as.how, refused(op))
	case history.Abort:
		if ok {
			t.as.how = cmp.Or(t.as.how, "aborted")
		}
	case history.GetTxn:
		t.told = t.told || ok && (op.Out.State == "committed" || op.Out.State == "aborted" || op.Out.State == "expired")
	default:
		t.told = t.told || op.Error != nil && (op.Error.Code == "TXN_EXPIRED" || op.Error.Code == "TXN_ABORTED")
	}
}

// end reports whether a transaction has ended, as far as is known, and how. A
// transaction of which a section has neither the begin nor an attempt to commit is left to the
// sections before it.
func (t *standing) end(f *finished) (end, bool) {
	switch {
	case t.as.commitTS > 0:
		return end{commitTS: t.as.commitTS}, true
	case t.as.how != "":
		return t.as, true
	}
	before, known := f.get(t.id)
	return before, known || t.acked || t.told && t.begun || !t.begun && !t.asked
}
