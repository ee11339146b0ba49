package linearizability

import "hash/maphash"

// pastTxns is what is remembered of the transactions of a long history that are over:
// where they are in the log. Of millions only the last ones, so that memory is bounded.
type pastTxns struct {
	young, old map[[2]uint64]pastTxn
	limit      int  // of each
	forgot     bool // some, so that of an id that is not here nothing is known
	seeds      [2]maphash.Seed
}

// pastTxn has no place in the log (0) if it was aborted or refused, wrote nothing, or
// never arrived.
type pastTxn struct {
	ts    uint64
	ended string // how it ended otherwise, as somebody was told: aborted, or the code of a refusal
}

func newPast(limit int) *pastTxns {
	return &pastTxns{young: make(map[[2]uint64]pastTxn), limit: limit, seeds: [2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()}}
}

// hash stands for an id: two that differ in it are two, and that two ids do not differ
// in 128 bits is not to be expected.
func (p *pastTxns) hash(id string) [2]uint64 {
	return [2]uint64{maphash.String(p.seeds[0], id), maphash.String(p.seeds[1], id)}
}

func (p *pastTxns) get(id string) (pastTxn, bool) {
	h := p.hash(id)
	t, known := p.young[h]
	if !known {
		t, known = p.old[h]
	}
	return t, known
}

func (p *pastTxns) put(id string, t pastTxn) {
	before, _ := p.get(id)
	if t.ts == 0 {
		t.ts = before.ts
	}
	if t.ended == "" {
		t.ended = before.ended
	}
	if len(p.young) >= p.limit {
		p.forgot = p.forgot || len(p.old) > 0
		p.old, p.young = p.young, make(map[[2]uint64]pastTxn, p.limit)
	}
	p.young[p.hash(id)] = t
}

// hides tells whether requests may have been made under an id that are not at hand.
func (p *pastTxns) hides(id string) bool {
	_, known := p.get(id)
	return known || p.forgot
}

// check compares an answer about a transaction that is over with what became of it.
func (j *judge) checkPast(op *Operation, p pastTxn) {
	told := op.Out.CommitTS
	switch {
	case p.ts == 0:
	case op.Outcome == OK && (op.Kind == Commit || op.Kind == Transact) && told != p.ts:
		j.breaks(op, "G6", "answer-differs", "", "", "transaction %s was acknowledged as commit %d, and is commit %d in the log", op.In.TxnID, told, p.ts)
	case op.Outcome == OK && op.Kind == Abort:
		j.breaks(op, "G6", "aborted-but-applied", "", "", "transaction %s was aborted, and is in the log as commit %d", op.In.TxnID, p.ts)
	case op.Outcome == OK && op.Kind == GetTxn && op.Out.State != "too_old" && (op.Out.State != "committed" || told != p.ts):
		j.breaks(op, "G6", "outcome-differs", "", op.Out.State, "it was told another outcome than commit %d, which the log has", p.ts)
	case op.Outcome == Fail && (op.Kind == Commit || op.Kind == Transact) && op.Error != nil && op.Error.decides():
		j.breaks(op, "G6", "refused-but-applied", "", op.Error.Code, "it was refused (%s), and transaction %s is in the log as commit %d", op.Error.Code, op.In.TxnID, p.ts)
	}
}
