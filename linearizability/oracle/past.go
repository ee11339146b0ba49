package oracle

import (
	"hash/maphash"

	"statehouse.dev/statehouse/history"
)

// pastTxns is what is remembered of the transactions of a long history that are over:
// where they are in the log. Of millions only the last ones, so that memory is bounded.
type PastTxns struct {
	young, old map[[2]uint64]PastTxn
	limit      int  // of each
	Forgot     bool // some, so that of an id that is not here nothing is known
	seeds      [2]maphash.Seed
}

// pastTxn has no place in the log (0) if it was aborted or refused, wrote nothing, or
// never arrived.
type PastTxn struct {
	Ts    uint64
	Ended string // how it ended otherwise, as somebody was told: aborted, or the code of a refusal
}

func NewPast(limit int) *PastTxns {
	return &PastTxns{young: make(map[[2]uint64]PastTxn), limit: limit, seeds: [2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()}}
}

// hash stands for an id: two that differ in it are two, and that two ids do not differ
// in 128 bits is not to be expected.
func (p *PastTxns) hash(id string) [2]uint64 {
	return [2]uint64{maphash.String(p.seeds[0], id), maphash.String(p.seeds[1], id)}
}

func (p *PastTxns) Get(id string) (PastTxn, bool) {
	h := p.hash(id)
	t, known := p.young[h]
	if !known {
		t, known = p.old[h]
	}
	return t, known
}

func (p *PastTxns) Put(id string, t PastTxn) {
	before, _ := p.Get(id)
	if t.Ts == 0 {
		t.Ts = before.Ts
	}
	if t.Ended == "" {
		t.Ended = before.Ended
	}
	if len(p.young) >= p.limit {
		p.Forgot = p.Forgot || len(p.old) > 0
		p.old, p.young = p.young, make(map[[2]uint64]PastTxn, p.limit)
	}
	p.young[p.hash(id)] = t
}

// hides tells whether requests may have been made under an id that are not at hand.
func (p *PastTxns) Hides(id string) bool {
	_, known := p.Get(id)
	return known || p.Forgot
}

// check compares an answer about a transaction that is over with what became of it.
func (j *Judge) CheckPast(op *history.Operation, p PastTxn) {
	told := op.Out.CommitTS
	switch {
	case p.Ts == 0:
	case op.Outcome == history.OK && (op.Kind == history.Commit || op.Kind == history.Transact) && told != p.Ts:
		j.Breaks(op, "G6", "answer-differs", "", "", "transaction %s was acknowledged as commit %d, and is commit %d in the log", op.In.TxnID, told, p.Ts)
	case op.Outcome == history.OK && op.Kind == history.Abort:
		j.Breaks(op, "G6", "aborted-but-applied", "", "", "transaction %s was aborted, and is in the log as commit %d", op.In.TxnID, p.Ts)
	case op.Outcome == history.OK && op.Kind == history.GetTxn && op.Out.State != "too_old" && (op.Out.State != "committed" || told != p.Ts):
		j.Breaks(op, "G6", "outcome-differs", "", op.Out.State, "it was told another outcome than commit %d, which the log has", p.Ts)
	case op.Outcome == history.Fail && (op.Kind == history.Commit || op.Kind == history.Transact) && op.Error != nil && decides(op.Error):
		j.Breaks(op, "G6", "refused-but-applied", "", op.Error.Code, "it was refused (%s), and transaction %s is in the log as commit %d", op.Error.Code, op.In.TxnID, p.Ts)
	}
}
