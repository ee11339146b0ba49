package engine

import (
	"cmp"
	"slices"
	"time"
)

// OpenTxn is a transaction that the daemon holds open, as an operator sees it.
type OpenTxn struct {
	ID        TxnID
	Principal string // who began it
	Begun     time.Time
	Deadline  time.Time
	Snapshot  CommitTS
	Ops       int // staged
	Bytes     int // held
	Reads     int // keys and stretches
}

// OpenTxns lists the open transactions, the oldest first.
func (e *Engine) OpenTxns() []OpenTxn {
	e.txns.expire(e.now())
	open := e.txns.list()
	slices.SortFunc(open, func(a, b OpenTxn) int {
		return cmp.Or(a.Begun.Compare(b.Begun), cmp.Compare(a.ID, b.ID))
	})
	return open
}

// OldestTxn is how long the oldest open transaction has been open; 0: there is none.
func (e *Engine) OldestTxn() time.Duration {
	begun := e.txns.oldest()
	if begun.IsZero() {
		return 0
	}
	return max(e.now().Sub(begun), 0)
}

func (t *txnTable) oldest() (begun time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, x := range t.open { // a minimum: in any order
		if begun.IsZero() || x.begun.Before(begun) {
			begun = x.begun
		}
	}
	return begun
}

func (t *txnTable) list() []OpenTxn {
	t.mu.Lock()
	defer t.mu.Unlock()
	open := make([]OpenTxn, 0, len(t.open))
	for _, x := range t.open { // in any order: sorted by the caller
		open = append(open, OpenTxn{
			ID: x.id, Principal: x.owner, Begun: x.begun, Deadline: x.deadline, Snapshot: x.snapshot,
			Ops: len(x.order), Bytes: x.held, Reads: len(x.reads) + len(x.ranges),
		})
	}
	return open
}
