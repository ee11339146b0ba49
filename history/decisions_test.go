package history

import (
	"slices"
	"testing"
)

// TestDecisions: when commits were decided follows from answers that show the last
// commit of their moment, and from no others.
func TestDecisions(t *testing.T) {
	one := uint64(1)
	h := &History{
		Log: []Event{{CommitTS: 1}, {CommitTS: 2}, {CommitTS: 3}, {CommitTS: 4}},
		Operations: []*Operation{
			{Kind: Begin, Call: 5, Return: 6, Outcome: OK, Out: Output{SnapshotTS: 1}},
			{Kind: Transact, Call: 3, Return: 4, Outcome: Unknown, In: Input{TxnID: "t2"}},
			{Kind: Transact, Call: 10, Return: 45, Outcome: OK, In: Input{TxnID: "t2"}, Out: Output{CommitTS: 2, Versions: make([]KeyVersion, 1)}},
			{Kind: Get, Call: 30, Return: 31, Outcome: OK, Out: Output{ReadTS: 3}},
			{Kind: Watch, Call: 1, Outcome: Unknown, Batches: []Batch{{Time: 40, Cursor: 4}}},
			// Of these none tells anything.
			{Kind: Get, Call: 50, Return: 51, Outcome: OK, In: Input{At: &one}, Out: Output{ReadTS: 1}},
			{Kind: Get, Call: 50, Return: 51, Outcome: OK, In: Input{AtTime: 1}, Out: Output{ReadTS: 1}},
			{Kind: Get, Call: 50, Return: 51, Outcome: OK, In: Input{TxnID: "t9"}, Out: Output{ReadTS: 1}},
			{Kind: Scan, Call: 50, Return: 51, Outcome: OK, In: Input{PageOf: 4}, Out: Output{ReadTS: 1}},
			{Kind: Commit, Call: 50, Return: 51, Outcome: OK, In: Input{TxnID: "t8"}, Out: Output{CommitTS: 1}},
			{Kind: Get, Call: 50, Return: 51, Outcome: Fail},
		},
	}
	if got, want := h.decisions(), []span{{0, 6}, {5, 31}, {5, 31}, {30, 40}}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}
